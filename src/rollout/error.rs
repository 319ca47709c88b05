//! Why a rollout did not do what was asked.

use thiserror::Error;

use crate::plan::PlanError;
use crate::rollout::{Damage, Refusal, StoreError};

/// What was asked of a rollout and not done. What was in force before still is.
#[derive(Clone, Debug, Error)]
#[error(transparent)]
pub struct RolloutError {
    kind: Box<Kind>,
}

#[derive(Clone, Debug, Error)]
pub(super) enum Kind {
    #[error(transparent)]
    Refused { refusal: Refusal },
    /// Of an update: each flag that stands in its way.
    #[error("{}", .refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    UpdateRefused { refusals: Vec<Refusal> },
    /// Of an update: it takes flags from too many at once.
    #[error(transparent)]
    Shrinks { error: PlanError },
    #[error(transparent)]
    Document { error: PlanError },
    #[error("no flag `{}`: {hint}", crate::plan::Excerpt(flag))]
    UnknownFlag { flag: String, hint: String },
    #[error("flag `{flag}` has no stage `{}`: {hint}", crate::plan::Excerpt(stage))]
    UnknownStage { flag: String, stage: String, hint: String },
    #[error("{store}: {error}")]
    Store { store: String, error: StoreError },
    #[error("{store}: line {} of the journal, byte {}: {}; nothing was changed", .damage.line, .damage.offset, .damage.what)]
    Damaged { store: String, damage: Damage },
    #[error("{store}: there is no rollout yet; start one with a document")]
    NotStarted { store: String },
    #[error("{store}: there is a rollout already; give it another document with `update`")]
    AlreadyStarted { store: String },
}

impl RolloutError {
    /// Whether a condition is not met: [`refusals`](RolloutError::refusals) has which, flag by flag. Where an update removes
    /// most flags or empties a list of users, [`plan_error`](RolloutError::plan_error) has it instead.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Refused { .. } | Kind::UpdateRefused { .. } | Kind::Shrinks { .. }
        )
    }

    /// Whether there is no such flag or stage.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(*self.kind, Kind::UnknownFlag { .. } | Kind::UnknownStage { .. })
    }

    /// Whether the document is no plan.
    #[must_use]
    pub fn is_invalid_document(&self) -> bool {
        matches!(*self.kind, Kind::Document { .. })
    }

    /// Whether the journal is not what was written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match &*self.kind {
            Kind::Damaged { .. } => true,
            Kind::Store { error, .. } => error.is_damaged(),
            _ => false,
        }
    }

    /// The store's failure, where it is one.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match &*self.kind {
            Kind::Store { error, .. } => Some(error),
            _ => None,
        }
    }

    /// The document's problems, where it is no plan or takes flags from too many at once.
    #[must_use]
    pub fn plan_error(&self) -> Option<&PlanError> {
        match &*self.kind {
            Kind::Document { error } | Kind::Shrinks { error } => Some(error),
            _ => None,
        }
    }

    /// What was refused, flag by flag.
    #[must_use]
    pub fn refusals(&self) -> &[Refusal] {
        match &*self.kind {
            Kind::Refused { refusal } => std::slice::from_ref(refusal),
            Kind::UpdateRefused { refusals } => refusals,
            _ => &[],
        }
    }
}

impl From<Kind> for RolloutError {
    fn from(kind: Kind) -> RolloutError {
        RolloutError { kind: Box::new(kind) }
    }
}
