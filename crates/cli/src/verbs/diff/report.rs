//! The output of `diff`, as text and as JSON.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

use serde::Serialize;
use stagegate::{Percent, Problem};

use super::change::Change;
use super::compare::Comparison;
use super::tally::{FlagTally, Tally};
use crate::args::Format;
use crate::document::ProblemView;
use crate::escape::terminal;
use crate::failure::Failure;
use crate::output::Output;

pub(super) struct Report<'r, 'p> {
    /// The old and the new file.
    pub(super) names: (&'r PathBuf, &'r PathBuf),
    pub(super) comparison: &'r Comparison<'p>,
    pub(super) tally: Option<&'r Tally<'p>>,
    /// The reasons why a gate with the old document would refuse the new one.
    pub(super) refused: &'r [Problem],
}

impl<'r, 'p> Report<'r, 'p> {
    pub(super) fn print(&self, format: Format, output: &Output) -> Result<(), Failure> {
        match format {
            Format::Human => output.text(&human(self.comparison, self.tally, self.refused)),
            Format::Json => output.json("diff", &self.result()),
        }
    }

    fn result(&self) -> DiffResult<'r> {
        let counts = counts(self.tally);
        let flags = self.comparison.flags.iter().map(|flag| FlagResult {
            flag: flag.key,
            changes: &flag.changes,
            without_effect: &flag.without_effect,
            users: counts.get(flag.key).map(|counted| UserCounts {
                before: counted.before,
                after: counted.after,
                enter: counted.enter.iter().map(Rc::as_ref).collect(),
                leave: counted.leave.iter().map(Rc::as_ref).collect(),
            }),
        });
        DiffResult {
            old: self.names.0.display().to_string(),
            new: self.names.1.display().to_string(),
            changes_for_users: self.comparison.is_for_users(),
            users: self.tally.map(|tally| tally.users),
            flags: flags.collect(),
            metrics: self.comparison.metrics,
            refused: self.refused.iter().map(ProblemView::error).collect(),
        }
    }
}

/// Formats a comparison as text.
pub(super) fn human(
    comparison: &Comparison<'_>,
    tally: Option<&Tally<'_>>,
    refused: &[Problem],
) -> String {
    let (mut text, counts) = (String::new(), counts(tally));
    for flag in &comparison.flags {
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{}", flag.key);
        for change in &flag.changes {
            let _ = writeln!(text, "  {change}");
        }
        if !flag.without_effect.is_empty() {
            let sections = flag.without_effect.join(", ");
            let _ = writeln!(text, "  changes nothing for users: {sections}");
        }
        if let (Some(tally), Some(counted)) = (tally, counts.get(flag.key)) {
            user_counts(tally.users, counted, &mut text);
        }
        text += "\n";
    }
    if comparison.metrics {
        text += "changes nothing for users: the document's metrics\n\n";
    }
    if !comparison.is_for_users() {
        text += "Nothing changes for users.\n";
    }
    for problem in refused {
        let (path, message) = (problem.path(), problem.message());
        let _ = writeln!(text, "A running gate would refuse this update: {path}: {message}");
        let _ = writeln!(text, "  {}", problem.hint());
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}

fn counts<'p, 't>(tally: Option<&'t Tally<'p>>) -> HashMap<&'p str, &'t FlagTally<'p>> {
    let flags = tally.map(|tally| &*tally.flags).unwrap_or_default();
    flags.iter().map(|flag| (flag.key, flag)).collect()
}

fn user_counts(users: u64, counted: &FlagTally<'_>, text: &mut String) {
    let FlagTally { before, after, enter, leave, .. } = counted;
    let of = |count: u64| format!("{count} ({})", share(count, users));
    let _ = writeln!(text, "  of {users} users: {} before, {} after", of(*before), of(*after));
    for (list, word) in [(enter, "enter"), (leave, "leave")] {
        let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
        let colon = if list.is_empty() { "" } else { ":" };
        let _ = writeln!(text, "  {} {word}{colon}", of(count));
        for key in list {
            let _ = writeln!(text, "    {}", terminal(key));
        }
    }
}

/// Returns a count as a percentage, rounded down to a part per million.
fn share(count: u64, of: u64) -> String {
    let ppm = (u128::from(count) * 1_000_000).checked_div(u128::from(of)).unwrap_or(0);
    let percent = u32::try_from(ppm).ok().and_then(Percent::from_ppm).unwrap_or(Percent::ALL);
    if percent == Percent::NONE && count > 0 {
        return "less than 0.0001%".to_owned();
    }
    format!("{percent}%")
}

#[derive(Serialize)]
struct DiffResult<'o> {
    old: String,
    new: String,
    changes_for_users: bool,
    /// The number of users evaluated.
    users: Option<u64>,
    flags: Vec<FlagResult<'o>>,
    /// Whether the declared metrics differ.
    metrics: bool,
    /// The reasons why a gate with the old document would refuse the new one. Empty if it would accept it.
    refused: Vec<ProblemView<'o>>,
}

#[derive(Serialize)]
struct FlagResult<'o> {
    flag: &'o str,
    changes: &'o [Change<'o>],
    /// The edited sections that no user notices.
    without_effect: &'o [String],
    /// `null` without a users file, or if no user can notice a change.
    users: Option<UserCounts<'o>>,
}

#[derive(Serialize)]
struct UserCounts<'o> {
    before: u64,
    after: u64,
    enter: Vec<&'o str>,
    leave: Vec<&'o str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_computed_exactly() {
        assert_eq!(share(0, 0), "0%");
        assert_eq!(share(1, 3), "33.3333%");
        assert_eq!(share(3, 3), "100%");
        assert_eq!(share(1, 10_000_000), "less than 0.0001%");
        assert_eq!(share(u64::MAX, u64::MAX), "100%");
    }
}
