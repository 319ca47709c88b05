//! Errors of a rollout.

use thiserror::Error;

use crate::plan::PlanError;
use crate::rollout::{Damage, Refusal, StoreError};

/// The reason why a rollout did not do an action. Its state is the same as before the action.
#[derive(Clone, Debug, Error)]
#[error(transparent)]
pub struct RolloutError {
    kind: Box<Kind>,
}

#[derive(Clone, Debug, Error)]
pub(super) enum Kind {
    #[error(transparent)]
    Refused { refusal: Refusal },
    /// A refused update, with a refusal for each flag that it must not change.
    #[error("{}", .refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    UpdateRefused { refusals: Vec<Refusal> },
    /// An update that takes flags from too many users at once.
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
    /// Returns whether the action was refused. [`refusals`](RolloutError::refusals) has the unmet conditions, flag by
    /// flag. For an update that removes most flags or empties a list of users, [`plan_error`](RolloutError::plan_error)
    /// has the problems instead.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            *self.kind,
            Kind::Refused { .. } | Kind::UpdateRefused { .. } | Kind::Shrinks { .. }
        )
    }

    /// Returns whether the flag or the stage does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(*self.kind, Kind::UnknownFlag { .. } | Kind::UnknownStage { .. })
    }

    /// Returns whether the document is invalid.
    #[must_use]
    pub fn is_invalid_document(&self) -> bool {
        matches!(*self.kind, Kind::Document { .. })
    }

    /// Returns whether the journal is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match &*self.kind {
            Kind::Damaged { .. } => true,
            Kind::Store { error, .. } => error.is_damaged(),
            _ => false,
        }
    }

    /// Returns the store's error, if the store failed.
    #[must_use]
    pub fn store_error(&self) -> Option<&StoreError> {
        match &*self.kind {
            Kind::Store { error, .. } => Some(error),
            _ => None,
        }
    }

    /// Returns the document's problems, if it is invalid or takes flags from too many users at once.
    #[must_use]
    pub fn plan_error(&self) -> Option<&PlanError> {
        match &*self.kind {
            Kind::Document { error } | Kind::Shrinks { error } => Some(error),
            _ => None,
        }
    }

    /// Returns the refusals, flag by flag.
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
