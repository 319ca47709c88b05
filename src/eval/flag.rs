//! One flag, compiled for asking.

use std::sync::Arc;

use super::audience::Group;
use super::bucketing::{Quick, Salt, Threshold};
use super::evaluation::{Evaluation, Reason};
use super::stage::{Position, Stage, StageName};
use super::unlisted::{Placement, Unlisted};
use super::user::AsUser;
use crate::key::Key;

/// A flag at a position of its plan. What a check needs is laid out first; the rest is shared
/// between versions.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    salt: Salt,
    /// The percentage at `position`.
    threshold: Threshold,
    /// Whether a group can change the answer at `position`.
    targeted: bool,
    /// Whether the definition names any group at all.
    grouped: bool,
    position: Position,
    /// Where the plan document put the flag.
    declared: Position,
    definition: Arc<FlagDefinition>,
}

/// What the plan says of a flag, whatever its position.
#[derive(Debug)]
pub(crate) struct FlagDefinition {
    pub(crate) key: Key,
    pub(crate) salt: Salt,
    pub(crate) owner: Option<Box<str>>,
    /// Few flags have any: so they take no room where there are none.
    pub(crate) remarks: Option<Box<Remarks>>,
    /// In order, percentages never falling.
    pub(crate) stages: Arc<[Stage]>,
    pub(crate) hold_back: Box<[HoldBack]>,
}

/// What people say of a flag.
#[derive(Debug)]
pub(crate) struct Remarks {
    pub(crate) description: Option<Box<str>>,
    /// Allows an update to move the flag up more than one stage, once.
    pub(crate) skip_reason: Option<Box<str>>,
}

/// A group that waits until a stage, whatever else would let its users in.
#[derive(Debug)]
pub(crate) struct HoldBack {
    pub(crate) group: Arc<Group>,
    pub(crate) until: Position,
}

/// A position past every stage: where a user is who is in no stage.
const NEVER: Position = Position::MAX;

impl FlagDefinition {
    pub(crate) fn description(&self) -> Option<&str> {
        self.remarks.as_ref()?.description.as_deref()
    }

    pub(crate) fn skip_reason(&self) -> Option<&str> {
        self.remarks.as_ref()?.skip_reason.as_deref()
    }

    /// The position with that name; `off` is 0.
    pub(crate) fn position_of(&self, stage: &str) -> Option<Position> {
        if StageName::OFF == *stage {
            return Some(0);
        }
        let index = self.stages.iter().position(|s| *s.name() == *stage)?;
        Position::try_from(index + 1).ok()
    }

    /// The stage at that position; `None` at 0, when off.
    pub(crate) fn stage(&self, position: Position) -> Option<&Stage> {
        self.stages.get(usize::from(position).checked_sub(1)?)
    }

    /// Every position before `NEVER` names a stage, or is 0.
    pub(crate) fn stage_name(&self, position: Position) -> Option<StageName> {
        if position == 0 { Some(StageName::OFF) } else { self.stage(position).map(|s| *s.name()) }
    }

    pub(crate) fn last(&self) -> Position {
        Position::try_from(self.stages.len()).unwrap_or(NEVER)
    }

    pub(crate) fn stages_until(&self, position: Position) -> &[Stage] {
        self.stages.get(..usize::from(position)).unwrap_or(&self.stages)
    }

    /// The groups of its stages and hold-backs; one that is named twice comes twice.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        let granted = self.stages.iter().flat_map(|stage| &stage.groups).map(|group| &**group);
        granted.chain(self.hold_back.iter().map(|hold| &*hold.group))
    }

    fn names_groups(&self) -> bool {
        !self.hold_back.is_empty() || self.stages.iter().any(|stage| !stage.groups.is_empty())
    }

    /// The latest stage that a group of the user's waits for; 0 when none.
    fn held_until(&self, key: &[u8], user: &impl AsUser) -> Position {
        let holds = self.hold_back.iter().filter(|hold| hold.group.contains(key, user));
        holds.map(|hold| hold.until).max().unwrap_or(0)
    }

    /// The first of the stages up to `last` that has a group of the user's.
    fn first_group_stage(&self, last: Position, key: &[u8], user: &impl AsUser) -> Position {
        let listed = |stage: &Stage| stage.groups.iter().any(|group| group.contains(key, user));
        self.first(last, listed)
    }

    /// The first of the stages up to `last` for which `holds` is true.
    fn first(&self, last: Position, holds: impl Fn(&Stage) -> bool) -> Position {
        let index = self.stages_until(last).iter().position(holds);
        index.and_then(|index| Position::try_from(index + 1).ok()).unwrap_or(NEVER)
    }
}

impl Flag {
    /// The flag as declared.
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

    /// The same flag under another definition with the same stages.
    pub(super) fn under(&self, definition: Arc<FlagDefinition>) -> Flag {
        Flag { definition, ..self.clone() }
    }

    /// The same flag at another position.
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

    pub(crate) fn stages(&self) -> &Arc<[Stage]> {
        &self.definition.stages
    }

