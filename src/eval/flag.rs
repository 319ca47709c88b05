//! A compiled flag.

use std::sync::Arc;

use super::audience::Group;
use super::bucketing::{Salt, Threshold};
use super::filter::ListFilter;
use super::stage::{Position, StageDefinition};
use super::stage_name::StageName;
use super::user::AsUser;
use super::user_set::UserSet;
use crate::key::Key;

/// A flag at a position of its plan. The fields are what a check needs; versions share the rest.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(super) salt: Salt,
    /// The percentage at `position`.
    pub(super) threshold: Threshold,
    /// Whether more than the user's bucket can change the decision at `position`.
    pub(super) targeted: bool,
    /// Whether the definition names a group or has [`Targeting`].
    pub(super) grouped: bool,
    position: Position,
    /// The position of the flag's `stage` in the document.
    declared: Position,
    definition: Arc<FlagDefinition>,
}

/// The plan of a flag, which does not depend on the flag's position.
#[derive(Debug)]
pub(crate) struct FlagDefinition {
    pub(crate) key: Key,
    pub(crate) salt: Salt,
    pub(crate) owner: Option<Box<str>>,
    /// Boxed to save memory.
    pub(crate) extras: Option<Box<FlagExtras>>,
    /// In order. Percentages never fall.
    pub(crate) stages: Arc<[StageDefinition]>,
    pub(crate) hold_back: Box<[HoldBack]>,
    /// The filter over all users that the groups list. `None` if no group is named, the flag has `targeting`, a group
    /// looks at attributes, or the flags list more than `MAX_FILTERED_USERS`.
    pub(crate) filter: Option<Box<ListFilter>>,
}

/// The rules of a flag that look at more than the user's key and the groups of stages and hold-backs.
///
/// A flag has them if a stage limits its percentage to groups, too.
#[derive(Debug, Default)]
pub(crate) struct Targeting {
    /// The attribute whose values the percentages refer to. `None`: user keys.
    pub(crate) unit: Option<Box<str>>,
    /// The groups of which a user must be in one, at every stage. Empty: every user may have the flag.
    pub(crate) only: Box<[Arc<Group>]>,
    /// The flags that a user must have, at every stage.
    pub(crate) requires: Box<[Prerequisite]>,
    /// Also the flags that the required flags require, each flag once. So a check never looks at one twice.
    pub(crate) all_required: Box<[Prerequisite]>,
}

/// A flag that a user must have, and the stage that this flag must have reached.
#[derive(Clone, Debug)]
pub(crate) struct Prerequisite {
    pub(crate) flag: Key,
    pub(crate) stage: StageName,
    /// The position of `stage` in the plan of `flag`.
    pub(crate) position: Position,
}

/// The parts that few flags have.
#[derive(Debug, Default)]
pub(crate) struct FlagExtras {
    pub(crate) description: Option<Box<str>>,
    /// Allows one update to let in users early, or to take the flag from many.
    pub(crate) skip_reason: Option<Box<str>>,
    /// Further names that checks may ask by. No other flag of the document has one of them.
    pub(crate) asked_as: Box<[Box<str>]>,
    pub(crate) targeting: Option<Targeting>,
}

/// A group that waits until a stage, even if its users' buckets or other groups would let them in earlier.
#[derive(Debug)]
pub(crate) struct HoldBack {
    pub(crate) group: Arc<Group>,
    /// `NEVER`: the group has the flag at no stage.
    pub(crate) until: Position,
    /// The groups that do not wait.
    pub(crate) except: Box<[Arc<Group>]>,
}

impl HoldBack {
    pub(crate) fn holds(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.group.contains(key, user) && !contains(&self.except, key, user)
    }
}

/// Returns whether one of the groups contains the user.
pub(super) fn contains(groups: &[Arc<Group>], key: &[u8], user: &impl AsUser) -> bool {
    groups.iter().any(|group| group.contains(key, user))
}

/// A position past every stage, for users that no stage holds.
pub(crate) const NEVER: Position = Position::MAX;

impl FlagDefinition {
    pub(crate) fn description(&self) -> Option<&str> {
        self.extras.as_ref()?.description.as_deref()
    }

    /// Returns the further names that checks may ask by.
    pub(crate) fn asked_as(&self) -> &[Box<str>] {
        self.extras.as_ref().map(|extras| &*extras.asked_as).unwrap_or_default()
    }

    #[inline]
    pub(crate) fn targeting(&self) -> Option<&Targeting> {
        self.extras.as_ref()?.targeting.as_ref()
    }

