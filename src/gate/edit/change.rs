//! What is different about a flag's audience after an edit of its plan.

use std::fmt;
use std::sync::Arc;

use super::audience::Audience;
use crate::percent::{PPM, Percent};

/// A part of a flag's audience that an edit of the plan changes.
///
/// Printed as `10% -> 20%`, `team: +994 users`, `eu: matches more users`.
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
    /// A group lists other users. Users whom another group of the stage lists as well are not counted.
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
        /// Whether users match who did not before.
        wider: bool,
        /// Whether users no longer match who did before.
        narrower: bool,
    },
    /// `hold_back` keeps other users out.
    #[non_exhaustive]
    HoldBack {
        /// The group's name.
        group: Arc<str>,
        /// Number of listed users who need not wait any more.
        released: usize,
        /// Number of listed users who wait now.
        held: usize,
        /// Whether users whom attributes match need not wait any more.
        releases_attributes: bool,
        /// Whether users whom attributes match wait now.
        holds_attributes: bool,
    },
}

impl AudienceChange {
    /// Whether users are admitted who were not admitted before. Longer lists of users do not count: a list names each of
    /// them.
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

/// The share of a flag's users whom an update takes the flag from, in each way that it has.
impl AudienceChange {
    /// The share that this change takes the flag from, where it takes it from anybody: of all users for a percentage, of
    /// the group's users for a list. All of a group where the share cannot be known.
    pub(crate) fn takes(&self, before: Audience<'_>, after: Audience<'_>) -> Option<Percent> {
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
                let rules = |audience: Audience<'_>| {
                    let groups = audience.groups();
                    let group = groups.get(&**group)?;
                    Some(group.rules.iter().map(|rule| rule.values.len()).product::<usize>())
                };
                let same = |audience: Audience<'_>| {
                    let groups = audience.groups();
                    let group = groups.get(&**group)?;
                    let mut names: Vec<_> =
                        group.rules.iter().map(|rule| rule.name.clone()).collect();
                    names.sort_unstable();
                    Some(names)
                };
                let (old, new) = (rules(before).unwrap_or(0), rules(after).unwrap_or(0));
                let is_comparable = same(before) == same(after) && new < old;
                Some(if is_comparable { share(old - new, old) } else { Percent::ALL })
            }
        }
    }
}

/// Users who may leave a list in one update, whatever their share: a team of three is no export that failed.
const FEW_USERS: usize = 10;

/// A part as a percentage, rounded down; everything of nothing.
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

/// `+2 -3 users`.
fn signed(f: &mut fmt::Formatter<'_>, added: usize, removed: usize, noun: &str) -> fmt::Result {
    let plural = if added + removed == 1 { "" } else { "s" };
    match (added, removed) {
        (added, 0) => write!(f, "+{added} {noun}{plural}"),
        (0, removed) => write!(f, "-{removed} {noun}{plural}"),
        (added, removed) => write!(f, "+{added} -{removed} {noun}s"),
    }
}
