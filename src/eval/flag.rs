//! A compiled flag.

use std::sync::Arc;

use super::audience::Group;
use super::bucketing::{Salt, Threshold};
use super::filter::ListFilter;
use super::stage::{Position, StageDefinition};
use super::stage_name::StageName;
use super::user::AsUser;
use crate::key::Key;

/// A flag at a position of its plan. The fields are what a check needs; versions share the rest.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(super) salt: Salt,
    /// The percentage at `position`.
    pub(super) threshold: Threshold,
    /// Whether a group can change the decision at `position`.
    pub(super) targeted: bool,
    /// Whether the definition names a group.
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
    /// Boxed to save memory, because few flags have these texts.
    pub(crate) texts: Option<Box<FlagTexts>>,
    /// In order. Percentages never fall.
    pub(crate) stages: Arc<[StageDefinition]>,
    pub(crate) hold_back: Box<[HoldBack]>,
    /// The filter over all users whom the groups list. `None` if no group is named, a group has attribute rules, or the
    /// flags list more than `MAX_FILTERED_USERS`.
    pub(crate) filter: Option<Box<ListFilter>>,
}

/// The optional texts of a flag.
#[derive(Debug)]
pub(crate) struct FlagTexts {
    pub(crate) description: Option<Box<str>>,
    /// Allows one update to let in users early, or to take the flag from many.
    pub(crate) skip_reason: Option<Box<str>>,
    /// Further names that checks may ask by. No other flag of the document has one of them.
    pub(crate) asked_as: Box<[Box<str>]>,
}

/// A group that waits until a stage, even if its users' buckets or other groups would let them in earlier.
#[derive(Debug)]
pub(crate) struct HoldBack {
    pub(crate) group: Arc<Group>,
    pub(crate) until: Position,
}

/// A position past every stage, for users whom no stage holds.
pub(super) const NEVER: Position = Position::MAX;

impl FlagDefinition {
    pub(crate) fn description(&self) -> Option<&str> {
        self.texts.as_ref()?.description.as_deref()
    }

    /// Returns the further names that checks may ask by.
    pub(crate) fn asked_as(&self) -> &[Box<str>] {
        self.texts.as_ref().map(|texts| &*texts.asked_as).unwrap_or_default()
    }

    /// Returns the key and the further names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.asked_as().iter().map(|name| &**name);
        std::iter::once(self.key.as_str()).chain(others)
    }

    pub(crate) fn skip_reason(&self) -> Option<&str> {
        self.texts.as_ref()?.skip_reason.as_deref()
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

    /// Returns the groups of the stages and hold-backs. A group that is named twice appears twice.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        let granted = self.stages.iter().flat_map(|stage| &stage.groups).map(|group| &**group);
        granted.chain(self.hold_back.iter().map(|hold| &*hold.group))
    }

    /// Builds the filter over all users whom the groups list, and subtracts their number from `room`.
    ///
    /// Counts a user of two groups twice. Builds no filter if a group has attribute rules, or the users exceed `room`.
    pub(crate) fn with_filter(mut self, room: &mut usize) -> FlagDefinition {
        let users = |group: &Group| group.rules.is_empty().then(|| group.users.len());
        let listed: Option<usize> = self.groups().map(users).sum();
        if let Some(users) = listed.filter(|users| users <= room && self.names_groups()) {
            let keys = self.groups().flat_map(|group| group.users.iter());
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
        let holds = self.hold_back.iter().filter(|hold| hold.group.contains(key, user));
        holds.map(|hold| hold.until).max().unwrap_or(0)
    }

    /// Returns the first stage up to `last` with a group that contains the user; `NEVER` if there is none.
    pub(super) fn first_group_stage(
        &self,
        last: Position,
        key: &[u8],
        user: &impl AsUser,
    ) -> Position {
        let listed =
            |stage: &StageDefinition| stage.groups.iter().any(|group| group.contains(key, user));
        self.first(last, listed)
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
            grouped: definition.names_groups(),
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
        let targeted = position > 0 && (holds() || (!threshold.is_everyone() && grants()));
        Flag { threshold, targeted, position, ..self.clone() }
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

    /// Returns `false` only if no group lists a user with this bucket, and no group has attribute rules.
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