    /// Returns the key and the further names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.asked_as().iter().map(|name| &**name);
        std::iter::once(self.key.as_str()).chain(others)
    }

    pub(crate) fn skip_reason(&self) -> Option<&str> {
        self.extras.as_ref()?.skip_reason.as_deref()
    }

    /// Returns the position of a stage by its name; 0 for `off`.
    pub(crate) fn position_of(&self, stage: &str) -> Option<Position> {
        if StageName::OFF == *stage {
            return Some(0);
        }
        let index = self.stages.iter().position(|s| *s.name() == *stage)?;
        Position::try_from(index + 1).ok()
    }

    /// Returns the stage at a position; `None` at 0, which is `off`.
    pub(crate) fn stage(&self, position: Position) -> Option<&StageDefinition> {
        self.stages.get(usize::from(position).checked_sub(1)?)
    }

    /// Returns the name of the stage at a position; `off` at 0.
    pub(crate) fn stage_name(&self, position: Position) -> Option<StageName> {
        if position == 0 { Some(StageName::OFF) } else { self.stage(position).map(|s| *s.name()) }
    }

    pub(crate) fn last(&self) -> Position {
        Position::try_from(self.stages.len()).unwrap_or(NEVER)
    }

    pub(crate) fn stages_until(&self, position: Position) -> &[StageDefinition] {
        self.stages.get(..usize::from(position)).unwrap_or(&self.stages)
    }

    /// Returns every group that the flag names. A group that is named twice appears twice.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        let stages = self.stages.iter().flat_map(|stage| stage.groups.iter().chain(&stage.within));
        let holds =
            self.hold_back.iter().flat_map(|hold| [&hold.group].into_iter().chain(&hold.except));
        let only = self.targeting().into_iter().flat_map(|targeting| &targeting.only);
        stages.chain(holds).chain(only).map(|group| &**group)
    }

    /// Returns the attribute whose values the percentages refer to; `None` for user keys.
    pub(crate) fn unit(&self) -> Option<&str> {
        self.targeting()?.unit.as_deref()
    }

    pub(crate) fn only(&self) -> &[Arc<Group>] {
        self.targeting().map_or(&[], |targeting| &targeting.only)
    }

    pub(crate) fn requires(&self) -> &[Prerequisite] {
        self.targeting().map_or(&[], |targeting| &targeting.requires)
    }

    /// Returns the user's bucket: of the user key or, with a unit, the lowest one of the attribute's values. `None` if
    /// the user has no value.
    #[inline]
    pub(crate) fn bucket(&self, key: &[u8], user: &impl AsUser) -> Option<u64> {
        let Some(unit) = self.unit() else { return Some(self.salt.bucket_of(key)) };
        let mut lowest = None;
        user.any_value(unit, &mut |value| {
            value.with_text(|text| {
                if !text.is_empty() {
                    let bucket = self.salt.bucket_of(text.as_bytes());
                    lowest = Some(lowest.map_or(bucket, |lowest: u64| lowest.min(bucket)));
                }
            });
            false
        });
        lowest
    }

    /// Returns whether the user is in no group of `only`, although there is such a list.
    pub(crate) fn is_excluded(&self, key: &[u8], user: &impl AsUser) -> bool {
        !self.only().is_empty() && !contains(self.only(), key, user)
    }

    /// Builds the filter over all users that the groups list, and subtracts their number from `room`.
    ///
    /// Counts a user of two groups twice. Builds no filter if more than lists decides, or the users exceed `room`.
    pub(crate) fn with_filter(mut self, room: &mut usize) -> FlagDefinition {
        let users = |group: &Group| {
            group.only_lists_users().then(|| group.user_lists().map(UserSet::len).sum::<usize>())
        };
        let listed: Option<usize> = self.groups().map(users).sum();
        let listed = listed.filter(|_| self.targeting().is_none());
        if let Some(users) = listed.filter(|users| users <= room && self.names_groups()) {
            let keys = self.groups().flat_map(Group::user_lists).flat_map(UserSet::iter);
            let buckets = keys.map(|key| self.salt.bucket_of(key));
            self.filter = Some(Box::new(ListFilter::new(users, buckets)));
            *room -= users;
        }
        self
    }

    fn names_groups(&self) -> bool {
        !self.hold_back.is_empty() || self.stages.iter().any(|stage| !stage.groups.is_empty())
    }

    /// Returns the latest stage that the user's groups wait for; 0 if none of them waits.
    pub(super) fn held_until(&self, key: &[u8], user: &impl AsUser) -> Position {
        let holds = self.hold_back.iter().filter(|hold| hold.holds(key, user));
        holds.map(|hold| hold.until).max().unwrap_or(0)
    }

    /// Returns the first stage up to `last` with a group that contains the user; `NEVER` if there is none.
    pub(super) fn first_group_stage(
        &self,
        last: Position,
        key: &[u8],
        user: &impl AsUser,
    ) -> Position {
        self.first(last, |stage| contains(&stage.groups, key, user))
    }

    /// Returns the first stage up to `last` whose percentage admits the user; `NEVER` if there is none.
    pub(crate) fn first_share_stage(
        &self,
        last: Position,
        bucket: Option<u64>,
        key: &[u8],
        user: &impl AsUser,
    ) -> Position {
        let Some(bucket) = bucket else { return NEVER };
        self.first(last, |stage| stage.threshold.admits(bucket) && stage.is_within(key, user))
    }

    /// Returns the first stage up to `last` for which `holds` is true; `NEVER` if there is none.
    pub(super) fn first(
        &self,
        last: Position,
        holds: impl Fn(&StageDefinition) -> bool,
    ) -> Position {
        let index = self.stages_until(last).iter().position(holds);
        index.and_then(|index| Position::try_from(index + 1).ok()).unwrap_or(NEVER)
    }
}

