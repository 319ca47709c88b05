//! The verdict on a trigger, and its evidence.

use std::fmt;
use std::time::Duration;

use super::counts::Share;
use crate::plan::model::Quantity;

/// The verdict on one trigger after the looks so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The trigger's index in the plan, from 0.
    pub trigger: usize,
    /// The verdict.
    pub verdict: Verdict,
}

/// The result of the looks so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// There is data, and not enough evidence against the flag.
    Pass,
    /// The limit is exceeded, with this evidence.
    Breach(Evidence),
    /// It is too early for a verdict, because this is missing.
    Insufficient(Missing),
    /// The guard has counted or read nothing in this stage.
    NoData,
    /// The last count or reading is too old. It has this age.
    Stale(Duration),
    /// The trigger waits for a reported incident, not for figures.
    Reported,
}

/// The data that is missing for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// This many more requests.
    Requests(u64),
    /// This many more hits (errors, slow or marked requests), although the evidence is strong enough.
    Hits(u64),
    /// This much more of the trigger's `for`.
    Time(Duration),
    /// A control group: no user lacks the flag because of their bucket.
    Control,
}

/// The evidence for a breach.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// A sequential test has reached the evidence it needs.
    Sequential {
        /// Time since the last healthy look. The counts cover this time.
        since: Duration,
        /// Hits and requests with the flag.
        treatment: (u64, u64),
        /// Hits and requests without the flag, or those of the stage before if every user has the flag. `None` if the
        /// trigger does not compare with control.
        control: Option<(u64, u64)>,
        /// How many times as likely the counts are if the limit is exceeded than if it is not.
        ratio: f64,
    },
    /// Every window of the trigger's `for` was beyond the limit.
    Windows {
        /// Hits and requests with the flag, in all windows together.
        treatment: (u64, u64),
        /// Hits and requests without the flag. `None` if the trigger does not compare with control.
        control: Option<(u64, u64)>,
        /// The number of windows.
        windows: usize,
    },
    /// A reading was beyond the limit.
    Value {
        /// The value.
        value: Quantity,
        /// The value for users without the flag. `None` if the trigger does not compare with control.
        control: Option<Quantity>,
        /// How long the value has been beyond the limit.
        since: Duration,
    },
}

impl Verdict {
    /// Returns whether the verdict is a breach.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        matches!(self, Verdict::Breach(_))
    }

    /// Returns the verdict in one word: `pass`, `breach`, `insufficient`, `no_data`, `stale` or `reported`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Breach(_) => "breach",
            Verdict::Insufficient(_) => "insufficient",
            Verdict::NoData => "no_data",
            Verdict::Stale(_) => "stale",
            Verdict::Reported => "reported",
        }
    }
}

/// A sentence for people.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Pass => f.write_str("no evidence against it"),
            Verdict::Breach(evidence) => evidence.fmt(f),
            Verdict::Insufficient(missing) => missing.fmt(f),
            Verdict::NoData => f.write_str("no data"),
            Verdict::Stale(age) => write!(f, "no data for {}", Quantity::Duration(*age)),
            Verdict::Reported => f.write_str("fires when it is reported"),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Requests(count) => write!(f, "{count} more requests are needed"),
            Missing::Hits(count) => {
                write!(f, "too few errors, slow or marked requests: {count} more needed")
            }
            Missing::Time(time) => write!(f, "{} more is needed", Quantity::Duration(*time)),
            Missing::Control => f.write_str("there is no control group to compare with"),
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |(hits, of): (u64, u64)| Share { hits, of };
        match self {
            Evidence::Sequential { since, treatment, control, ratio } => {
                write!(f, "{} with the flag", share(*treatment))?;
                if let Some(control) = control {
                    write!(f, ", {} without", share(*control))?;
                }
                if !since.is_zero() {
                    write!(f, ", for {}", Quantity::Duration(*since))?;
                }
                f.write_str("; ")?;
                match *ratio {
                    ratio if ratio < 1e6 => write!(f, "{ratio:.0}")?,
                    ratio if ratio < 1e100 => write!(f, "{ratio:.1e}")?,
                    _ => f.write_str("over 1e100")?,
                }
                f.write_str(" times as likely beyond the limit as not")
            }
            Evidence::Windows { treatment, control, windows } => {
                write!(f, "{} with the flag", share(*treatment))?;
                if let Some(control) = control {
                    write!(f, ", {} without", share(*control))?;
                }
                write!(f, ", beyond the limit in each of {windows} windows")
            }
            Evidence::Value { value, control, since } => {
                write!(f, "{value}")?;
                if let Some(control) = control {
                    write!(f, " with the flag, {control} without")?;
                }
                if since.is_zero() {
                    return Ok(());
                }
                write!(f, ", beyond the limit for {}", Quantity::Duration(*since))
            }
        }
    }
}
