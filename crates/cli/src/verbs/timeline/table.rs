//! The timeline for a terminal.

use std::fmt::Write as _;

use super::view::TimelineView;
use crate::amount;
use crate::escape::terminal;
use crate::terminal::{Rows, heading};

pub(super) fn table(view: &TimelineView<'_>) -> String {
    let mut text = heading(view.flag, view.description, view.owner);
    let _ = writeln!(
        text,
        "Starts {}{}. Dates are the earliest possible. A stage's second date is the latest.\n",
        view.start,
        view.start_moment.as_ref().map(|moment| format!(" ({moment})")).unwrap_or_default()
    );
    text += &rows(view);
    text.push('\n');
    text += &stages(view);
    for stage in &view.stages {
        if let Some(reason) = stage.delayed_by {
            let _ = writeln!(
                text,
                "{} waits for the end of a freeze: {}",
                stage.stage,
                terminal(reason)
            );
        }
    }
    if let Some(calendar) = &view.calendar {
        let (hours, zone) = (terminal(&calendar.hours), terminal(&calendar.time_zone));
        let _ = writeln!(text, "Promotions: {hours} ({zone})");
        for freeze in &calendar.freezes {
            let reason = terminal(freeze.reason);
            let _ = writeln!(text, "Freeze: {} – {}: {reason}", freeze.from, freeze.to);
        }
    }
    text += &activities(view);
    text += &messages(view);
    text
}

fn rows(view: &TimelineView<'_>) -> String {
    let mut rows = Rows::new(&["date", "stage", "activity", "owner"]);
    for row in &view.rows {
        rows.add([row.dates(), row.stage.clone(), terminal(row.activity), terminal(row.owner())]);
    }
    rows.to_string()
}

fn stages(view: &TimelineView<'_>) -> String {
    let mut rows = Rows::new(&["stage", "share", "begins", "ends", "owner", "decision"]);
    for stage in &view.stages {
        rows.add([
            stage.stage.clone(),
            amount::share(&stage.percent, &stage.within),
            stage.begins.to_string(),
            stage.ends.to_string(),
            terminal(stage.owner.unwrap_or("–")),
            stage.decision.text.clone(),
        ]);
    }
    rows.to_string()
}

fn activities(view: &TimelineView<'_>) -> String {
    let mut text = String::new();
    for stage in &view.stages {
        if stage.activities.is_empty() && stage.decision.checklist.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{}", stage.stage);
        for activity in &stage.activities {
            let owner = activity.owner.map(|owner| format!(" ({})", terminal(owner)));
            let owner = owner.unwrap_or_default();
            let _ = writeln!(text, "  - {}{owner}", terminal(activity.text));
        }
        for item in &stage.decision.checklist {
            let owner = item.owner.map(|owner| format!(" ({})", terminal(owner)));
            let owner = owner.unwrap_or_default();
            let _ = writeln!(text, "  [ ] {}{owner}", terminal(&item.text));
        }
    }
    text
}

fn messages(view: &TimelineView<'_>) -> String {
    if view.messages.is_empty() {
        return String::new();
    }
    let mut rows = Rows::new(&["message due", "stage", "when", "to", "channel", "subject"]);
    for due in &view.messages {
        rows.add([
            due.date.to_string(),
            due.stage.clone(),
            due.when.clone(),
            due.audience.clone(),
            terminal(due.way().unwrap_or("–")),
            terminal(due.subject.as_deref().unwrap_or("–")),
        ]);
    }
    let more = match view.unlisted_messages {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("\n{rows}{more}")
}
