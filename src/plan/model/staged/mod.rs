//! The built-in plan `staged`: what a flag follows that names no plan and has no stages.
//!
//! The command line's `init` prints the same as a document, and a test of it holds the two together.

mod messages;
mod sections;
mod stages;

use std::sync::Arc;

use crate::eval::{Stage, StageName};
use crate::percent::Percent;
use crate::plan::model::metric::Metrics;
use crate::plan::model::metric::quantity::Quantity;
use crate::plan::model::stage::Stages;
use crate::plan::stages::SharedPlan;

const INTERNAL: StageName = StageName::literal("internal");
const PILOT: StageName = StageName::literal("pilot");
const EXPANDED: StageName = StageName::literal("expanded");
const GA: StageName = StageName::literal("ga");

// Who signs and answers. Whoever needs names writes a plan of their own.
const TECH_LEAD: &str = "tech lead";
const PRODUCT_OWNER: &str = "product owner";
const SUPPORT_LEAD: &str = "support lead";

/// The built-in plan.
pub(in crate::plan) struct Staged;

impl Staged {
    /// Its name in a document.
    pub(in crate::plan) const NAME: &'static str = "staged";

    /// `metrics` may give `cpu`, `memory`, `complaints` and `support_tickets` another source.
    pub(in crate::plan) fn plan(metrics: &Metrics) -> SharedPlan {
        let stages = [(INTERNAL, 0), (PILOT, 10), (EXPANDED, 25), (GA, 100)];
        let compiled = stages.map(|(name, whole)| Stage::new(name, percent(whole), Box::default()));
        SharedPlan {
            name: Some(Staged::NAME.into()),
            stages: Stages::new(compiled.into(), stages::details(metrics)),
            sections: Arc::new(sections::sections(metrics)),
        }
    }
}

const fn percent(whole: u32) -> Percent {
    match Percent::from_whole(whole) {
        Some(percent) => percent,
        None => Percent::ALL,
    }
}

const fn share(whole: u32) -> Quantity {
    Quantity::Percent(percent(whole))
}

mod time {
    use std::time::Duration;

    pub(super) const SECOND: Duration = Duration::from_secs(1);
    pub(super) const MINUTE: Duration = Duration::from_secs(60);
    pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
    pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
}

#[cfg(all(test, feature = "toml"))]
mod tests {
    use crate::plan::Plan;

    #[test]
    fn a_document_of_three_lines_has_a_complete_plan() {
        let plan = Plan::parse("schema = 1\n[flags.a]\nstage = \"pilot\"").expect("a good plan");
        let flag = plan.flag("a").expect("its flag");
        for stage in flag.stages() {
            let details = stage.details();
            assert!(details.goal.is_some() && !details.metrics.is_empty(), "{}", stage.name());
            assert!(!details.criteria.is_empty() && !details.checklist.is_empty());
            assert!(!details.activities.is_empty());
            assert!(details.min_duration.is_some() || details.watch.is_some());
        }
        assert!(!flag.triggers().is_empty() && !flag.responsibility().is_empty());
        assert!(!flag.rollback().steps.is_empty() && flag.calendar().is_some());
        assert!(!flag.messages().is_empty() && !flag.risks().is_empty());
    }
}
