//! The timeline as a calendar file (RFC 5545).
//!
//! The same document always gives the same bytes, without a clock or random numbers. So you can commit
//! and compare the file. Identifiers contain no dates, so that importing a later file moves the entries.

use std::fmt::Write as _;

use stagegate::model::Date;

use super::view::{DueView, PeriodView, RowView, TimelineView};
use crate::escape::ics;

/// The most bytes of a line without its end (RFC 5545, 3.1).
const MAX_LINE_BYTES: usize = 75;

pub(super) fn calendar(view: &TimelineView<'_>) -> String {
    let mut file = File { text: String::new(), stamp: format!("{}T000000Z", basic(view.start.0)) };
    file.line("BEGIN:VCALENDAR");
    file.line("VERSION:2.0");
    file.line("PRODID:-//stagegate//timeline//EN");
    file.line("CALSCALE:GREGORIAN");
    file.line("METHOD:PUBLISH");
    file.text("X-WR-CALNAME", &format!("Rollout of {}", view.flag));
    for stage in &view.stages {
        file.event(&of_stage(view.flag, stage));
        file.event(&of_decision(view.flag, stage));
    }
    for row in view.rows.iter().filter(|row| row.is_activity()) {
        file.event(&of_activity(view.flag, row));
    }
    // Numbers the entries of the same message and stage, because weekly entries differ in nothing else.
    let mut nth = std::collections::HashMap::new();
    for due in &view.messages {
        let nth = nth.entry((due.message, due.stage.as_str())).or_insert(0_usize);
        *nth += 1;
        file.event(&of_message(view.flag, due, *nth));
    }
    file.line("END:VCALENDAR");
    file.text
}

/// An entry of whole days.
struct Event {
    uid: String,
    begins: Date,
    /// The day after the last. `None` means one day.
    ends: Option<Date>,
    /// The recurrence rule of an entry that repeats.
    rule: Option<String>,
    category: &'static str,
    summary: String,
    description: String,
}

fn of_stage(flag: &str, stage: &PeriodView<'_>) -> Event {
    let (begins, ends) = (&stage.begins, &stage.ends);
    let mut description = match &*stage.within {
        [] => format!("{} of all users", stage.percent.text),
        within => format!("{} of the users of {}", stage.percent.text, within.join(", ")),
    };
    let _ = write!(description, "\nBegins {begins}\nEnds {ends}");
    if let Some(owner) = stage.owner {
        let _ = write!(description, "\nOwner: {owner}");
    }
    if let Some(goal) = stage.goal {
        let _ = write!(description, "\nGoal: {goal}");
    }
    if let Some(reason) = stage.delayed_by {
        let _ = write!(description, "\nWaits for a freeze: {reason}");
    }
    for activity in &stage.activities {
        let owner = activity.owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
        let _ = write!(description, "\n- {}{owner}", activity.text);
    }
    Event {
        uid: format!("stage.{}.{flag}@stagegate", stage.stage),
        begins: begins.earliest.0,
        // The day of the next promotion belongs to the next stage.
        ends: Some(ends.earliest.0).filter(|ends| *ends > begins.earliest.0),
        rule: None,
        category: "STAGE",
        summary: format!("{flag}: {} ({})", stage.stage, stage.percent.text),
        description,
    }
}

fn of_decision(flag: &str, stage: &PeriodView<'_>) -> Event {
    let decision = &stage.decision;
    let mut description = decision.text.clone();
    if let Some(owner) = stage.owner {
        let _ = write!(description, "\nOwner: {owner}");
    }
    for item in &decision.checklist {
        let owner = item.owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
        let _ = write!(description, "\n[ ] {}{owner}", item.text);
    }
    let summary = match &decision.to {
        Some(next) => format!("{flag}: go or no-go from {} to {next}", stage.stage),
        None => format!("{flag}: complete after {}", stage.stage),
    };
    Event {
        uid: format!("decision.{}.{flag}@stagegate", stage.stage),
        begins: stage.ends.earliest.0,
        ends: None,
        rule: None,
        category: "DECISION",
        summary,
        description,
    }
}

fn of_activity(flag: &str, row: &RowView<'_>) -> Event {
    let RowView { stage, activity, number, .. } = row;
    let frequency = match row.days_apart() {
        Some(1) => Some("DAILY"),
        Some(_) => Some("WEEKLY"),
        None => None,
    };
    let rule = frequency.map(|often| format!("FREQ={often};COUNT={}", row.occurrences()));
    Event {
        uid: format!("activity-{number}.{stage}.{flag}@stagegate"),
        begins: row.begins.0,
        ends: None,
        rule,
        category: "ACTIVITY",
        summary: format!("{flag}: {activity} ({stage})"),
        description: format!("{activity}\nOwner: {}", row.owner()),
    }
}

fn of_message(flag: &str, due: &DueView<'_>, nth: usize) -> Event {
    let subject = due.subject.as_ref().map(|subject| format!("{subject}\n\n"));
    let subject = subject.unwrap_or_default();
    let way = due.way().map(|way| format!(" by {way}")).unwrap_or_default();
    let DueView { audience, stage, when, message, .. } = due;
    Event {
        uid: format!("message-{message}-{nth}.{stage}.{flag}@stagegate"),
        begins: due.date.0,
        ends: None,
        rule: None,
        category: "MESSAGE",
        summary: format!("{flag}: message to {audience}{way} ({stage} {when})"),
        description: format!("{subject}{}", due.text()),
    }
}

/// A builder for a calendar file.
struct File {
    text: String,
    /// The time stamp of all entries: the first day of the rollout, so that the output is reproducible.
    stamp: String,
}

impl File {
    fn event(&mut self, event: &Event) {
        self.line("BEGIN:VEVENT");
        self.line(&format!("UID:{}", event.uid));
        let stamp = format!("DTSTAMP:{}", self.stamp);
        self.line(&stamp);
        self.line(&format!("DTSTART;VALUE=DATE:{}", basic(event.begins)));
        if let Some(ends) = event.ends {
            self.line(&format!("DTEND;VALUE=DATE:{}", basic(ends)));
        }
        if let Some(rule) = &event.rule {
            self.line(&format!("RRULE:{rule}"));
        }
        self.text("SUMMARY", &event.summary);
        self.text("DESCRIPTION", &event.description);
        self.line(&format!("CATEGORIES:{}", event.category));
        // The entry does not mark people as busy.
        self.line("TRANSP:TRANSPARENT");
        self.line("END:VEVENT");
    }

    fn text(&mut self, name: &str, value: &str) {
        self.line(&format!("{name}:{}", ics(value)));
    }

    /// Adds a line. Folds a long line between characters.
    fn line(&mut self, line: &str) {
        let mut bytes = 0;
        for c in line.chars() {
            if bytes + c.len_utf8() > MAX_LINE_BYTES {
                self.text.push_str("\r\n ");
                bytes = 1;
            }
            self.text.push(c);
            bytes += c.len_utf8();
        }
        self.text.push_str("\r\n");
    }
}

/// Formats a day as `20260105`.
fn basic(date: Date) -> String {
    format!("{:04}{:02}{:02}", date.year(), date.month(), date.day())
}
