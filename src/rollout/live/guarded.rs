//! What a guard's verdicts do.

use super::Rollout;
use crate::guard::{Guard, Judgement};
use crate::rollout::{Event, Outcome, RolloutError};

/// In whose name.
const BY: &str = "guard";

/// A flag, and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judged {
    /// What the guard says.
    pub judgement: Judgement,
    /// What was done about it, in order: for each new breach, and a hold where users are split unevenly.
    pub acts: Vec<Result<Outcome, RolloutError>>,
}

impl Rollout {
    /// Has a guard of this rollout's gate and plan [look](Guard::look), and does what its verdicts ask: each
    /// trigger's action at its first breach in a stage, and a hold, once, where users are split otherwise
    /// than the stage says. A roll-back is in force when this returns.
    ///
    /// Call it as often as a fault may go unseen: each second, say. After another document make another guard:
    /// of one with another plan only the triggers count that are in both.
    ///
    /// # Complexity
    ///
    /// Microseconds a flag where nothing is wrong.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use stagegate::clock::ManualClock;
    /// use stagegate::guard::{Guard, Outcome};
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let document = r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stage = "pilot"
    ///     stages = [{ name = "pilot", percent = 50 }, { name = "ga", percent = 100 }]
    ///     triggers = [{ metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" }]
    /// "#;
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana")?;
    /// let guard = Guard::new(rollout.gate(), rollout.plan());
    /// rollout.judge(&guard);
    ///
    /// let search = guard.flag("search");
    /// for user in 0..100 {
    ///     search.enter(user).finish(Outcome::error());
    /// }
    /// clock.advance(Duration::from_secs(1));
    /// rollout.judge(&guard);
    /// assert!((0..100).all(|user| !search.is_enabled(user)));
    /// assert_eq!(rollout.report("search")?.state.incident.unwrap().by, "guard".into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "what it does is done, looked at or not")]
    pub fn judge(&self, guard: &Guard) -> Vec<Judged> {
        let now = self.shared.moment().uptime;
        let judged = guard.look(now).into_iter().map(|judgement| {
            let mut acts = Vec::new();
            let by = self.by(BY);
            for trigger in &judgement.breached {
                let Some(here) = self.place_of(guard, &judgement.flag, *trigger) else { continue };
                let found = judgement.findings.iter().find(|finding| finding.trigger == *trigger);
                let evidence = found.map(|finding| finding.verdict.to_string()).unwrap_or_default();
                acts.push(by.act(&judgement.flag, &Event::Breach { trigger: here, evidence }));
            }
            if judgement.became_uneven {
                let why = "users are split otherwise than the stage says: what is counted is not to be trusted";
                acts.push(by.hold(&judgement.flag, why));
            }
            Judged { judgement, acts }
        });
        judged.collect()
    }

    /// The place that a guard's trigger has in the plan in force; `None` where that does not have it.
    fn place_of(&self, guard: &Guard, flag: &str, trigger: usize) -> Option<usize> {
        let known = guard.plan().flag(flag)?.triggers().get(trigger)?;
        let plan = self.plan();
        plan.flag(flag)?.triggers().iter().position(|here| here == known)
    }
}
