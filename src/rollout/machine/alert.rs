//! Who has to be told.

use std::time::SystemTime;

/// Something that somebody has to be told, now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// What happened, in a sentence.
    pub text: String,
    /// Who is responsible at this moment; `None` where the plan has no responsibility table.
    pub responsible: Option<Box<str>>,
    /// By when they have to have answered, where they are asked something: then the next in line is.
    pub answer_by: Option<SystemTime>,
}

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// A metric is beyond its alert threshold.
    Metric,
    /// A trigger asks for a decision.
    Decision,
    /// The flag was taken back.
    RolledBack,
    /// A roll-back could not be verified in time, or nobody answered: the next in line is asked.
    Escalation,
    /// A check of the watch is overdue.
    WatchMissed,
}
