//! What the four stages ask.

use std::time::Duration;

use super::time::{DAY, HOUR, SECOND};
use super::{PRODUCT_OWNER, SUPPORT_LEAD, TECH_LEAD, share};
use crate::plan::model::metric::quantity::{Bound, Comparison, Quantity};
use crate::plan::model::metric::{Metrics, StageMetric};
use crate::plan::model::stage::{Advance, ChecklistItem, Criterion, StageDetails, Watch};

/// In the order of the stages.
pub(super) fn details(metrics: &Metrics) -> Vec<StageDetails> {
    vec![internal(metrics), pilot(metrics), expanded(metrics), ga(metrics)]
}

fn internal(metrics: &Metrics) -> StageDetails {
    StageDetails {
        goal: Some("The feature works for the team and the client's stakeholders".into()),
        min_duration: Some(DAY),
        max_duration: Some(2 * DAY),
        criteria: vec![
            manual("core-flows", "The team went through every core flow and found no blocker"),
            manual("stakeholders", "The client's stakeholders tried it and agree to go on"),
        ],
        activities: texts(&[
            "Turn the flag on for the team and the client's stakeholders",
            "Go through the core flows by hand, on slow devices too",
            "Roll the flag back once and see that it took effect",
        ]),
        checklist: vec![
            item("tests", "Every automated test passes with the flag on and off", TECH_LEAD),
            item("monitoring", "Dashboards and alerts are in place", TECH_LEAD),
            item("rollback", "The roll-back was tried, and whoever is on call knows it", TECH_LEAD),
            item("support", "Support knows what changes, and whom to ask", SUPPORT_LEAD),
        ],
        // Nobody outside is in yet, so what people count says nothing.
        metrics: APPLICATION.iter().filter_map(|tracked| tracked.of(metrics)).collect(),
        watch: None,
        advance: Advance::Manual,
    }
}

fn pilot(metrics: &Metrics) -> StageDetails {
    StageDetails {
        goal: Some("A tenth of the users are served as well as all others".into()),
        min_duration: Some(3 * DAY),
        max_duration: Some(5 * DAY),
        criteria: with_stability(
            metrics,
            3 * DAY,
            manual("feedback", "The feedback of pilot users was read, and none is a blocker"),
        ),
        activities: texts(&[
            "Compare the metrics of users with and without the flag every morning",
            "Ask pilot users what they think",
            "Fix what they find",
        ]),
        checklist: vec![
            item("bugs", "No critical bug is open", TECH_LEAD),
            item("capacity", "There is capacity for a quarter of the users", TECH_LEAD),
            item("go", "The client agrees to go on", PRODUCT_OWNER),
        ],
        metrics: all(metrics),
        watch: None,
        advance: Advance::Manual,
    }
}

fn expanded(metrics: &Metrics) -> StageDetails {
    StageDetails {
        goal: Some("The feature holds under the load of a quarter of the users".into()),
        min_duration: Some(5 * DAY),
        max_duration: Some(7 * DAY),
        criteria: with_stability(
            metrics,
            3 * DAY,
            manual("support-load", "Support answers in its usual time"),
        ),
        activities: texts(&[
            "Compare the metrics of users with and without the flag every morning",
            "Test with the load of all users",
            "Finish the documentation for users",
        ]),
        checklist: vec![
            item("bugs", "No critical bug is open", TECH_LEAD),
            item("capacity", "There is capacity for all users", TECH_LEAD),
            item("documentation", "The documentation for users is public", SUPPORT_LEAD),
            item("go", "The client agrees to the release", PRODUCT_OWNER),
        ],
        metrics: all(metrics),
        watch: None,
        advance: Advance::Manual,
    }
}

fn ga(metrics: &Metrics) -> StageDetails {
    StageDetails {
        goal: Some("Everybody has the feature, and nothing is worse than before".into()),
        min_duration: None,
        max_duration: None,
        criteria: with_stability(
            metrics,
            2 * DAY,
            manual("announced", "Everybody who was promised the feature knows it is there"),
        ),
        activities: texts(&[
            "Check the metrics every two hours for two days",
            "Plan when the flag leaves the code",
            "Look back on the rollout with everybody who took part",
        ]),
        checklist: vec![
            item("watched", "The watch is over without an alert left open", TECH_LEAD),
            item("clean-up", "The day on which the flag leaves the code is set", TECH_LEAD),
        ],
        metrics: all(metrics),
        watch: Some(Watch { lasts: 48 * HOUR, every: 2 * HOUR }),
        advance: Advance::Manual,
    }
}

/// A metric with its target and its alert.
struct Tracked {
    name: &'static str,
    below: Quantity,
    alert_above: Quantity,
}

const ERROR_RATE: Tracked = Tracked { name: "error_rate", below: share(1), alert_above: share(2) };
const LATENCY: Tracked =
    Tracked { name: "latency_p95", below: seconds(2), alert_above: seconds(3) };
const APPLICATION: [Tracked; 2] = [ERROR_RATE, LATENCY];
const PEOPLE: [Tracked; 4] = [
    Tracked { name: "cpu", below: share(70), alert_above: share(85) },
    Tracked { name: "memory", below: share(80), alert_above: share(90) },
    Tracked { name: "complaints", below: Quantity::Count(3), alert_above: Quantity::Count(5) },
    Tracked {
        name: "support_tickets",
        below: Quantity::Count(10),
        alert_above: Quantity::Count(20),
    },
];

impl Tracked {
    /// `None` where the document's own declaration of the metric is wrong.
    fn of(&self, metrics: &Metrics) -> Option<StageMetric> {
        Some(StageMetric {
            metric: metrics.get(self.name)?,
            target: self.target(),
            alert: Some(Bound { comparison: Comparison::Above, value: self.alert_above }),
            sustained: None,
        })
    }

    fn stable(&self, sustained: Duration, metrics: &Metrics) -> Option<Criterion> {
        let metric = metrics.get(self.name)?;
        Some(Criterion::Metric { metric, target: self.target(), sustained: Some(sustained) })
    }

    const fn target(&self) -> Bound {
        Bound { comparison: Comparison::Below, value: self.below }
    }
}

fn all(metrics: &Metrics) -> Vec<StageMetric> {
    APPLICATION.iter().chain(&PEOPLE).filter_map(|tracked| tracked.of(metrics)).collect()
}

/// What the application measures has to be on target all that time.
fn with_stability(metrics: &Metrics, sustained: Duration, manual: Criterion) -> Vec<Criterion> {
    let stable = APPLICATION.iter().filter_map(|tracked| tracked.stable(sustained, metrics));
    stable.chain([manual]).collect()
}

const fn seconds(count: u32) -> Quantity {
    Quantity::Duration(SECOND.saturating_mul(count))
}

fn manual(id: &str, text: &str) -> Criterion {
    Criterion::Manual { id: id.into(), text: text.into() }
}

fn item(id: &str, text: &str, owner: &str) -> ChecklistItem {
    ChecklistItem { id: id.into(), text: text.into(), owner: Some(owner.into()), expires: None }
}

fn texts(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|text| (*text).into()).collect()
}
