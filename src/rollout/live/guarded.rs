//! What a guard's verdicts do.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::front::Decided;
use super::{Controller, Rollout};
use crate::guard::{Evidence, Guard, Judgement, Measurement, Owed, Verdict};
use crate::plan::model::TriggerCause;
use crate::rollout::{Event, Notification, NotificationKind, Outcome, RolloutError, machine};

/// In whose name.
const BY: &str = "guard";

const UNEVEN: &str =
    "users are split otherwise than the stage says: what is counted is not to be trusted";

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

/// A judgement, and what of it is in force already.
struct Looked {
    judgement: Judgement,
    decided: Vec<(Owed, Event, Result<Decided, RolloutError>)>,
}

impl Controller {
    /// Has a guard [judge](Rollout::judge) now, and again each time that long after. `told` is
    /// given what was judged. A guard that hangs or panics holds up no request: its verdicts are missing, and what is
    /// missing promotes nothing.
    ///
    /// One thread looks and takes flags back, another one records that: a disk that hangs holds up no roll-back.
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
        let mut recorder = Recorder::spawn(rollout.clone(), guard.clone(), told)?;
        Controller::repeat("guard", every, move || recorder.take(rollout.look(&guard)))
    }
}

/// The thread that records what was judged.
struct Recorder {
    looks: Option<SyncSender<Vec<Looked>>>,
    /// What it had no room for and what must not be lost.
    backlog: Vec<Looked>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    fn spawn(
        rollout: Rollout,
        guard: Guard,
        told: impl Fn(&[Judged]) + Send + 'static,
    ) -> io::Result<Recorder> {
        let (looks, taken) = mpsc::sync_channel::<Vec<Looked>>(1);
        let thread = thread::Builder::new().name("stagegate-guard-records".to_owned());
        let thread = thread.spawn(move || {
            for looked in taken {
                // The panic has been printed by the hook.
                let _ = catch_unwind(AssertUnwindSafe(|| told(&rollout.settle(&guard, looked))));
            }
        })?;
        Ok(Recorder { looks: Some(looks), backlog: Vec::new(), thread: Some(thread) })
    }

    /// Never waits. While the thread is busy, looks that decide nothing are left out: the next one says the same.
    fn take(&mut self, looked: Vec<Looked>) {
        let mut all = std::mem::take(&mut self.backlog);
        all.extend(looked);
        let Some(looks) = &self.looks else { return };
        if let Err(TrySendError::Full(mut all) | TrySendError::Disconnected(mut all)) =
            looks.try_send(all)
        {
            // A trigger breaches once in a stage, so these are few.
            all.retain(|looked| !looked.decided.is_empty());
            self.backlog = all;
        }
    }
}

/// Waits until what was taken is recorded.
impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(looks) = self.looks.take() {
            let _ = looks.send(std::mem::take(&mut self.backlog));
        }
        if let Some(thread) = self.thread.take() {
            // Its panics are caught.
            let _ = thread.join();
        }
    }
}

