//! The decision about one user and one flag. Every check is a view of it.

use super::bucketing::Threshold;
use super::evaluation::{Evaluation, Reason};
use super::flag::{Flag, NEVER};
use super::stage::{Position, StageDefinition};
use super::stage_name::StageName;
use super::user::AsUser;

/// The rule of every decision.
///
/// A group that waits for a later stage overrides everything else. Otherwise the user has the flag if the percentage or
/// a group of a reached stage admits the user.
#[inline(always)]
fn decide(
    is_held_back: impl FnOnce() -> bool,
    is_in_percentage: bool,
    is_in_group: impl FnOnce() -> bool,
) -> bool {
    !is_held_back() && (is_in_percentage || is_in_group())
}

/// A decision with what the guard counts it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) enabled: bool,
    /// Whether the bucket alone decided: no group admits the user or holds the user back.
    pub(crate) by_bucket: bool,
    pub(crate) bucket: u64,
    pub(crate) position: Position,
}

impl Flag {
    /// Returns whether the user has the flag.
    #[inline(always)]
    pub(crate) fn is_enabled(&self, user: &impl AsUser) -> bool {
        if self.targeted {
            return self.is_enabled_with_groups(user);
        }
        self.threshold.is_everyone()
            || self.threshold.admits(self.salt.bucket_of(user.key().as_bytes()))
    }

    /// Out of line, because every call site inlines the case without groups.
    #[inline(never)]
    fn is_enabled_with_groups(&self, user: &impl AsUser) -> bool {
        let key = user.key();
        let key = key.as_bytes();
        let bucket = self.salt.bucket_of(key);
        let is_in_percentage = self.threshold.admits(bucket);
        if !self.may_list(bucket) {
            return is_in_percentage;
        }
        decide(|| self.is_held_back(key, user), is_in_percentage, || self.is_in_group(key, user))
    }

    fn is_held_back(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.definition().held_until(key, user) > self.position()
    }

    fn is_in_group(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.definition().first_group_stage(self.position(), key, user) <= self.position()
    }

    /// Returns the decision, and whether the bucket alone decided.
    #[inline]
    pub(crate) fn place(&self, user: &impl AsUser) -> Placement {
        let key = user.key();
        let key = key.as_bytes();
        let (bucket, position) = (self.salt.bucket_of(key), self.position());
        let is_in_percentage = self.threshold.admits(bucket);
        if !(self.targeted && self.may_list(bucket)) {
            let by_bucket = position > 0;
            return Placement { enabled: is_in_percentage, by_bucket, bucket, position };
        }
        let (held_back, in_group) = (self.is_held_back(key, user), self.is_in_group(key, user));
        let enabled = decide(|| held_back, is_in_percentage, || in_group);
        Placement { enabled, by_bucket: !held_back && !in_group, bucket, position }
    }

    /// Returns the decision with its reason.
    #[inline(always)]
    pub(crate) fn evaluate(&self, user: &impl AsUser, version: u64) -> Evaluation {
        let bucket = self.salt.bucket_of(user.key().as_bytes());
        if self.grouped && self.may_list(bucket) {
            return self.evaluate_by_groups(user, bucket, version);
        }
        self.evaluate_by_bucket(bucket, version)
    }

    /// Evaluates a user whom no group names.
    #[inline(always)]
    fn evaluate_by_bucket(&self, bucket: u64, version: u64) -> Evaluation {
        // Percentages never fall, so the stages that do not admit the bucket are the first ones. Looking at all of them
        // takes less time than a branch for each. A caller that ignores the cohort does not pay for it.
        let stages = &**self.stages();
        let bucket_below = Threshold::below_everyone(bucket);
        let waits = |stage: &StageDefinition| usize::from(!stage.threshold.is_above(bucket_below));
        let before = stages.iter().map(waits).sum::<usize>();
        let (enabled, reason, stage) = match self.definition().stage(self.position()) {
            Some(stage) => (stage.threshold.is_above(bucket_below), stage.reason, &stage.name),
            None => (false, Reason::Off, &Some(StageName::OFF)),
        };
        Evaluation {
            enabled,
            reason,
            stage: *stage,
            cohort: *stages.get(before).map_or(&None, |stage| &stage.name),
            bucket: Some(bucket),
            version,
        }
    }

    /// Evaluates a user whom a group may name.
    #[inline(never)]
    fn evaluate_by_groups(&self, user: &impl AsUser, bucket: u64, version: u64) -> Evaluation {
        let key = user.key();
        let key = key.as_bytes();
        let (definition, position) = (self.definition(), self.position());
        let by_bucket = definition.first(definition.last(), |stage| stage.threshold.admits(bucket));
        // A group can only admit the user earlier than the bucket does.
        let by_group = definition.first_group_stage(by_bucket.saturating_sub(1), key, user);
        let held_until = definition.held_until(key, user);
        let natural = by_bucket.min(by_group);
        let cohort = if natural == NEVER { NEVER } else { natural.max(held_until) };

        let (held_back, is_in_percentage) = (held_until > position, by_bucket <= position);
        let enabled = decide(|| held_back, is_in_percentage, || by_group <= position);
        let reason = if position == 0 {
            Reason::Off
        } else if held_back {
            Reason::HeldBack
        } else if self.threshold.is_everyone() {
            Reason::Static
        } else if is_in_percentage || (!enabled && !self.threshold.is_nobody()) {
            Reason::Split
        } else if enabled {
            Reason::TargetingMatch
        } else {
            Reason::Default
        };
        Evaluation {
            enabled,
            reason,
            stage: definition.stage_name(position),
            cohort: if cohort == NEVER { None } else { definition.stage_name(cohort) },
            bucket: Some(bucket),
            version,
        }
    }
}
