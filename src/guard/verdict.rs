//! What a look comes to.

use std::fmt;
use std::time::Duration;

use super::counts::Share;
use crate::plan::model::Quantity;

/// What the looks so far say of one trigger.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The trigger, by its place in the plan, from 0.
    pub trigger: usize,
    /// What is to be made of it.
    pub verdict: Verdict,
}

/// What is to be made of the looks so far.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// There is data, and no sufficient evidence against the feature.
    Pass,
    /// The limit is exceeded, and the evidence suffices.
    Breach(Evidence),
    /// Nothing can be said yet: what is missing.
    Insufficient(Missing),
    /// Nothing was ever counted or read.
    NoData,
    /// What was counted or read last is too old: its age.
    Stale(Duration),
    /// Not a matter of data: an incident that somebody reports.
    Reported,
}

/// What is missing for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// So many requests.
    Requests(u64),
    /// So many hits (errors, slow requests), though the evidence would suffice.
    Hits(u64),
    /// So much time that the trigger's `for` asks for.
    Time(Duration),
    /// Users without the flag to compare with: in this stage nobody is, by chance.
    Control,
}

/// What a breach stands on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// A sequential test has reached its level.
    Sequential {
        /// For how long it has looked bad: what the counts are of.
        since: Duration,
        /// With the flag: hits of requests.
        treatment: (u64, u64),
        /// Without, or of the stage before where everybody has the flag; `None` where the trigger compares
        /// with no control.
        control: Option<(u64, u64)>,
        /// How many times as likely the counts are if the limit is exceeded as if it is not.
        ratio: f64,
    },
    /// Every window of the time that the trigger asks for was beyond the limit.
    Windows {
        /// With the flag: hits of requests, in all of them.
        treatment: (u64, u64),
        /// Without; `None` where the trigger compares with no control.
        control: Option<(u64, u64)>,
        /// How many there were.
        windows: usize,
    },
    /// A value that was read.
    Value {
        /// What was read.
        value: Quantity,
        /// What was read of users without the flag; `None` where the trigger compares with no control.
        control: Option<Quantity>,
        /// For how long it has been beyond the limit.
        since: Duration,
    },
}

impl Verdict {
    /// Whether it is a breach.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        matches!(self, Verdict::Breach(_))
    }

    /// In one word: `pass`, `breach`, `insufficient`, `no_data`, `stale`, `reported`.
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
            Missing::Hits(count) => write!(f, "{count} more of them are needed"),
            Missing::Time(time) => write!(f, "{} more is needed", Quantity::Duration(*time)),
            Missing::Control => f.write_str("there is nobody to compare with"),
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
