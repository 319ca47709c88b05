//! Checks across the triggers of a list: duplicates, and decisions that come too late.

use std::cmp::Ordering;
use std::fmt;

use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::trigger::{Action, Limit, Trigger, TriggerCause};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A trigger and its place in the list.
pub(in crate::plan::model) struct ListedTrigger<'n, 'a> {
    pub(in crate::plan::model) trigger: Trigger,
    pub(in crate::plan::model) index: usize,
    pub(in crate::plan::model) node: &'n Node<'a>,
}

/// Reports duplicate triggers, and a second trigger for an incident.
pub(in crate::plan::model) fn check_repeated<'a>(
    triggers: &[ListedTrigger<'_, 'a>],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    for (count, ListedTrigger { trigger, index, node }) in triggers.iter().enumerate() {
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

/// Reports decisions that can never be asked for, because an automatic trigger always fires first.
pub(in crate::plan::model) fn check_decisions<'a>(
    triggers: &[ListedTrigger<'_, 'a>],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let mut automatic: Vec<FiringCondition<'_>> = Vec::new();
    let mut decisions = Vec::new();
    for written in triggers {
        let Some(threshold) = FiringCondition::of(&written.trigger) else { continue };
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
            let hint = "give the decision a limit that is reached earlier: the automatic rollback always comes first";
            report.problem(written.node.span.clone(), &path.index(written.index), message, hint);
        }
    }
}

/// The condition under which a metric's trigger fires.
struct FiringCondition<'t> {
    metric: &'t str,
    limit: Limit,
    sustained: Option<WrittenDuration>,
    minimum_sample: Option<u64>,
}

impl<'t> FiringCondition<'t> {
    /// Returns the condition of a trigger. `None` for a trigger on an incident.
    fn of(trigger: &'t Trigger) -> Option<Self> {
        match &trigger.cause {
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } => {
                Some(FiringCondition {
                    metric: &metric.name,
                    limit: *limit,
                    sustained: *sustained,
                    minimum_sample: *minimum_sample,
                })
            }
            TriggerCause::Incident(_) => None,
        }
    }

    /// Returns whether this condition holds whenever `other` does: its limit is equal or stricter, and it does not need
    /// more time or more samples.
    fn covers(&self, other: &FiringCondition<'_>) -> bool {
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

/// Writes `> 5% for 1h`.
impl fmt::Display for FiringCondition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)?;
        match self.sustained {
            Some(sustained) => write!(f, " for {sustained}"),
            None => Ok(()),
        }
    }
}
