//! The changes of a flag's audience by an edit of its plan.

use std::fmt;
use std::sync::Arc;

use super::audience::Audience;
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
    /// A group lists other users. Does not count users who are on the list of another group of the stage, too.
    #[non_exhaustive]
    Users {
        /// The group's name.
        group: Arc<str>,
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
            AudienceChange::Salt => true,
            AudienceChange::Users { .. } => false,
            AudienceChange::Attributes { wider, .. } => *wider,
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
            AudienceChange::Salt => Some(Percent::ALL),
            AudienceChange::Users { removed: 0..=FEW_USERS, .. }
            | AudienceChange::Attributes { narrower: false, .. }
            | AudienceChange::HoldBack { .. } => None,
            AudienceChange::Users { group, removed, .. } => {
                let all = before.groups().get(&**group).map_or(0, |group| group.users.len());
                Some(share(*removed, all))
            }
            AudienceChange::Attributes { group, .. } => {
                let combinations = |audience: Audience<'_>| {
                    let groups = audience.groups();
                    let group = groups.get(&**group)?;
                    Some(group.rules.iter().map(|rule| rule.values.len()).product::<usize>())
                };
                let names = |audience: Audience<'_>| {
                    let groups = audience.groups();
                    let group = groups.get(&**group)?;
                    let mut names: Vec<_> =
                        group.rules.iter().map(|rule| rule.name.clone()).collect();
                    names.sort_unstable();
                    Some(names)
                };
                let old = combinations(before).unwrap_or(0);
                let new = combinations(after).unwrap_or(0);
                let is_comparable = names(before) == names(after) && new < old;
                Some(if is_comparable { share(old - new, old) } else { Percent::ALL })
            }
        }
    }
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
            AudienceChange::Users { group, added, removed } => {
                write!(f, "{group}: ")?;
                signed(f, *added, *removed, "user")
            }
            AudienceChange::Attributes { group, wider, narrower } => {
                let which = match (wider, narrower) {
                    (true, true) => "other",
                    (true, false) => "more",
                    _ => "fewer",
                };
                write!(f, "{group}: matches {which} users")
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

/// Writes `+2 -3 users`.
fn signed(f: &mut fmt::Formatter<'_>, added: usize, removed: usize, noun: &str) -> fmt::Result {
    let plural = if added + removed == 1 { "" } else { "s" };
    match (added, removed) {
        (added, 0) => write!(f, "+{added} {noun}{plural}"),
        (0, removed) => write!(f, "-{removed} {noun}{plural}"),
        (added, removed) => write!(f, "+{added} -{removed} {noun}s"),
    }
}
