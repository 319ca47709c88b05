//! A summary for a terminal.

use std::fmt::Write as _;

use super::view::{DocumentView, FlagView};
use crate::document::Finding;
use crate::escape::terminal;
use crate::terminal::{Rows, heading};

/// One flag with its stages, or a row for each of several.
pub(super) fn summary(view: &DocumentView<'_>) -> String {
    match view.flags.as_slice() {
        [flag] => {
            let mut text = of_flag(flag);
            warnings(&view.other_warnings, &mut text);
            text
        }
        flags => {
            let mut text = of_flags(flags);
            let told = flags.iter().map(|flag| flag.warnings.len()).sum::<usize>();
            let count = told + view.other_warnings.len();
            if count > 0 {
                let s = if count == 1 { "" } else { "s" };
                let _ = writeln!(text, "{count} warning{s}: see `stagegate check`");
            }
            text
        }
    }
}

fn of_flags(flags: &[FlagView<'_>]) -> String {
    let mut rows = Rows::new(&["flag", "stage", "share", "plan", "owner"]);
    for flag in flags {
        rows.add([
            flag.key.to_owned(),
            flag.stage.clone(),
            share(flag),
            flag.plan.unwrap_or("its own").to_owned(),
            terminal(flag.owner.unwrap_or("–")),
        ]);
    }
    format!("{rows}{} flags; `--flag` shows one of them\n", flags.len())
}

fn of_flag(flag: &FlagView<'_>) -> String {
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
            stage.percent.text.clone(),
            stage.durations().unwrap_or_else(|| "–".to_owned()),
            groups,
            terminal(stage.goal.unwrap_or("–")),
        ]);
    }
    let _ = writeln!(text, "{rows}");
    for held in &flag.hold_back {
        let _ = writeln!(text, "waits until {}: {}", held.until, held.group);
    }
    text += &counts(flag);
    warnings(&flag.warnings, &mut text);
    text
}

/// How much of the rest there is.
fn counts(flag: &FlagView<'_>) -> String {
    let with = |action| flag.triggers.iter().filter(|trigger| trigger.action == action).count();
    let counts = [
        (with("rollback"), "automatic roll-back triggers"),
        (with("decide"), "roll-back decision triggers"),
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

fn warnings(warnings: &[Finding<'_>], text: &mut String) {
    for warning in warnings {
        let (place, message) = (terminal(warning.path), terminal(warning.message));
        let _ = writeln!(text, "warning: {place}: {message} ({})", terminal(warning.hint));
    }
}

fn share(flag: &FlagView<'_>) -> String {
    flag.percent.as_ref().map_or("nobody".to_owned(), |percent| percent.text.clone())
}
