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
    FlagAdded { stage: String, percent: Amount, within: Vec<&'p str> },
    /// The flag is removed, so no user has it.
    FlagRemoved { stage: String, percent: Amount, within: Vec<&'p str> },
    /// The flag is at another stage.
    Stage {
        from: String,
        to: String,
        from_percent: Amount,
        from_within: Vec<&'p str>,
        to_percent: Amount,
        to_within: Vec<&'p str>,
    },
    /// Every user gets another bucket.
    Salt,
    /// Checks by other names find the flag.
    AskedAs { added: Vec<&'p str>, removed: Vec<&'p str> },
    /// The percentages refer to the values of another attribute, or to user keys (`null`).
    By { from: Option<&'p str>, to: Option<&'p str> },
    /// Users of other groups may have the flag. `from`, `to`: all groups of `only`.
    Only { from: Vec<&'p str>, to: Vec<&'p str> },
    /// The flag requires another stage of a flag, or no longer requires the flag (`null`).
    Requires { flag: &'p str, from: Option<String>, to: Option<String> },
    /// A flag that this flag requires has changes for users.
    RequiredFlag { flag: &'p str },
    /// A new stage.
    StageAdded {
        stage: String,
        percent: Amount,
        within: Vec<&'p str>,
        groups: Vec<&'p str>,
        reached: bool,
    },
    /// A removed stage.
    StageRemoved { stage: String, reached: bool },
    /// The stages that both documents have are in another order.
    StagesReordered { stages: Vec<String> },
    /// A stage has another percentage.
    Percent { stage: String, from: Amount, to: Amount, reached: bool },
    /// The percentage of a stage refers to other groups, or to all users (none).
    Within { stage: String, from: Vec<&'p str>, to: Vec<&'p str>, reached: bool },
    /// A stage has other groups.
    Groups { stage: String, added: Vec<&'p str>, removed: Vec<&'p str>, reached: bool },
    /// A group waits until another stage, or no longer waits (`null`).
    HoldBack { group: &'p str, from: Option<String>, to: Option<String> },
    /// Users of other groups do not wait, although they are in a group that waits.
    HoldBackExcept { group: &'p str, added: Vec<&'p str>, removed: Vec<&'p str> },
    /// A group lists the values of another attribute, or user keys (`null`).
    GroupValuesOf { group: &'p str, from: Option<&'p str>, to: Option<&'p str> },
    /// A group lists other users, or other values of an attribute.
    GroupUsers { group: &'p str, values_of: Option<&'p str>, added: usize, removed: usize },
    /// A group matches other users.
    GroupAttributes { group: &'p str },
    /// A group includes other groups, directly or through others.
    GroupIncludes { group: &'p str, added: Vec<&'p str>, removed: Vec<&'p str> },
}

impl fmt::Display for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::FlagAdded { stage, percent, within } => {
                write!(f, "new flag, at `{stage}` ({percent} of {})", whom(within))
            }
            Change::FlagRemoved { stage, percent, within } => {
                let of = whom(within);
                write!(f, "the flag is removed; it was at `{stage}` ({percent} of {of})")
            }
            Change::Stage { from, to, from_percent, from_within, to_percent, to_within } => {
                // "0% -> 10% of `eu`": nobody is nobody of any group.
                let is_same = from_within == to_within || from_percent.is_zero();
                let of = match is_same || to_percent.is_zero() {
                    true => String::new(),
                    false => format!(" of {}", whom(from_within)),
                };
                let within = if to_percent.is_zero() { from_within } else { to_within };
                let to_of = whom(within);
                write!(f, "{from} -> {to}: {from_percent}{of} -> {to_percent} of {to_of}")
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
            Change::By { from, to } => {
                write!(f, "the percentages refer to {}, not to {}", unit(*to), unit(*from))
            }
            Change::Only { from, to } => match (&**from, &**to) {
                ([], to) => write!(f, "only users of {} may have the flag", names(to)),
                (from, []) => {
                    write!(f, "all users may have the flag, not only users of {}", names(from))
                }
                (from, to) => write!(
                    f,
                    "only users of {} may have the flag, instead of users of {}",
                    names(to),
                    names(from)
                ),
            },
            Change::Requires { flag, from, to } => match (from, to) {
                (None, Some(to)) => write!(f, "requires `{flag}` at `{to}`"),
                (Some(from), Some(to)) => write!(f, "requires `{flag}` at `{to}`, not at `{from}`"),
                (_, None) => write!(f, "no longer requires `{flag}`"),
            },
            Change::RequiredFlag { flag } => write!(f, "requires `{flag}`, which changes"),
            Change::StageAdded { stage, percent, within, groups, reached } => {
                write!(f, "new stage `{stage}`: {percent}")?;
                if !within.is_empty() {
                    write!(f, " of {}", names(within))?;
                }
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
            Change::Within { stage, from, to, reached } => write!(
                f,
                "stage `{stage}`: the percentage refers to {}, not to {}{}",
                whom(to),
                whom(from),
                not_reached(*reached)
            ),
            Change::Groups { stage, added, removed, reached } => {
                let lists = lists(("adds", added), ("removes", removed));
                write!(f, "stage `{stage}`: {lists}{}", not_reached(*reached))
            }
            Change::HoldBack { group, from, to } => {
                write!(f, "group `{}` ", terminal(group))?;
                match (from, to) {
                    (None, Some(to)) if to == NEVER => f.write_str("never has the flag"),
                    (None, Some(to)) => write!(f, "waits until `{to}`"),
                    (Some(from), Some(to)) if to == NEVER => {
                        write!(f, "never has the flag; it waited until `{from}`")
                    }
                    (Some(from), Some(to)) if from == NEVER => {
                        write!(f, "waits until `{to}`; it never had the flag")
                    }
                    (Some(from), Some(to)) => write!(f, "waits until `{to}`, not `{from}`"),
                    (Some(from), None) if from == NEVER => f.write_str("may have the flag"),
                    (Some(from), None) => write!(f, "no longer waits until `{from}`"),
                    (None, None) => f.write_str("waits as before"),
                }
            }
            Change::HoldBackExcept { group, added, removed } => {
                let lists = lists(("excepts", added), ("no longer excepts", removed));
                write!(f, "hold-back of group `{}`: {lists}", terminal(group))
            }
            Change::GroupValuesOf { group, from, to } => {
                let (from, to) = (unit(*from), unit(*to));
                write!(f, "group `{}` lists {to}, not {from}", terminal(group))
            }
            Change::GroupUsers { group, values_of, added, removed } => {
                let what = match values_of {
                    None => "users".to_owned(),
                    Some(name) => format!("values of `{}`", terminal(name)),
                };
                write!(f, "group `{}` lists other {what}: +{added} -{removed}", terminal(group))
            }
            Change::GroupAttributes { group } => {
                write!(f, "group `{}` matches by other attributes", terminal(group))
            }
            Change::GroupIncludes { group, added, removed } => {
                let lists = lists(("includes", added), ("no longer includes", removed));
                write!(f, "group `{}` {lists}", terminal(group))
            }
        }
    }
}

/// The word for a group that never has a flag.
pub(super) const NEVER: &str = "never";

fn names(groups: &[&str]) -> String {
    quoted(groups.iter().copied())
}

/// Returns the users whom a percentage refers to.
fn whom(within: &[&str]) -> String {
    if within.is_empty() { "all users".to_owned() } else { names(within) }
}

/// Returns what an attribute's values or, without one, users are called.
fn unit(attribute: Option<&str>) -> String {
    match attribute {
        None => "user keys".to_owned(),
        Some(name) => format!("values of `{}`", terminal(name)),
    }
}

/// Returns two lists of groups, each with its verb. Leaves out an empty list.
fn lists(added: (&str, &[&str]), removed: (&str, &[&str])) -> String {
    let lists = [added, removed].into_iter().filter(|(_, groups)| !groups.is_empty());
    lists.map(|(verb, groups)| format!("{verb} {}", names(groups))).collect::<Vec<_>>().join(", ")
}

fn not_reached(reached: bool) -> &'static str {
    if reached { "" } else { " (not reached)" }
}
