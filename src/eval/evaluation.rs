//! A decision with its reason.

use std::fmt;

use super::stage_name::StageName;

/// A decision with its explanation: the reason, the flag's stage, the user's cohort and bucket, and the version.
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
    /// Whether the user has the flag, as `is_enabled` returns it.
    pub enabled: bool,
    /// The rule that decided.
    pub reason: Reason,
    /// The flag's stage, which may be [`StageName::OFF`]; `None` for an unknown flag.
    pub stage: Option<StageName>,
    /// The earliest stage whose audience holds the user; `None` if no stage does. Does not look at required flags.
    pub cohort: Option<StageName>,
    /// The user's bucket for the flag's salt, 0 to 2^64 - 1, of the user key or of the flag's unit (`by`). `None` for
    /// an unknown flag, and for a user without a value of the unit.
    pub bucket: Option<u64>,
    /// The version of the snapshot that answered.
    pub version: u64,
}

/// The rule that decided. [`as_str`](Reason::as_str) returns the name that `OpenFeature` uses.
///
/// If several rules apply, the first in this order is the reason: unknown, off, prerequisite, excluded, held back,
/// everybody, percentage, group, no unit.
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
    /// There is no flag with this name (`ERROR`, with the error code `FLAG_NOT_FOUND`).
    FlagNotFound,
    /// The flag is off, before its first stage (`DISABLED`).
    Off,
    /// A flag that this flag requires has not reached its stage, or the user does not have it (`TARGETING_MATCH`).
    Prerequisite,
    /// The user is in no group of the flag's `only` (`TARGETING_MATCH`).
    Excluded,
    /// The user is in a group that waits for a later stage, or never has the flag (`TARGETING_MATCH`).
    HeldBack,
    /// The flag's stage admits every user (`STATIC`).
    Static,
    /// The user's bucket is inside or outside of the percentage (`SPLIT`).
    Split,
    /// The user is in a group of a reached stage (`TARGETING_MATCH`).
    TargetingMatch,
    /// The user has no value of the attribute whose values the percentage refers to (`DEFAULT`).
    NoUnit,
    /// No percentage refers to the user, and the user is in no group (`DEFAULT`).
    Default,
}

impl Reason {
    /// Returns the name of the reason in the `OpenFeature` specification.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::FlagNotFound => "ERROR",
            Reason::Off => "DISABLED",
            Reason::Prerequisite | Reason::Excluded | Reason::HeldBack | Reason::TargetingMatch => {
                "TARGETING_MATCH"
            }
            Reason::Static => "STATIC",
            Reason::Split => "SPLIT",
            Reason::NoUnit | Reason::Default => "DEFAULT",
        }
    }
}

/// Prints the name that `OpenFeature` uses.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
