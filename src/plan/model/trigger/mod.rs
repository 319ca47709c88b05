//! `triggers`: the conditions for a rollback, or for a decision about one.

pub(super) mod checks;
pub(super) mod fields;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::plan::model::metric::Metric;
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::increase::Increase;
use crate::plan::model::metric::quantity::Quantity;
use crate::plan::model::time::duration::WrittenDuration;
pub(in crate::plan::model) use crate::plan::model::trigger::fields::read;
use crate::plan::model::word::words;

/// A condition that rolls a flag back, at once or by decision.
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
    /// The condition.
    pub cause: TriggerCause,
    /// The action when it fires.
    pub action: Action,
}

/// The condition under which a trigger fires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TriggerCause {
    /// A metric beyond a limit.
    Metric {
        /// The metric.
        metric: Arc<Metric>,
        /// The limit.
        limit: Limit,
        /// The time for which the metric has to be beyond the limit (`for`). `None`: fires at once.
        sustained: Option<WrittenDuration>,
        /// The number of samples that the trigger needs.
        minimum_sample: Option<u64>,
        /// The reaction to missing data.
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
    /// Treatment worse than control (`worse_than_control_by`).
    WorseThanControlBy {
        /// The share of control's value that treatment has to be worse by.
        by: Increase,
        /// The metric's direction. With `Less`, worse means a larger value. With `More`, a smaller one.
        better: Better,
    },
}

words! {
    /// The action of a trigger.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum Action: "not an action of a trigger" {
        /// Roll the flag back at once (`rollback`).
        RollBack = "rollback",
        /// Ask the person responsible for a decision (`decide`).
        Decide = "decide",
    }
}

words! {
    /// The reaction of a trigger to missing data.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub enum NoData: "not a reaction to missing data" {
        /// The flag stays in its stage and is not promoted (`hold`).
        Hold = "hold",
        /// A tick rolls the flag back (`rollback`).
        RollBack = "rollback",
    }
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
    /// Another kind, which a trigger of the plan names.
    Own(Box<str>),
}

impl Limit {
    /// Returns whether a value is beyond the limit. `control` is the value for users without the flag.
    ///
    /// False if a unit differs, or if the limit is a comparison and `control` is `None`.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::model::{Better, Increase, Limit, Quantity};
    ///
    /// let count = Quantity::Count;
    /// assert!(Limit::Above(count(5)).is_exceeded(count(6), None));
    ///
    /// let by = Increase::from_ppm(500_000).unwrap();
    /// let half_as_much_again = Limit::WorseThanControlBy { by, better: Better::Less };
    /// assert!(half_as_much_again.is_exceeded(count(16), Some(count(10))));
    /// assert!(!half_as_much_again.is_exceeded(count(15), Some(count(10))));
    /// assert!(!half_as_much_again.is_exceeded(count(16), None));
    ///
    /// let half_as_much = Limit::WorseThanControlBy { by, better: Better::More };
    /// assert!(half_as_much.is_exceeded(count(4), Some(count(10))));
    /// assert!(!half_as_much.is_exceeded(count(5), Some(count(10))));
    /// ```
    #[must_use]
    pub fn is_exceeded(&self, value: Quantity, control: Option<Quantity>) -> bool {
        match self {
            Limit::Above(limit) => value.compare(*limit).is_some_and(Ordering::is_gt),
            Limit::Below(limit) => value.compare(*limit).is_some_and(Ordering::is_lt),
            Limit::WorseThanControlBy { by, better } => {
                control.is_some_and(|control| is_worse(value, control, by.ppm(), *better))
            }
        }
    }
}

/// Returns whether `value` is worse than `control` by more than `ppm` parts per million of control's magnitude.
/// Computes with integers only.
fn is_worse(value: Quantity, control: Quantity, ppm: u32, better: Better) -> bool {
    if value.unit() != control.unit() {
        return false;
    }
    let (value, control) = (in_smallest_steps(value), in_smallest_steps(control));
    let worse_by = match better {
        Better::Less => value.saturating_sub(control),
        Better::More => control.saturating_sub(value),
    };
    worse_by.saturating_mul(1_000_000) > control.saturating_abs().saturating_mul(i128::from(ppm))
}

/// Returns a quantity in the smallest steps of its unit.
fn in_smallest_steps(quantity: Quantity) -> i128 {
    match quantity {
        Quantity::Percent(percent) => i128::from(percent.ppm()),
        Quantity::Duration(time) => i128::try_from(time.as_nanos()).unwrap_or(i128::MAX),
        Quantity::Count(count) => i128::from(count),
        Quantity::Number(number) => i128::from(number.millionths()),
    }
}

/// Writes the cause for people: `error_rate > 2% for 1h`, `incident security`.
impl fmt::Display for TriggerCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TriggerCause::Metric { metric, limit, sustained, .. } => {
                write!(f, "{} {limit}", metric.name)?;
                // A quantity has one text for equal durations. Records of the journal know a trigger by its text.
                sustained.map_or(Ok(()), |time| write!(f, " for {}", Quantity::Duration(*time)))
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
            Limit::WorseThanControlBy { by, .. } => write!(f, "{by} worse than control"),
        }
    }
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl IncidentKind {
    /// The kinds that every plan has.
    pub(crate) const KNOWN: &[IncidentKind] =
        &[IncidentKind::Security, IncidentKind::DataIntegrity, IncidentKind::CriticalBug];

    /// Returns the name in a document.
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
