//! The changes of a flag's audience by an edit of its plan.

use std::fmt;
use std::sync::Arc;

use super::audience::Audience;
use crate::eval::{Group, StageName};
use crate::percent::{PPM, Percent};

/// One change of a flag's audience by an edit of the plan.
///
/// Prints as `10% -> 20%`, `team: +994 users`, `eu: matches more users`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AudienceChange {
    /// The stage admits another percentage.
    #[non_exhaustive]
    Percent {
        /// The percentage before.
        from: Percent,
        /// The percentage now.
        to: Percent,
    },
    /// The salt changed, so the percentage admits other users.
    Salt,
    /// The percentage refers to another unit: to user keys, or to the values of an attribute (`by`).
    #[non_exhaustive]
    Unit {
        /// The attribute before. `None`: user keys.
        from: Option<Arc<str>>,
        /// The attribute now.
        to: Option<Arc<str>>,
    },
    /// The stage admits another percentage of the users of some groups (`within`), or the groups match other users.
    #[non_exhaustive]
    Within {
        /// The names of the groups.
        groups: Arc<[Arc<str>]>,
        /// The percentage before.
        from: Percent,
        /// The percentage now.
        to: Percent,
        /// Whether more users have the flag.
        wider: bool,
        /// Whether users no longer have the flag.
        narrower: bool,
    },
    /// Users of other groups may have the flag (`only`).
    #[non_exhaustive]
    Only {
        /// Whether more users may have the flag.
        wider: bool,
        /// Whether users may no longer have the flag.
        narrower: bool,
    },
    /// The flag requires another stage of another flag (`requires`).
    #[non_exhaustive]
    Requires {
        /// The key of the required flag.
        flag: Arc<str>,
        /// The required stage before. `None`: the flag was not required.
        from: Option<StageName>,
        /// The required stage now. `None`: the flag is no longer required.
        to: Option<StageName>,
        /// Whether more users may have the flag.
        wider: bool,
    },
    /// A group lists other users. Does not count users who are on the list of another group of the stage, too.
    #[non_exhaustive]
    Users {
        /// The group's name.
        group: Arc<str>,
        /// The attribute whose values the group lists (`values_of`). `None`: user keys.
        values_of: Option<Arc<str>>,
        /// Number of users who joined.
        added: usize,
        /// Number of users who left.
        removed: usize,
    },
    /// A group matches other attributes.
    #[non_exhaustive]
    Attributes {
        /// The group's name.
        group: Arc<str>,
        /// Whether more users match.
        wider: bool,
        /// Whether users no longer match.
        narrower: bool,
    },
    /// `hold_back` keeps other users out.
    #[non_exhaustive]
    HoldBack {
        /// The group's name.
        group: Arc<str>,
        /// Number of listed users who no longer wait.
        released: usize,
        /// Number of listed users who now wait.
        held: usize,
        /// Whether users matched by attributes no longer wait.
        releases_attributes: bool,
        /// Whether users matched by attributes now wait.
        holds_attributes: bool,
    },
}

impl AudienceChange {
    /// Returns whether the change lets in users. A longer list does not count, because it names each user.
    pub(crate) fn lets_in(&self) -> bool {
        match self {
            AudienceChange::Percent { from, to } => to > from,
            AudienceChange::Salt | AudienceChange::Unit { .. } => true,
            AudienceChange::Users { .. } => false,
            AudienceChange::Attributes { wider, .. }
            | AudienceChange::Within { wider, .. }
            | AudienceChange::Only { wider, .. }
            | AudienceChange::Requires { wider, .. } => *wider,
            AudienceChange::HoldBack { released, releases_attributes, .. } => {
                *released > 0 || *releases_attributes
            }
        }
    }
}

impl AudienceChange {
    /// Returns the share of users who lose the flag by this change; `None` if `limits.per_update` does not limit the
    /// change.
    ///
    /// It is a share of all users for a percentage, and of the group's users for a group. An unknown share counts as
    /// 100%.
    pub(crate) fn lost_share(&self, before: Audience<'_>, after: Audience<'_>) -> Option<Percent> {
        match self {
            AudienceChange::Percent { from, to } => {
                Percent::from_ppm(from.ppm().checked_sub(to.ppm())?)
            }
            AudienceChange::Salt
            | AudienceChange::Unit { .. }
            | AudienceChange::Only { narrower: true, .. }
            | AudienceChange::Requires { wider: false, .. } => Some(Percent::ALL),
            AudienceChange::Within { from, to, narrower: true, .. } => {
                // With the same percentage, the groups match fewer users, an unknown share.
                let lost = from.ppm().checked_sub(to.ppm()).filter(|lost| *lost > 0);
                Some(lost.and_then(Percent::from_ppm).unwrap_or(Percent::ALL))
            }
            AudienceChange::Users { removed: 0..=FEW_USERS, .. }
            | AudienceChange::Within { .. }
            | AudienceChange::Only { .. }
            | AudienceChange::Requires { .. }
            | AudienceChange::Attributes { narrower: false, .. }
            | AudienceChange::HoldBack { .. } => None,
            AudienceChange::Users { group, removed, .. } => {
                let all = before.groups().get(&**group).map_or(0, |group| group.users.len());
                Some(share(*removed, all))
            }
            AudienceChange::Attributes { group, .. } => {
                let (old, new) = (before.groups(), after.groups());
                let old = old.get(&**group).and_then(|group| combinations(group));
                let new = new.get(&**group).and_then(|group| combinations(group));
                let comparable = old
                    .zip(new)
                    .filter(|((names, old), (others, new))| names == others && new < old);
                Some(comparable.map_or(Percent::ALL, |((_, old), (_, new))| share(old - new, old)))
            }
        }
    }
}

