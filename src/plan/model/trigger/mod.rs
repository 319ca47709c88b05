//! `triggers`: what takes a flag back.

pub(super) mod checks;
pub(super) mod fields;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::plan::model::metric::Metric;
use crate::plan::model::metric::quantity::{Increase, Quantity};
pub(in crate::plan::model) use crate::plan::model::trigger::fields::read;
use crate::plan::model::word::Word;

/// What takes a flag back, at once or by decision.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::{Action, TriggerCause};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.new-checkout]
///     triggers = [
///         { metric = "error_rate", above = "5%", minimum_sample = 500, no_data = "hold", action = "rollback" },
///         { metric = "error_rate", above = "2%", for = "1h", no_data = "hold", action = "decide" },
///         { metric = "latency_p95", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
///         { metric = "complaints", above = 20, no_data = "hold", action = "decide" },
///         { incident = "security", action = "rollback" },
///     ]
/// "#)?;
/// let triggers = plan.flag("new-checkout").unwrap().triggers();
/// let limits = triggers.iter().filter_map(|trigger| match &trigger.cause {
///     TriggerCause::Metric { metric, limit, .. } => Some(format!("{} {limit}", metric.name)),
///     _ => None,
/// });
/// let expected =
///     ["error_rate > 5%", "error_rate > 2%", "latency_p95 50% worse than control", "complaints > 20"];
/// assert!(limits.eq(expected));
/// assert_eq!(triggers[4].action, Action::RollBack);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trigger {
    /// What fires it.
    pub cause: TriggerCause,
    /// What happens then.
    pub action: Action,
}

/// What fires a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TriggerCause {
    /// A metric beyond a limit.
    Metric {
        /// Which one.
        metric: Arc<Metric>,
        /// Beyond what.
        limit: Limit,
        /// For how long (`for`); `None`: at once.
        sustained: Option<Duration>,
        /// Samples without which nothing is decided.
        minimum_sample: Option<u64>,
        /// What no data means.
        no_data: NoData,
    },
    /// An incident that a person or a program reports.
    Incident(IncidentKind),
}

/// The limit of a trigger's metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// More than this (`above`).
    Above(Quantity),
    /// Less than this (`below`).
    Below(Quantity),
    /// Treatment worse than control by more than this (`worse_than_control_by`).
    WorseThanControlBy(Increase),
}

/// What a trigger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Takes the flag back at once (`rollback`).
    RollBack,
    /// Asks whoever is responsible now (`decide`).
    Decide,
}

/// What a trigger makes of missing data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoData {
    /// The flag stays where it is and is not promoted (`hold`).
    Hold,
    /// The flag is taken back (`rollback`).
    RollBack,
}

/// The kind of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncidentKind {
    /// `security`
    Security,
    /// `data_integrity`
    DataIntegrity,
    /// `critical_bug`
    CriticalBug,
    /// A name of the team's own.
    Own(Box<str>),
}

impl Limit {
    /// Whether a value is beyond the limit; `control` is what it is for users without the flag. Of
    /// another unit, or where control is needed and not known, none is.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::model::{Increase, Limit, Quantity};
    ///
    /// assert!(Limit::Above(Quantity::Count(5)).is_exceeded(Quantity::Count(6), None));
    /// let half_as_much_again = Limit::WorseThanControlBy(Increase::from_ppm(500_000).unwrap());
    /// let exceeded = |value, control| half_as_much_again.is_exceeded(value, control);
    /// assert!(exceeded(Quantity::Count(16), Some(Quantity::Count(10))));
    /// assert!(!exceeded(Quantity::Count(15), Some(Quantity::Count(10))));
    /// assert!(!exceeded(Quantity::Count(16), None));
    /// ```
    #[must_use]
    pub fn is_exceeded(&self, value: Quantity, control: Option<Quantity>) -> bool {
        match self {
            Limit::Above(limit) => value.compare(*limit).is_some_and(Ordering::is_gt),
            Limit::Below(limit) => value.compare(*limit).is_some_and(Ordering::is_lt),
            Limit::WorseThanControlBy(increase) => {
                control.is_some_and(|control| is_worse(value, control, increase.ppm()))
            }
        }
    }
}

/// Whether `value > control * (1 + ppm / 10^6)`, in whole numbers.
fn is_worse(value: Quantity, control: Quantity, ppm: u32) -> bool {
    const MILLION: u128 = 1_000_000;
    let (value, control) = match (value, control) {
        (Quantity::Percent(a), Quantity::Percent(b)) => (u128::from(a.ppm()), u128::from(b.ppm())),
        (Quantity::Duration(a), Quantity::Duration(b)) => (a.as_nanos(), b.as_nanos()),
        (Quantity::Count(a), Quantity::Count(b)) => (u128::from(a), u128::from(b)),
        _ => return false,
    };
    value.saturating_mul(MILLION) > control.saturating_mul(MILLION + u128::from(ppm))
}

/// As people read it: `error_rate > 2% for 1h`, `incident security`.
impl fmt::Display for TriggerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TriggerCause::Metric { metric, limit, sustained, .. } => {
                write!(f, "{} {limit}", metric.name)?;
                sustained.map_or(Ok(()), |time| write!(f, " for {}", Quantity::Duration(time)))
            }
            TriggerCause::Incident(kind) => write!(f, "incident {kind}"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Above(value) => write!(f, "> {value}"),
            Limit::Below(value) => write!(f, "< {value}"),
            Limit::WorseThanControlBy(increase) => write!(f, "{increase} worse than control"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for NoData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl IncidentKind {
    /// Those that every plan knows.
    pub(crate) const KNOWN: &[IncidentKind] =
        &[IncidentKind::Security, IncidentKind::DataIntegrity, IncidentKind::CriticalBug];

    /// The name in a document.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            IncidentKind::Security => "security",
            IncidentKind::DataIntegrity => "data_integrity",
            IncidentKind::CriticalBug => "critical_bug",
            IncidentKind::Own(name) => name,
        }
    }
}

impl Word for Action {
    const WRONG: &'static str = "not an action of a trigger";
    const ALL: &'static [Action] = &[Action::RollBack, Action::Decide];

    fn word(self) -> &'static str {
        match self {
            Action::RollBack => "rollback",
            Action::Decide => "decide",
        }
    }
}

impl Word for NoData {
    const WRONG: &'static str = "not what a trigger makes of no data";
    const ALL: &'static [NoData] = &[NoData::Hold, NoData::RollBack];

    fn word(self) -> &'static str {
        match self {
            NoData::Hold => "hold",
            NoData::RollBack => "rollback",
        }
    }
}
