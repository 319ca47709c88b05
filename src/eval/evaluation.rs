//! The answer, and why.

use std::fmt;

use super::stage::StageName;

/// An answer with its explanation: what was decided, by which rule, from which version.
///
/// # Example
///
/// ```
/// use stagegate::{Gate, Reason};
///
/// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
/// let evaluation = gate.evaluate("user-42", "new-checkout");
/// assert!(!evaluation.enabled);
/// assert_eq!(evaluation.reason, Reason::Split);
/// assert!(evaluation.stage.is_some_and(|stage| stage == "pilot"));
/// assert!(evaluation.cohort.is_some_and(|cohort| cohort == "ga"));
/// assert_eq!(evaluation.version, 1);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// The decision, the same that `is_enabled` gives.
    pub enabled: bool,
    /// The rule that made it.
    pub reason: Reason,
    /// Where the flag is now, [`StageName::OFF`] included; `None` for an unknown flag.
    pub stage: Option<StageName>,
    /// The earliest stage whose audience holds the user; `None` when no stage does.
    pub cohort: Option<StageName>,
    /// The user's bucket for the flag's salt, 0 to 2^64 - 1; `None` for an unknown flag.
    pub bucket: Option<u64>,
    /// The version of the snapshot that answered.
    pub version: u64,
}

/// Why an answer is what it is. [`as_str`](Reason::as_str) gives `OpenFeature`'s name for it.
///
/// Where several rules would do, the first of this order is told: unknown, off, held back,
/// everybody, percentage, group.
///
/// # Example
///
/// ```
/// use stagegate::Reason;
///
/// assert_eq!(Reason::Split.as_str(), "SPLIT");
/// assert_eq!(Reason::HeldBack.as_str(), "TARGETING_MATCH");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No flag of that name (`ERROR`, with the error code `FLAG_NOT_FOUND`).
    FlagNotFound,
    /// The flag is off, before its first stage (`DISABLED`).
    Off,
    /// The user is in a group that waits for a later stage (`TARGETING_MATCH`).
    HeldBack,
    /// The stage is for everybody (`STATIC`).
    Static,
    /// The user's bucket decided, for or against (`SPLIT`).
    Split,
    /// The user is in a group of a stage reached (`TARGETING_MATCH`).
    TargetingMatch,
    /// The user is in no group of a stage that has no percentage (`DEFAULT`).
    Default,
}

impl Reason {
    /// The reason's name in the `OpenFeature` specification.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::FlagNotFound => "ERROR",
            Reason::Off => "DISABLED",
            Reason::HeldBack | Reason::TargetingMatch => "TARGETING_MATCH",
            Reason::Static => "STATIC",
            Reason::Split => "SPLIT",
            Reason::Default => "DEFAULT",
        }
    }
}

/// The `OpenFeature` name.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