/// Returns the attributes of a group that only lists values, and the number of their combinations.
fn combinations(group: &Group) -> Option<(Vec<&str>, usize)> {
    let [conditions] = &*group.alternatives else { return None };
    let mut names: Vec<&str> = conditions.iter().map(|condition| &*condition.attribute).collect();
    names.sort_unstable();
    let counts = conditions.iter().map(|condition| Some(condition.listed_values()?.len()));
    Some((names, counts.product::<Option<usize>>()?))
}

/// The number of users who may leave a list in one update, whatever their share. So a small team may shrink; a failed
/// export of a long list is refused.
const FEW_USERS: usize = 10;

/// Returns a part as a percentage, rounded down. Any part of nothing is 100%.
pub(crate) fn share(part: usize, whole: usize) -> Percent {
    let ppm = (part as u128 * u128::from(PPM)).checked_div(whole as u128);
    let ppm = ppm.and_then(|ppm| u32::try_from(ppm).ok());
    ppm.and_then(Percent::from_ppm).unwrap_or(Percent::ALL)
}

impl fmt::Display for AudienceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AudienceChange::Percent { from, to } => write!(f, "{from}% -> {to}%"),
            AudienceChange::Salt => f.write_str("another salt"),
            AudienceChange::Unit { from, to } => {
                let name =
                    |unit: &Option<Arc<str>>| unit.clone().unwrap_or_else(|| "user key".into());
                write!(f, "by {} -> by {}", name(from), name(to))
            }
            AudienceChange::Within { groups, from, to, wider, narrower } => {
                write!(f, "within {}: ", groups.join(", "))?;
                match from == to {
                    true => write!(f, "{from}% of {} users", which(*wider, *narrower)),
                    false => write!(f, "{from}% -> {to}%"),
                }
            }
            AudienceChange::Only { wider, narrower } => {
                write!(f, "only: matches {} users", which(*wider, *narrower))
            }
            AudienceChange::Requires { flag, from, to, .. } => {
                let name = |stage: &Option<StageName>| {
                    stage.map_or("nothing".to_owned(), |it| it.to_string())
                };
                write!(f, "requires {flag}: {} -> {}", name(from), name(to))
            }
            AudienceChange::Users { group, values_of, added, removed } => {
                write!(f, "{group}: ")?;
                match values_of {
                    None => signed(f, *added, *removed, "user"),
                    Some(attribute) => {
                        signed(f, *added, *removed, "value")?;
                        write!(f, " of {attribute}")
                    }
                }
            }
            AudienceChange::Attributes { group, wider, narrower } => {
                write!(f, "{group}: matches {} users", which(*wider, *narrower))
            }
            AudienceChange::HoldBack {
                group,
                released,
                held,
                releases_attributes,
                holds_attributes,
            } => {
                write!(f, "hold_back of {group}: ")?;
                let which = match (releases_attributes, holds_attributes) {
                    (true, true) => "matches other users",
                    (true, false) => "matches fewer users",
                    (false, true) => "matches more users",
                    (false, false) => return signed(f, *held, *released, "user"),
                };
                f.write_str(which)?;
                if released + held > 0 {
                    f.write_str(", ")?;
                    signed(f, *held, *released, "user")?;
                }
                Ok(())
            }
        }
    }
}

fn which(wider: bool, narrower: bool) -> &'static str {
    match (wider, narrower) {
        (true, true) => "other",
        (true, false) => "more",
        _ => "fewer",
    }
}

/// Writes `+2 -3 users`.
fn signed(f: &mut fmt::Formatter<'_>, added: usize, removed: usize, noun: &str) -> fmt::Result {
    let plural = if added + removed == 1 { "" } else { "s" };
    match (added, removed) {
        (added, 0) => write!(f, "+{added} {noun}{plural}"),
        (0, removed) => write!(f, "-{removed} {noun}{plural}"),
        (added, removed) => write!(f, "+{added} -{removed} {noun}s"),
    }
}
