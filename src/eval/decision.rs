//! The decision about one user and one flag. Every check is a view of it.

use super::bucketing::Threshold;
use super::evaluation::{Evaluation, Reason};
use super::flag::{Flag, NEVER};
use super::snapshot::Snapshot;
use super::stage::{Position, StageDefinition};
use super::stage_name::StageName;
use super::user::AsUser;

/// The rule of every decision.
///
/// Bars override everything else: a required flag that the user lacks, `only`, and a group that waits for a later
/// stage. Without a bar, the user has the flag if the percentage or a group of a reached stage admits the user.
///
/// Growing only adds: no bar depends on the flag's stage, except hold-backs, which end at one.
#[inline(always)]
fn decide(
    is_barred: impl FnOnce() -> bool,
    is_in_percentage: impl FnOnce() -> bool,
    is_in_group: impl FnOnce() -> bool,
) -> bool {
    !is_barred() && (is_in_percentage() || is_in_group())
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
    /// Returns whether the user has the flag. `snapshot` has the flags that this one requires.
    #[inline(always)]
    pub(crate) fn is_enabled(&self, user: &impl AsUser, snapshot: &Snapshot) -> bool {
        if self.targeted {
            return self.is_enabled_with_groups(user, snapshot);
        }
        self.threshold.is_everyone()
            || self.threshold.admits(self.salt.bucket_of(user.key().as_bytes()))
    }

    /// Out of line, because every call site inlines the case without groups.
    #[inline(never)]
    fn is_enabled_with_groups(&self, user: &impl AsUser, snapshot: &Snapshot) -> bool {
        let key = user.key();
        let key = key.as_bytes();
        if self.definition().targeting().is_some() {
            return self.is_enabled_by_targeting(key, user)
                && !self.lacks_prerequisite(key, user, snapshot);
        }
        let bucket = self.salt.bucket_of(key);
        let is_in_percentage = self.threshold.admits(bucket);
        if !self.may_list(bucket) {
            return is_in_percentage;
        }
        decide(|| self.is_held_back(key, user), || is_in_percentage, || self.is_in_group(key, user))
    }

    /// Returns whether the user has the flag, apart from the flags that it requires.
    fn is_enabled_by_targeting(&self, key: &[u8], user: &impl AsUser) -> bool {
        let definition = self.definition();
        decide(
            || definition.is_excluded(key, user) || self.is_held_back(key, user),
            || self.is_in_share(definition.bucket(key, user), key, user),
            || self.is_in_group(key, user),
        )
    }

    /// Returns whether the user lacks a flag that this one requires, directly or through others.
    pub(crate) fn lacks_prerequisite(
        &self,
        key: &[u8],
        user: &impl AsUser,
        snapshot: &Snapshot,
    ) -> bool {
        let required = self.definition().targeting().into_iter().flat_map(|it| &it.all_required);
        let mut flags = required.map(|it| (snapshot.flag(it.flag.as_str()), it.position));
        flags.any(|(flag, position)| {
            let has = |flag: &Flag| flag.position() >= position && flag.is_enabled_alone(key, user);
            !flag.is_some_and(has)
        })
    }

    /// Returns whether the user has the flag, apart from the flags that it requires.
    fn is_enabled_alone(&self, key: &[u8], user: &impl AsUser) -> bool {
        let is_in_percentage = || self.is_in_share(self.definition().bucket(key, user), key, user);
        if !self.targeted {
            return is_in_percentage();
        }
        self.is_enabled_by_targeting(key, user)
    }

    /// Returns whether the percentage of a reached stage admits the user.
    fn is_in_share(&self, bucket: Option<u64>, key: &[u8], user: &impl AsUser) -> bool {
        self.definition().first_share_stage(self.position(), bucket, key, user) <= self.position()
    }

    fn is_held_back(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.definition().held_until(key, user) > self.position()
    }

    fn is_in_group(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.definition().first_group_stage(self.position(), key, user) <= self.position()
    }

    /// Returns the decision, and whether the bucket alone decided.
    #[inline]
    pub(crate) fn place(&self, user: &impl AsUser, snapshot: &Snapshot) -> Placement {
        let key = user.key();
        let key = key.as_bytes();
        let position = self.position();
        if self.definition().targeting().is_some() {
            return self.place_by_targeting(key, user, snapshot);
        }
        let bucket = self.salt.bucket_of(key);
        let is_in_percentage = self.threshold.admits(bucket);
        if !(self.targeted && self.may_list(bucket)) {
            let by_bucket = position > 0;
            return Placement { enabled: is_in_percentage, by_bucket, bucket, position };
        }
        let (held_back, in_group) = (self.is_held_back(key, user), self.is_in_group(key, user));
        let enabled = decide(|| held_back, || is_in_percentage, || in_group);
        Placement { enabled, by_bucket: !held_back && !in_group, bucket, position }
    }

    /// The bucket decides only about users that the percentage of the current stage refers to.
    #[inline(never)]
    fn place_by_targeting(&self, key: &[u8], user: &impl AsUser, snapshot: &Snapshot) -> Placement {
        let (definition, position) = (self.definition(), self.position());
        let bucket = definition.bucket(key, user);
        let is_barred = definition.is_excluded(key, user)
            || self.is_held_back(key, user)
            || self.lacks_prerequisite(key, user, snapshot);
        let (in_share, in_group) =
            (self.is_in_share(bucket, key, user), self.is_in_group(key, user));
        let enabled = decide(|| is_barred, || in_share, || in_group);
        let is_split = definition.stage(position).zip(bucket).is_some_and(|(stage, bucket)| {
            stage.is_within(key, user) && stage.threshold.admits(bucket) == enabled
        });
        let by_bucket = is_split && !is_barred && !in_group;
        Placement { enabled, by_bucket, bucket: bucket.unwrap_or_default(), position }
    }

    /// Returns the decision with its reason. `snapshot` has the flags that this one requires.
    #[inline(always)]
    pub(crate) fn evaluate(&self, user: &impl AsUser, snapshot: &Snapshot) -> Evaluation {
        let bucket = self.salt.bucket_of(user.key().as_bytes());
        // With a unit, this is not the flag's bucket, and the flag has no filter.
        if self.grouped && self.may_list(bucket) {
            return self.evaluate_by_groups(user, snapshot);
        }
        self.evaluate_by_bucket(bucket, snapshot.version())
    }

    /// Evaluates a user that is in no group.
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

    /// Evaluates a user that may be in a group, or a flag with targeting.
    #[inline(never)]
    fn evaluate_by_groups(&self, user: &impl AsUser, snapshot: &Snapshot) -> Evaluation {
        let key = user.key();
        let key = key.as_bytes();
        let (definition, position) = (self.definition(), self.position());
        let bucket = definition.bucket(key, user);
        let by_bucket = definition.first_share_stage(definition.last(), bucket, key, user);
        // A group can only admit the user earlier than the bucket does.
        let by_group = definition.first_group_stage(by_bucket.saturating_sub(1), key, user);
        let held_until = definition.held_until(key, user);
        let is_excluded = definition.is_excluded(key, user);
        let natural = by_bucket.min(by_group);
        let cohort = if natural == NEVER || is_excluded { NEVER } else { natural.max(held_until) };

        let lacks_prerequisite = self.lacks_prerequisite(key, user, snapshot);
        let (is_held_back, is_in_percentage) = (held_until > position, by_bucket <= position);
        let is_barred = lacks_prerequisite || is_excluded || is_held_back;
        let enabled = decide(|| is_barred, || is_in_percentage, || by_group <= position);
        let reason = if position == 0 {
            Reason::Off
        } else if lacks_prerequisite {
            Reason::Prerequisite
        } else if is_excluded {
            Reason::Excluded
        } else if is_held_back {
            Reason::HeldBack
        } else if is_in_percentage {
            self.reason_of_share(key, user)
        } else if enabled {
            Reason::TargetingMatch
        } else {
            self.reason_of_no_share(bucket, key, user)
        };
        Evaluation {
            enabled,
            reason,
            stage: definition.stage_name(position),
            cohort: if cohort == NEVER { None } else { definition.stage_name(cohort) },
            bucket,
            version: snapshot.version(),
        }
    }

    /// Returns the reason for a user that a percentage admits.
    fn reason_of_share(&self, key: &[u8], user: &impl AsUser) -> Reason {
        let reached = self.definition().stages_until(self.position()).iter();
        let mut whole = reached.filter(|s| s.threshold.is_everyone() && s.is_within(key, user));
        match whole.next_back() {
            None => Reason::Split,
            Some(stage) if stage.within.is_empty() => Reason::Static,
            Some(_) => Reason::TargetingMatch,
        }
    }

    /// Returns the reason for a user that neither a percentage nor a group admits.
    fn reason_of_no_share(&self, bucket: Option<u64>, key: &[u8], user: &impl AsUser) -> Reason {
        let reached = self.definition().stages_until(self.position()).iter();
        let mut shares = reached.filter(|s| !s.threshold.is_nobody() && s.is_within(key, user));
        match (shares.next(), bucket) {
            (None, _) => Reason::Default,
            (Some(_), None) => Reason::NoUnit,
            (Some(_), Some(_)) => Reason::Split,
        }
    }
}
