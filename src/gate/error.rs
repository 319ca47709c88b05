//! Refused updates.

use thiserror::Error;

use crate::eval::StageName;
use crate::plan::{Excerpt, PlanError, Problem};

/// A refused update. The state before the update stays in force.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
///
/// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"off\"")?;
/// let error = gate.set_stage("a", "expanded").unwrap_err();
/// assert!(error.is_skip());
/// assert_eq!(
///     error.to_string(),
///     "flag `a` is at `off`: going to `expanded` skips internal, pilot; \
///      go to `internal`, or force it and give a reason",
/// );
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, Error)]
#[error(transparent)]
pub struct UpdateError {
    /// Boxed, so that the `Result` of an update is small.
    kind: Box<Kind>,
}

#[derive(Clone, Debug, Error)]
pub(super) enum Kind {
    #[error(transparent)]
    Document { error: PlanError },
    /// A document that lacks a reason it needs. `is_skip`: it would let in users.
    #[error("{error}")]
    NeedsReason { error: PlanError, is_skip: bool },
    #[error(
        "flag `{flag}` is at `{from}`: going to `{to}` skips {skipped}; go to `{next}`, or force it and give a reason"
    )]
    Skip { flag: String, from: StageName, to: StageName, skipped: String, next: StageName },
    #[error("no flag `{}`: {hint}", Excerpt(flag))]
    UnknownFlag { flag: String, hint: String },
    #[error("flag `{flag}` has no stage `{}`: {hint}", Excerpt(stage))]
    UnknownStage { flag: String, stage: String, hint: String },
    #[error(
        "the reason for forcing flag `{flag}` to `{to}` is blank; give one, it is reported with the change"
    )]
    NoReason { flag: String, to: StageName },
    #[error(
        "a rollout drives flag `{flag}`, so only a promotion moves it up to `{to}`: promote it in the rollout"
    )]
    DrivenFlag { flag: String, to: StageName },
    #[error(
        "a rollout drives this gate, so it takes no documents: change the plan with `Rollout::update`"
    )]
    DrivenGate,
}

impl UpdateError {
    /// Returns whether the update would let in users too early without a reason: by skipping a stage, or by an edit of
    /// the plan.
    #[must_use]
    pub fn is_skip(&self) -> bool {
        let lets_in = matches!(*self.kind, Kind::NeedsReason { is_skip: true, .. });
        lets_in || matches!(*self.kind, Kind::Skip { .. } | Kind::NoReason { .. })
    }

    /// Returns whether the document would, without a reason, take flags from more users at once than
    /// `limits.per_update` allows, or empty a list of users.
    #[must_use]
    pub fn is_shrink(&self) -> bool {
        matches!(*self.kind, Kind::NeedsReason { is_skip: false, .. })
    }

    /// Returns whether a rollout drives the gate. Then only the rollout may move flags up and put documents in force.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        matches!(*self.kind, Kind::DrivenFlag { .. } | Kind::DrivenGate)
    }

    /// Returns whether the given flag or stage does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(*self.kind, Kind::UnknownFlag { .. } | Kind::UnknownStage { .. })
    }

    /// Returns whether the document is not a valid plan. Such a document is refused whatever plan is in force.
    #[must_use]
    pub fn is_invalid_document(&self) -> bool {
        matches!(*self.kind, Kind::Document { .. })
    }

    /// Returns the problems of the document, in order of place. Empty for updates by a call.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &*self.kind {
            Kind::Document { error } | Kind::NeedsReason { error, .. } => error.problems(),
            _ => &[],
        }
    }
}

impl From<Kind> for UpdateError {
    fn from(kind: Kind) -> UpdateError {
        UpdateError { kind: Box::new(kind) }
    }
}

impl From<PlanError> for UpdateError {
    fn from(error: PlanError) -> UpdateError {
        Kind::Document { error }.into()
    }
}