    /// Whether these stages place users as the flag's own do, those in groups aside.
    pub(crate) fn is_placed_by(&self, stages: &[Stage]) -> bool {
        let own = &**self.stages();
        let alike = |(a, b): (&Stage, &Stage)| a.name() == b.name() && a.threshold == b.threshold;
        std::ptr::eq(own, stages)
            || (own.len() == stages.len() && own.iter().zip(stages).all(alike))
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn declared(&self) -> Position {
        self.declared
    }

    /// Whether both are the same flag at the same position, and so are answered alike.
    pub(crate) fn is_like(&self, other: &Flag) -> bool {
        self.position == other.position && self.is_defined_like(other)
    }

    pub(crate) fn is_defined_like(&self, other: &Flag) -> bool {
        Arc::ptr_eq(&self.definition, &other.definition)
    }

    /// How many users its groups list, those on several counted for each; `None` where an attribute may have a say.
    pub(crate) fn most_listed(&self) -> Option<usize> {
        let users = |group: &Group| group.rules.is_empty().then(|| group.users.len());
        self.definition.groups().map(users).sum()
    }

    /// The buckets of these users.
    pub(crate) fn listed(&self) -> impl Iterator<Item = u64> {
        let users = self.definition.groups().flat_map(|group| group.users.iter());
        users.map(|user| self.salt.bucket_of(user))
    }

    /// What decides about a user whom no group lists, where that is known of each.
    pub(crate) fn quick_unless_listed(&self) -> Quick {
        self.threshold.into()
    }

    pub(crate) fn salt(&self) -> Salt {
        self.salt
    }

    /// What decides, where a threshold is all there is to it.
    pub(crate) fn quick(&self) -> Quick {
        if self.targeted { Quick::ASK } else { self.threshold.into() }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.definition.key
    }

    /// Whether the user has the flag.
    #[inline(always)]
    pub(crate) fn is_enabled(&self, user: &impl AsUser) -> bool {
        if self.targeted {
            return self.is_enabled_by_groups(user);
        }
        self.threshold.is_everyone()
            || self.threshold.admits(self.salt.bucket_of(user.key().as_bytes()))
    }

    /// The same where groups have a say: kept out of callers, which are many.
    #[inline(never)]
    fn is_enabled_by_groups(&self, user: &impl AsUser) -> bool {
        let key = user.key();
        let key = key.as_bytes();
        let definition = &*self.definition;
        let position = self.position;
        if !definition.hold_back.is_empty() && definition.held_until(key, user) > position {
            return false;
        }
        self.threshold.is_everyone()
            || self.threshold.admits(self.salt.bucket_of(key))
            || definition.first_group_stage(position, key, user) <= position
    }

    /// The same decision, and by what.
    #[inline]
    pub(crate) fn place(&self, user: &impl AsUser) -> Placement {
        let bucket = self.salt.bucket_of(user.key().as_bytes());
        let position = self.position;
        let within = self.threshold.admits(bucket);
        if !self.targeted {
            return Placement { enabled: within, by_bucket: position > 0, bucket, position };
        }
        let (held, listed) = self.named(user);
        let (enabled, by_bucket) = (!held && (within || listed), !held && !listed);
        Placement { enabled, by_bucket, bucket, position }
    }

    /// Whether a group holds the user back, and whether one lets them in.
    #[inline(never)]
    fn named(&self, user: &impl AsUser) -> (bool, bool) {
        let key = user.key();
        let (key, position, definition) = (key.as_bytes(), self.position, &*self.definition);
        let held = definition.held_until(key, user) > position;
        (held, definition.first_group_stage(position, key, user) <= position)
    }

    /// The decision with its reason.
    #[inline(always)]
    pub(crate) fn evaluate(&self, user: &impl AsUser, version: u64) -> Evaluation {
        let key = user.key();
        let key = key.as_bytes();
        let bucket = self.salt.bucket_of(key);
        if self.grouped {
            return self.evaluate_by_groups(key, user, bucket, version);
        }
        Unlisted { bucket, position: self.position, version }.evaluate(self.stages())
    }

    /// The same where groups have a say. One path yields both, from the three positions that matter.
    #[inline(never)]
    fn evaluate_by_groups(
        &self,
        key: &[u8],
        user: &impl AsUser,
        bucket: u64,
        version: u64,
    ) -> Evaluation {
        let definition = &*self.definition;
        let by_bucket = definition.first(definition.last(), |s| s.threshold.admits(bucket));
        // A group can only bring the user in earlier than the bucket does.
        let by_group = definition.first_group_stage(by_bucket.saturating_sub(1), key, user);
        let held_until = definition.held_until(key, user);
        let natural = by_bucket.min(by_group);
        let cohort = if natural == NEVER { NEVER } else { natural.max(held_until) };

        let enabled = cohort <= self.position;
        let reason = if self.position == 0 {
            Reason::Off
        } else if held_until > self.position {
            Reason::HeldBack
        } else if self.threshold.is_everyone() {
            Reason::Static
        } else if by_bucket <= self.position || (!enabled && !self.threshold.is_nobody()) {
            Reason::Split
        } else if enabled {
            Reason::TargetingMatch
        } else {
            Reason::Default
        };
        Evaluation {
            enabled,
            reason,
            stage: definition.stage_name(self.position),
            cohort: if cohort == NEVER { None } else { definition.stage_name(cohort) },
            bucket: Some(bucket),
            version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Gate` documents it: what a snapshot that a thread keeps costs.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_flag_of_a_snapshot_is_32_bytes() {
        assert_eq!(size_of::<Flag>(), 32);
    }
}
