//! Why an update was refused.

use thiserror::Error;

use crate::eval::StageName;
use crate::plan::{Excerpt, PlanError, Problem};

/// An update that was refused. What was in force before still is.
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
    /// Boxed: updates return it by value, and mostly do not fail.
    kind: Box<Kind>,
}

#[derive(Clone, Debug, Error)]
pub(super) enum Kind {
    #[error(transparent)]
    Document { error: PlanError },
    /// What needs a reason and has none; `is_skip`: it lets somebody in.
    #[error("{error}")]
    Unreasoned { error: PlanError, is_skip: bool },
    #[error(
        "flag `{flag}` is at `{from}`: going to `{to}` skips {skipped}; go to `{next}`, or force it and give a reason"
    )]
    Skip { flag: String, from: StageName, to: StageName, skipped: String, next: StageName },
    #[error("no flag `{}`: {hint}", Excerpt(flag))]
    UnknownFlag { flag: String, hint: String },
    #[error("flag `{flag}` has no stage `{}`: {hint}", Excerpt(stage))]
    UnknownStage { flag: String, stage: String, hint: String },
    #[error(
        "flag `{flag}` is to be forced to `{to}` without a reason; give one, it is kept with the change"
    )]
    NoReason { flag: String, to: StageName },
    #[error(
        "flag `{flag}` is driven by a rollout, which alone takes it up to `{to}`: promote it there"
    )]
    Driven { flag: String, to: StageName },
    #[error("a rollout drives this gate, and alone puts documents in force: update the rollout")]
    DrivenGate,
}

impl UpdateError {
    /// Whether the update would let in users too early without a reason: by skipping a stage, or by an edit of the plan.
    #[must_use]
    pub fn is_skip(&self) -> bool {
        let lets_in = matches!(*self.kind, Kind::Unreasoned { is_skip: true, .. });
        lets_in || matches!(*self.kind, Kind::Skip { .. } | Kind::NoReason { .. })
    }

    /// Whether the document would take flags from more users at once than `limits.per_update` allows, without a reason, or
    /// empties a list of users.
    #[must_use]
    pub fn is_shrink(&self) -> bool {
        matches!(*self.kind, Kind::Unreasoned { is_skip: false, .. })
    }

    /// Whether a rollout drives the gate, so that only it takes flags up and puts documents in
    /// force.
    #[must_use]
    pub fn is_driven(&self) -> bool {
        matches!(*self.kind, Kind::Driven { .. } | Kind::DrivenGate)
    }

    /// Whether the flag or the stage asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(*self.kind, Kind::UnknownFlag { .. } | Kind::UnknownStage { .. })
    }

    /// Whether the document is no plan, whatever is in force.
    #[must_use]
    pub fn is_invalid_document(&self) -> bool {
        matches!(*self.kind, Kind::Document { .. })
    }

    /// The problems of the document, in order of place; empty where none was given.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &*self.kind {
            Kind::Document { error } | Kind::Unreasoned { error, .. } => error.problems(),
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
