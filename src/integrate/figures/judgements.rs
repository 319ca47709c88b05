//! Figures of a guard's judgements.

use super::{Figures, family, from_bool, from_u64};
use crate::guard::Judgement;
use crate::plan::Plan;

/// All names that [`Verdict::name`](crate::guard::Verdict::name) returns.
const VERDICTS: [&str; 6] = ["pass", "breach", "insufficient", "no_data", "stale", "reported"];

impl Figures {
    /// Adds the verdicts and measurements of a guard's last look. `plan` is the plan of the guard,
    /// [`Guard::plan`](crate::guard::Guard::plan).
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::guard::{Guard, Outcome};
    /// use stagegate::integrate::Figures;
    /// use stagegate::{Gate, Plan};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stage = "pilot"
    ///     stages = [{ name = "pilot", percent = 50 }]
    ///     triggers = [{ metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" }]
    /// "#)?;
    /// let gate = Gate::from_plan(&plan);
    /// let guard = Guard::new(&gate, plan);
    /// guard.look(Duration::ZERO);
    /// for user in 0..100 {
    ///     guard.flag("search").enter(user).finish(Outcome::error());
    /// }
    /// let judgements = guard.look(Duration::from_secs(1));
    /// let figures = Figures::default().with_judgements(&guard.plan(), &judgements);
    /// let breach = r#"stagegate_trigger_verdict{flag="search",place="0",trigger="error_rate > 5%",action="rollback",verdict="breach"} 1"#;
    /// assert!(figures.to_string().contains(breach));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_judgements<'j>(
        mut self,
        plan: &Plan,
        judgements: impl IntoIterator<Item = &'j Judgement>,
    ) -> Figures {
        for judgement in judgements {
            self.judge(plan, judgement);
        }
        self
    }

    fn judge(&mut self, plan: &Plan, judgement: &Judgement) {
        let flag = &*judgement.flag;
        self.add(family::FLAG_UNEVEN, [("flag", flag)], from_bool(judgement.uneven));
        for measured in &judgement.measured {
            let metric = &*measured.metric;
            self.add_measured(flag, metric, "treatment", Some(measured.value));
            self.add_measured(flag, metric, "control", measured.control);
            let labels = [("flag", flag), ("metric", metric)];
            self.add(family::METRIC_SAMPLES, labels, from_u64(measured.samples));
        }
        let Some(plan) = plan.flag(flag) else { return };
        for finding in &judgement.findings {
            let Some(trigger) = plan.triggers().get(finding.trigger) else { continue };
            // Two triggers may differ only in `minimum_sample`, so the position is a label, too.
            let place = finding.trigger.to_string();
            let (cause, action) = (trigger.cause.to_string(), trigger.action.to_string());
            let labels =
                [("flag", flag), ("place", &*place), ("trigger", &*cause), ("action", &*action)];
            let states = (&VERDICTS[..], finding.verdict.name());
            self.add_state(family::TRIGGER_VERDICT, &labels, "verdict", states);
        }
    }
}
