//! A summary for a terminal.

use std::fmt::Write as _;

use stagegate::Plan;

use super::view::{DocumentView, FlagView};
use crate::amount::{self, Amount};
use crate::document::ProblemView;
use crate::escape::terminal;
use crate::terminal::{Rows, heading};

/// Formats a summary of each flag in the view. In practice the view has one flag.
pub(super) fn summary(view: &DocumentView<'_>) -> String {
    let mut text: String = view.flags.iter().map(flag_summary).collect();
    warnings(&view.other_warnings, &mut text);
    text
}

/// Formats a table with a row for each flag. Does not build their views, because there may be 100,000 flags.
pub(super) fn flag_table(plan: &Plan, warnings: usize) -> String {
    let mut rows = Rows::new(&["flag", "stage", "share", "plan", "owner"]);
    for flag in plan.flags().filter_map(|key| plan.flag(key)) {
        let now = flag.stages().find(|stage| stage.name() == flag.stage());
        rows.add([
            flag.key().to_owned(),
            flag.stage().to_string(),
            now.map_or("0%".to_owned(), |stage| {
                let within: Vec<&str> = stage.within().collect();
                amount::share(&Amount::percent(stage.percent()), &within)
            }),
            flag.plan().unwrap_or("its own").to_owned(),
            terminal(flag.owner().unwrap_or("–")),
        ]);
    }
    let mut text = format!("{rows}{} flags; `--flag FLAG` shows one\n", plan.flags().count());
    if warnings > 0 {
        let s = if warnings == 1 { "" } else { "s" };
        let _ = writeln!(text, "{warnings} warning{s}: see `stagegate check`");
    }
    text
}

fn flag_summary(flag: &FlagView<'_>) -> String {
    let mut text = heading(flag.key, None, flag.owner);
    let plan = flag.plan.map_or("stages of its own".to_owned(), |plan| format!("plan `{plan}`"));
    let _ = writeln!(text, "stage {}, {}; {plan}\n", flag.stage, share(flag));
    let mut rows = Rows::new(&["", "stage", "share", "duration", "groups", "goal"]);
    for stage in &flag.stages {
        let here = if stage.name == flag.stage { "→" } else { "" };
        let groups = match stage.groups.as_slice() {
            [] => "–".to_owned(),
            groups => groups.join(", "),
        };
        rows.add([
            here.to_owned(),
            stage.name.clone(),
            amount::share(&stage.percent, &stage.within),
            stage.durations().unwrap_or_else(|| "–".to_owned()),
            groups,
            terminal(stage.goal.unwrap_or("–")),
        ]);
    }
    let _ = writeln!(text, "{rows}");
    if let Some(by) = flag.by {
        let _ = writeln!(text, "percentages are of the values of {}", terminal(by));
    }
    if !flag.only.is_empty() {
        let _ = writeln!(text, "only users of {}", flag.only.join(", "));
    }
    for required in &flag.requires {
        let _ = writeln!(text, "requires {} at {}", required.flag, required.stage);
    }
    for held in &flag.hold_back {
        let until = match &*held.until {
            "never" => "never has the flag".to_owned(),
            until => format!("held back until {until}"),
        };
        let except = match &*held.except {
            [] => String::new(),
            groups => format!(", except users of {}", groups.join(", ")),
        };
        let _ = writeln!(text, "{until}: {}{except}", held.group);
    }
    if let Some(traffic) = &flag.traffic {
        let _ = writeln!(text, "traffic: {traffic}");
    }
    text += &counts(flag);
    warnings(&flag.warnings, &mut text);
    text
}

/// Counts the sections that the summary does not show.
fn counts(flag: &FlagView<'_>) -> String {
    let with = |action| flag.triggers.iter().filter(|trigger| trigger.action == action).count();
    let counts = [
        (with("rollback"), "automatic rollback triggers"),
        (with("decide"), "rollback decision triggers"),
        (flag.responsibility.len(), "responsibility rows"),
        (flag.messages.len(), "messages"),
        (flag.risks.len(), "risks"),
    ];
    let words = counts.map(|(count, noun)| match count {
        1 => format!("1 {}", noun.strip_suffix('s').unwrap_or(noun)),
        _ => format!("{count} {noun}"),
    });
    format!("{}\n`--format markdown` shows the whole plan\n", words.join(", "))
}

fn warnings(warnings: &[ProblemView<'_>], text: &mut String) {
    for warning in warnings {
        let (path, message) = (terminal(warning.path), terminal(warning.message));
        let _ = writeln!(text, "warning: {path}: {message} ({})", terminal(warning.hint));
    }
}

fn share(flag: &FlagView<'_>) -> String {
    flag.percent.as_ref().map_or("0%".to_owned(), |percent| amount::share(percent, &flag.within))
}
