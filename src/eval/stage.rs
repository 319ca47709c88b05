//! The stages of a plan.

use std::sync::Arc;

use super::audience::Group;
use super::bucketing::Threshold;
use super::evaluation::Reason;
use super::flag::contains;
use super::stage_name::StageName;
use super::user::AsUser;
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
    /// The reason for users that are in no group, while a flag is in this stage.
    pub(super) reason: Reason,
    /// The groups that this stage adds to the groups of earlier stages.
    pub(crate) groups: Box<[Arc<Group>]>,
    /// The groups whose users the percentage refers to. Empty: all users.
    pub(crate) within: Box<[Arc<Group>]>,
}

impl StageDefinition {
    pub(crate) fn new(
        name: StageName,
        percent: Percent,
        groups: Box<[Arc<Group>]>,
        within: Box<[Arc<Group>]>,
    ) -> StageDefinition {
        let threshold = Threshold::of(percent);
        let reason = match percent {
            Percent::ALL => Reason::Static,
            Percent::NONE => Reason::Default,
            _ => Reason::Split,
        };
        StageDefinition { name: Some(name), threshold, percent, reason, groups, within }
    }

    /// Returns whether the percentage refers to the user.
    pub(crate) fn is_within(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.within.is_empty() || contains(&self.within, key, user)
    }

    pub(crate) fn name(&self) -> &StageName {
        self.name.as_ref().unwrap_or(&StageName::OFF)
    }
}
