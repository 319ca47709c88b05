//! The stages of a plan.

use std::sync::Arc;

use super::audience::Group;
use super::bucketing::Threshold;
use super::evaluation::Reason;
use super::stage_name::StageName;
use crate::percent::Percent;

/// A flag's position in its plan: 0 is `off`, and 1 is the first stage.
pub(crate) type Position = u16;

/// A compiled stage of a plan.
#[derive(Debug)]
pub(crate) struct StageDefinition {
    /// Always `Some`. An [`Evaluation`](super::Evaluation) has an `Option`, so this field is copied as a whole.
    pub(super) name: Option<StageName>,
    pub(crate) threshold: Threshold,
    pub(crate) percent: Percent,
    /// The reason for users whom no group names, while a flag is in this stage.
    pub(super) reason: Reason,
    /// The groups that this stage adds to the groups of earlier stages.
    pub(crate) groups: Box<[Arc<Group>]>,
}

impl StageDefinition {
    pub(crate) fn new(
        name: StageName,
        percent: Percent,
        groups: Box<[Arc<Group>]>,
    ) -> StageDefinition {
        let threshold = Threshold::of(percent);
        let reason = match percent {
            Percent::ALL => Reason::Static,
            Percent::NONE => Reason::Default,
            _ => Reason::Split,
        };
        StageDefinition { name: Some(name), threshold, percent, reason, groups }
    }

    pub(crate) fn name(&self) -> &StageName {
        self.name.as_ref().unwrap_or(&StageName::OFF)
    }
}
