//! What a guard's verdicts do.

use std::io;
use std::time::{Duration, SystemTime};

use super::{Controller, Rollout};
use crate::guard::{Evidence, Guard, Judgement, Measurement, Verdict};
use crate::rollout::{Event, Notification, NotificationKind, Outcome, RolloutError, machine};

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
    /// What became of its measurements, of those that the stage or a trigger asks for.
    pub readings: Vec<Result<Outcome, RolloutError>>,
}

impl Controller {
    /// Has a guard [judge](Rollout::judge) now, and again each time that long after, in a thread of its own. `told` is
    /// given what was judged. A guard that hangs or panics holds up no request: its verdicts are missing, and what is
    /// missing promotes nothing.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn judging(
        rollout: &Rollout,
        guard: &Guard,
        every: Duration,
        told: impl Fn(&[Judged]) + Send + 'static,
    ) -> io::Result<Controller> {
        let (rollout, guard) = (rollout.clone(), guard.clone());
        Controller::repeat("guard", every, move || told(&rollout.judge(&guard)))
    }
}

impl Rollout {
    /// Has a guard of this rollout's gate [look](Guard::look), and does what its verdicts ask: each
    /// trigger's action at its first breach in a stage, and a hold, once, where users are split otherwise
    /// than the stage says. A roll-back is in force when this returns. What the guard has measured counts for the
    /// stage's criteria, its alerts, and what an incident verifies.
    ///
    /// Call it as often as a fault may go unseen: each second, say; [`Controller::judging`](super::Controller::judging)
    /// does. The guard follows the rollout's document.
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
        guard.update(self.plan());
        self.hand_values(guard);
        let now = self.shared.moment();
        let judged = guard.look(now.uptime).into_iter().map(|judgement| {
            let readings = self.take_in(&judgement);
            let acts = self.follow(guard, &judgement);
            self.tell_of_verdicts(guard, &judgement, now.wall);
            Judged { judgement, acts, readings }
        });
        judged.collect()
    }

    /// What was read of metrics since the last look, for verdicts on them.
    fn hand_values(&self, guard: &Guard) {
        let front = self.shared.front();
        for (key, state) in front.state.flags() {
            for (metric, evidence) in state.evidence.iter().filter(|(_, it)| !it.judged) {
                if let Some(value) = evidence.value {
                    guard.read_once(key, metric, evidence.read.time, (value, evidence.control));
                }
            }
        }
    }

    /// Has what was measured count.
    fn take_in(&self, judgement: &Judgement) -> Vec<Result<Outcome, RolloutError>> {
        let flag = &*judgement.flag;
        let measured = judgement.measured.iter().filter(|it| self.asks_for(flag, &it.metric));
        let events = measured.map(|Measurement { metric, value, control, samples, .. }| {
            let (metric, value) = (metric.to_string(), *value);
            Event::Judged { metric, value, control: *control, samples: *samples }
        });
        events.map(|event| self.by(BY).act(flag, &event)).collect()
    }

    fn follow(&self, guard: &Guard, judgement: &Judgement) -> Vec<Result<Outcome, RolloutError>> {
        let (by, flag, mut acts) = (self.by(BY), &*judgement.flag, Vec::new());
        for trigger in &judgement.breached {
            let found = judgement.findings.iter().find(|finding| finding.trigger == *trigger);
            let Some(Verdict::Breach(evidence)) = found.map(|it| &it.verdict) else { continue };
            // A value that is beyond its limit was acted upon when it was read.
            if matches!(evidence, Evidence::Value { .. }) {
                continue;
            }
            let Some(trigger) = self.place_of(guard, flag, *trigger) else { continue };
            let evidence = evidence.to_string();
            acts.push(by.act(flag, &Event::Breach { trigger, evidence }));
        }
        if judgement.became_uneven {
            let why = "users are split otherwise than the stage says: what is counted is not to be trusted";
            acts.push(by.hold(flag, why));
        }
        acts
    }

    /// Whether the flag's stage or triggers ask for a metric now.
    fn asks_for(&self, flag: &str, metric: &str) -> bool {
        let front = self.shared.front();
        let Ok((plan, state)) = front.flag(flag) else { return false };
        machine::wanted(&plan, state).iter().any(|wanted| *wanted.name == *metric)
    }

    fn tell_of_verdicts(&self, guard: &Guard, judgement: &Judgement, now: SystemTime) {
        if judgement.changed.is_empty() || !self.shared.tells() {
            return;
        }
        let plan = guard.plan();
        let Some(flag) = plan.flag(&judgement.flag) else { return };
        let told = judgement.changed.iter().filter_map(|trigger| {
            let cause = &flag.triggers().get(*trigger)?.cause;
            let verdict = &judgement.findings.get(*trigger)?.verdict;
            let text = format!("{cause}: {}: {verdict}", verdict.name());
            let kind = NotificationKind::VerdictChanged;
            Some(Notification::new(&judgement.flag, kind, judgement.stage, now, text))
        });
        self.shared.hand_out(&told.collect::<Vec<_>>());
    }

    /// The place that a guard's trigger has in the plan in force; `None` where that does not have it.
    fn place_of(&self, guard: &Guard, flag: &str, trigger: usize) -> Option<usize> {
        let (judged, plan) = (guard.plan(), self.plan());
        let known = judged.flag(flag)?.triggers().get(trigger)?;
        plan.flag(flag)?.triggers().iter().position(|here| here == known)
    }
}
