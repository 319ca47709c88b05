//! Users whom no group names: most of them, most of the time.

use super::bucketing::Threshold;
use super::evaluation::{Evaluation, Reason};
use super::stage::{Position, Stage, StageName};

/// A user whom no group names, and a flag at a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unlisted {
    pub(crate) bucket: u64,
    pub(crate) position: Position,
    pub(crate) version: u64,
}

impl Unlisted {
    /// The decision with its reason.
    #[inline(always)]
    pub(crate) fn evaluate(self, stages: &[Stage]) -> Evaluation {
        let Unlisted { bucket, version, .. } = self;
        // Percentages never fall, so these are the first ones. To look at all takes less time than to foresee the last. Nothing
        // else is made of them: they are not looked at for those who do not look at the cohort.
        let bucket_below = Threshold::below_everyone(bucket);
        let waits = |stage: &Stage| usize::from(!stage.threshold.is_above(bucket_below));
        let before = stages.iter().map(waits).sum::<usize>();
        let (enabled, reason, stage) = match self.stage(stages) {
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

    /// The same decision, and that it is by the bucket alone.
    #[inline]
    pub(crate) fn place(self, stages: &[Stage]) -> Placement {
        let Unlisted { bucket, position, .. } = self;
        let enabled = self.stage(stages).is_some_and(|stage| stage.threshold.admits(bucket));
        Placement { enabled, by_bucket: position > 0, bucket, position }
    }

    #[inline]
    fn stage(self, stages: &[Stage]) -> Option<&Stage> {
        stages.get(usize::from(self.position).checked_sub(1)?)
    }
}

/// Where a question leaves a user, for whoever counts what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    pub(crate) enabled: bool,
    /// Whether the bucket alone decided: no list has the user, and none holds them back.
    pub(crate) by_bucket: bool,
    pub(crate) bucket: u64,
    pub(crate) position: Position,
}