impl Rollout {
    /// Has a guard of this rollout's gate [look](Guard::look), and does what its verdicts ask: each
    /// trigger's action at its first breach in a stage, and a hold, once, where users are split otherwise
    /// than the stage says. A roll-back is in force when this returns. What the guard has measured counts for the
    /// stage's criteria, its alerts, and what an incident verifies.
    ///
    /// Call it as often as a fault may go unseen, each second, say, and not where a request waits for it;
    /// [`Controller::judging`](super::Controller::judging) does. The guard follows the rollout's document.
    ///
    /// # Complexity
    ///
    /// Microseconds a flag, and a record in the store for what is done and for what has been measured: so this may wait for a
    /// disk, and the controller does not.
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
        self.settle(guard, self.look(guard))
    }

    /// Looks, and takes back what has to be: in memory, and no store is touched.
    fn look(&self, guard: &Guard) -> Vec<Looked> {
        guard.update(self.plan());
        self.hand_values(guard);
        let now = self.shared.moment();
        let looked = guard.look(now.uptime).into_iter().map(|judgement| {
            let events = self.events(guard, &judgement).into_iter();
            let decide = |(owed, event)| {
                let decided = self.shared.decide(BY, &judgement.flag, &event);
                (owed, event, decided)
            };
            let decided = events.map(decide).collect();
            self.tell_of_verdicts(guard, &judgement, now.wall);
            Looked { judgement, decided }
        });
        looked.collect()
    }

    /// Records what was decided, then what was measured. What fails is owed: the next look asks for it again.
    fn settle(&self, guard: &Guard, looked: Vec<Looked>) -> Vec<Judged> {
        let settled = looked.into_iter().map(|Looked { judgement, decided }| {
            let flag = &*judgement.flag;
            let settle = |(owed, event, decided): (Owed, Event, Result<_, _>)| {
                let act = decided.and_then(|it| self.shared.settle(BY, flag, &event, it));
                if act.as_ref().is_err_and(|error| may_succeed(error, &event)) {
                    guard.owe(flag, judgement.stage, owed);
                }
                act
            };
            let acts: Vec<_> = decided.into_iter().map(settle).collect();
            // What was measured before a flag was taken back says nothing of it since.
            let readings = if acts.is_empty() { self.take_in(&judgement) } else { Vec::new() };
            Judged { judgement, acts, readings }
        });
        settled.collect()
    }

    /// What was read of metrics since the last look, for verdicts on them.
    fn hand_values(&self, guard: &Guard) {
        let front = self.shared.front();
        for (key, state) in front.state.flags() {
            for (metric, evidence) in state.evidence.iter().filter(|(_, it)| !it.judged) {
                if let Some(value) = evidence.value {
                    guard.read_once(key, metric, evidence.read.record, (value, evidence.control));
                }
            }
        }
    }

    /// Has what was measured count.
    fn take_in(&self, judgement: &Judgement) -> Vec<Result<Outcome, RolloutError>> {
        let flag = &*judgement.flag;
        let measured = judgement.measured.iter().filter(|it| self.asks_for(flag, &it.metric));
        let events = measured.map(|Measurement { metric, value, control, samples, .. }| {
            let (stage, metric, value) = (judgement.stage, metric.to_string(), *value);
            Event::Judged { stage, metric, value, control: *control, samples: *samples }
        });
        events.map(|event| self.by(BY).act(flag, &event)).collect()
    }

    /// What a judgement asks for, and what those before it have asked for in vain.
    fn events(&self, guard: &Guard, judgement: &Judgement) -> Vec<(Owed, Event)> {
        let flag = &*judgement.flag;
        let mut owed = guard.take_owed(flag);
        for trigger in &judgement.breached {
            let found = judgement.findings.iter().find(|finding| finding.trigger == *trigger);
            let Some(Verdict::Breach(evidence)) = found.map(|it| &it.verdict) else { continue };
            let Some(here) = self.place_of(guard, flag, *trigger) else { continue };
            // What the rollout was told itself it has acted upon then.
            let is_value = matches!(evidence, Evidence::Value { .. });
            if is_value && self.was_told(flag, here) {
                continue;
            }
            owed.push(Owed::Breach { trigger: *trigger, evidence: evidence.to_string() });
        }
        if judgement.became_uneven {
            owed.push(Owed::Hold);
        } else if owed.contains(&Owed::Hold) && self.is_held(flag) {
            // Whoever holds it did not know of this: it comes when they resume.
            owed.retain(|owed| *owed != Owed::Hold);
            guard.owe(flag, judgement.stage, Owed::Hold);
        }
        let event = |owed: Owed| {
            let event = match &owed {
                Owed::Breach { trigger, evidence } => {
                    let trigger = self.place_of(guard, flag, *trigger)?;
                    Event::Breach { trigger, evidence: evidence.clone() }
                }
                Owed::Hold => Event::Hold { why: UNEVEN.to_owned() },
            };
            Some((owed, event))
        };
        owed.into_iter().filter_map(event).collect()
    }

    fn is_held(&self, flag: &str) -> bool {
        self.shared.front().flag(flag).is_ok_and(|(_, state)| state.hold.is_some())
    }

    /// Whether a trigger's metric has been read, and not by a guard.
    fn was_told(&self, flag: &str, trigger: usize) -> bool {
        let front = self.shared.front();
        let Ok((plan, state)) = front.flag(flag) else { return false };
        let cause = plan.triggers().get(trigger).map(|trigger| &trigger.cause);
        let Some(TriggerCause::Metric { metric, .. }) = cause else { return false };
        state.evidence.get(&metric.name).is_some_and(|evidence| !evidence.judged)
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

/// Whether what has failed may succeed later: nothing is wrong with the event itself.
fn may_succeed(error: &RolloutError, event: &Event) -> bool {
    let is_held = || error.refusals().iter().any(|refusal| refusal.has("held"));
    match event {
        Event::Hold { .. } if error.is_refused() => is_held(),
        _ => !error.is_refused() && !error.is_not_found(),
    }
}
