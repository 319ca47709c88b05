//! A change that users may notice.

use std::fmt;

use serde::Serialize;

use crate::amount::Amount;
use crate::escape::terminal;
use crate::terminal::quoted;

/// A difference between two documents that a user may notice, now or at a later stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(super) enum Change<'p> {
    /// The flag is new.
    FlagAdded { stage: String, percent: Amount },
    /// The flag is removed, so no user has it.
    FlagRemoved { stage: String, percent: Amount },
    /// The flag is at another stage.
    Stage { from: String, to: String, from_percent: Amount, to_percent: Amount },
    /// Every user gets another bucket.
    Salt,
    /// Checks by other names find the flag.
    AskedAs { added: Vec<&'p str>, removed: Vec<&'p str> },
    /// A new stage.
    StageAdded { stage: String, percent: Amount, groups: Vec<&'p str>, reached: bool },
    /// A removed stage.
    StageRemoved { stage: String, reached: bool },
    /// The stages that both documents have are in another order.
    StagesReordered { stages: Vec<String> },
    /// A stage has another percentage.
    Percent { stage: String, from: Amount, to: Amount, reached: bool },
    /// A stage has other groups.
    Groups { stage: String, added: Vec<&'p str>, removed: Vec<&'p str>, reached: bool },
    /// A group waits until another stage, or no longer waits (`null`).
    HoldBack { group: &'p str, from: Option<String>, to: Option<String> },
    /// A group lists other users.
    GroupUsers { group: &'p str, added: usize, removed: usize },
    /// A group matches other users.
    GroupAttributes { group: &'p str },
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::FlagAdded { stage, percent } => {
                write!(f, "new flag, at `{stage}` ({percent} of all users)")
            }
            Change::FlagRemoved { stage, percent } => {
                write!(f, "the flag is removed; it was at `{stage}` ({percent} of all users)")
            }
            Change::Stage { from, to, from_percent, to_percent } => {
                write!(f, "{from} -> {to}: {from_percent} -> {to_percent} of all users")
            }
            Change::Salt => f.write_str("another salt: every user gets another bucket"),
            Change::AskedAs { added, removed } => {
                let names = |names: &[&str]| quoted(names.iter().copied());
                match (added.as_slice(), removed.as_slice()) {
                    (added, []) => write!(f, "checks may also ask by {}", names(added)),
                    ([], removed) => write!(f, "checks by {} are off", names(removed)),
                    (added, removed) => write!(
                        f,
                        "checks may also ask by {}; checks by {} are off",
                        names(added),
                        names(removed)
                    ),
                }
            }
            Change::StageAdded { stage, percent, groups, reached } => {
                write!(f, "new stage `{stage}`: {percent}")?;
                if !groups.is_empty() {
                    write!(f, " and {}", quoted(groups.iter().copied()))?;
                }
                f.write_str(not_reached(*reached))
            }
            Change::StageRemoved { stage, reached } => {
                write!(f, "stage `{stage}` is removed{}", not_reached(*reached))
            }
            Change::StagesReordered { stages } => {
                let order = quoted(stages.iter().map(String::as_str));
                write!(f, "new order of stages: {order}")
            }
            Change::Percent { stage, from, to, reached } => {
                write!(f, "stage `{stage}`: {from} -> {to}{}", not_reached(*reached))
            }
            Change::Groups { stage, added, removed, reached } => {
                let lists = [("adds", added), ("removes", removed)];
                let lists = lists.into_iter().filter(|(_, groups)| !groups.is_empty());
                let lists = lists
                    .map(|(word, groups)| format!("{word} {}", quoted(groups.iter().copied())));
                let lists = lists.collect::<Vec<_>>().join(", ");
                write!(f, "stage `{stage}`: {lists}{}", not_reached(*reached))
            }
            Change::HoldBack { group, from, to } => {
                write!(f, "group `{}` ", terminal(group))?;
                match (from, to) {
                    (None, Some(to)) => write!(f, "waits until `{to}`"),
                    (Some(from), Some(to)) => write!(f, "waits until `{to}`, not `{from}`"),
                    (Some(from), None) => write!(f, "no longer waits until `{from}`"),
                    (None, None) => f.write_str("waits as before"),
                }
            }
            Change::GroupUsers { group, added, removed } => {
                write!(f, "group `{}` lists other users: +{added} -{removed}", terminal(group))
            }
            Change::GroupAttributes { group } => {
                write!(f, "group `{}` matches by other attributes", terminal(group))
            }
        }
    }
}

fn not_reached(reached: bool) -> &'static str {
    if reached { "" } else { " (not reached)" }
}