impl Flag {
    /// Creates the flag at its declared position.
    pub(crate) fn new(definition: Arc<FlagDefinition>, declared: Position) -> Flag {
        let flag = Flag {
            salt: definition.salt,
            threshold: Threshold::NOBODY,
            targeted: false,
            grouped: definition.targeting().is_some() || definition.names_groups(),
            position: 0,
            declared,
            definition,
        };
        flag.at(declared)
    }

    /// Returns the flag with another definition that has the same stages.
    pub(super) fn with_definition(&self, definition: Arc<FlagDefinition>) -> Flag {
        Flag { definition, ..self.clone() }
    }

    /// Returns the flag at another position.
    pub(crate) fn at(&self, position: Position) -> Flag {
        let definition = &self.definition;
        let threshold = definition.stage(position).map_or(Threshold::NOBODY, |s| s.threshold);
        if !self.grouped {
            return Flag { threshold, position, ..self.clone() };
        }
        let holds = || definition.hold_back.iter().any(|hold| hold.until > position);
        let grants = || definition.stages_until(position).iter().any(|s| !s.groups.is_empty());
        let decides = || holds() || (!threshold.is_everyone() && grants());
        let targeted = position > 0 && (definition.targeting().is_some() || decides());
        Flag { threshold, targeted, position, ..self.clone() }
    }

    /// Returns whether the flag has a unit, and the percentage of its values alone decides at `position`.
    pub(crate) fn is_decided_by_unit(&self) -> bool {
        let definition = &self.definition;
        let Some(targeting) = definition.targeting() else { return false };
        let reached = definition.stages_until(self.position);
        let others = !targeting.only.is_empty()
            || !targeting.requires.is_empty()
            || definition.hold_back.iter().any(|hold| hold.until > self.position)
            || reached.iter().any(|stage| !stage.groups.is_empty() || !stage.within.is_empty());
        targeting.unit.is_some() && !others
    }

    pub(crate) fn definition(&self) -> &FlagDefinition {
        &self.definition
    }

    pub(crate) fn stages(&self) -> &Arc<[StageDefinition]> {
        &self.definition.stages
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn declared(&self) -> Position {
        self.declared
    }

    /// Returns `false` only if the bucket alone decides about a user with this bucket of the user key.
    #[inline(always)]
    pub(super) fn may_list(&self, bucket: u64) -> bool {
        self.definition.filter.as_ref().is_none_or(|filter| filter.may_contain(bucket))
    }

    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    pub(crate) fn threshold(&self) -> Threshold {
        self.threshold
    }

    pub(crate) fn is_targeted(&self) -> bool {
        self.targeted
    }

    pub(crate) fn filter(&self) -> Option<&ListFilter> {
        self.definition.filter.as_deref()
    }

    pub(crate) fn key(&self) -> &Key {
        &self.definition.key
    }

    /// Returns the key and the further names that checks may ask by.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.definition.names()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation of `Gate` names this size.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_flag_of_a_snapshot_is_32_bytes() {
        assert_eq!(size_of::<Flag>(), 32);
    }
}
