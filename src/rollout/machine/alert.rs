//! Alerts for the people responsible for a flag.

use std::time::SystemTime;

/// An urgent message to the person responsible for a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// The reason for the alert.
    pub kind: AlertKind,
    /// What happened, in one sentence.
    pub text: String,
    /// The person responsible now. `None` if the plan has no responsibility table.
    pub responsible: Option<Box<str>>,
    /// The deadline for an answer, if the alert asks for one. After it, the rollout asks the next in line.
    pub answer_by: Option<SystemTime>,
}

/// The reason for an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// A metric is beyond its alert threshold.
    Metric,
    /// A trigger asks for a decision.
    Decision,
    /// The flag was rolled back.
    RolledBack,
    /// A rollback was not verified in time, or no answer came: the next in line is asked.
    Escalation,
    /// A check of the watch is overdue.
    WatchMissed,
}
