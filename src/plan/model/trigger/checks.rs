//! What the triggers of one list must not be to one another.

use std::cmp::Ordering;
use std::fmt;

use crate::plan::fields::Path;
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::trigger::{Action, Limit, Trigger, TriggerCause};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// A trigger and where the list has it.
pub(in crate::plan::model) struct Written<'n, 'a> {
    pub(in crate::plan::model) trigger: Trigger,
    pub(in crate::plan::model) index: usize,
    pub(in crate::plan::model) node: &'n Node<'a>,
}

/// No trigger stands twice, and no incident fires two.
pub(in crate::plan::model) fn check_repeated<'a>(
    triggers: &[Written<'_, 'a>],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    for (count, Written { trigger, index, node }) in triggers.iter().enumerate() {
        let mut earlier = triggers.iter().take(count).map(|written| &written.trigger);
        let message = match &trigger.cause {
            TriggerCause::Incident(kind) => earlier
                .any(|earlier| earlier.cause == trigger.cause)
                .then(|| format!("found a second trigger for the incident \"{kind}\"")),
            TriggerCause::Metric { .. } => earlier
                .any(|earlier| earlier == trigger)
                .then(|| "found the same trigger a second time".to_owned()),
        };
        if let Some(message) = message {
            report.problem(node.span.clone(), &path.index(*index), message, "keep one of the two");
        }
    }
}

/// No automatic trigger fires whenever a decision would be due: nobody would ever be asked.
pub(in crate::plan::model) fn check_decisions<'a>(
    triggers: &[Written<'_, 'a>],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let mut automatic: Vec<Threshold<'_>> = Vec::new();
    let mut decisions = Vec::new();
    for written in triggers {
        let Some(threshold) = Threshold::of(&written.trigger) else { continue };
        match written.trigger.action {
            Action::RollBack => automatic.push(threshold),
            Action::Decide => decisions.push((written, threshold)),
        }
    }
    for (written, decision) in decisions {
        if let Some(first) = automatic.iter().find(|automatic| automatic.covers(&decision)) {
            let message = format!(
                "found a decision at {decision}, where `{}` is rolled back automatically at {first}",
                decision.metric
            );
            let hint =
                "ask before the automatic trigger fires: as it is, nobody would ever be asked";
            report.problem(written.node.span.clone(), &path.index(written.index), message, hint);
        }
    }
}

/// When a metric's trigger fires.
struct Threshold<'t> {
    metric: &'t str,
    limit: Limit,
    sustained: Option<WrittenDuration>,
    minimum_sample: Option<u64>,
}

impl<'t> Threshold<'t> {
    fn of(trigger: &'t Trigger) -> Option<Self> {
        match &trigger.cause {
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } => {
                Some(Threshold {
                    metric: &metric.name,
                    limit: *limit,
                    sustained: *sustained,
                    minimum_sample: *minimum_sample,
                })
            }
            TriggerCause::Incident(_) => None,
        }
    }

    /// Whether it fires whenever `other` does: its limit is no further out, and it waits neither
    /// for longer nor for more samples.
    fn covers(&self, other: &Threshold<'_>) -> bool {
        let order = match (self.limit, other.limit) {
            (Limit::Above(own), Limit::Above(other)) => own.compare(other),
            (Limit::Below(own), Limit::Below(other)) => other.compare(own),
            (
                Limit::WorseThanControlBy { by: own, .. },
                Limit::WorseThanControlBy { by: other, .. },
            ) => Some(own.cmp(&other)),
            _ => None,
        };
        self.metric == other.metric
            && order.is_some_and(Ordering::is_le)
            && self.sustained <= other.sustained
            && self.minimum_sample <= other.minimum_sample
    }
}

/// As `> 5% for 1h`.
impl fmt::Display for Threshold<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)?;
        match self.sustained {
            Some(sustained) => write!(f, " for {sustained}"),
            None => Ok(()),
        }
    }
}
