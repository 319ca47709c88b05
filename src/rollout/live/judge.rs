//! Judging with a guard: its verdicts become rollbacks, incidents and holds.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use super::live_state::Decided;
use super::{Controller, Rollout};
use crate::guard::{Evidence, Guard, Judgement, Measurement, RetryAction, Verdict};
use crate::plan::model::TriggerCause;
use crate::rollout::{Event, Notification, NotificationKind, Outcome, RolloutError, machine};

/// The actor in the records.
const GUARD: &str = "guard";

const UNEVEN: &str = "users are not split as the stage says, so the counts cannot be trusted";

/// A guard's judgement of a flag, and the rollout's actions.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct JudgeReport {
    /// The judgement.
    pub judgement: Judgement,
    /// The results of the actions, in order: one for each new breach, and a hold if users are split unevenly.
    pub actions: Vec<Result<Outcome, RolloutError>>,
    /// The results of recording the measurements that the stage or a trigger needs.
    pub readings: Vec<Result<Outcome, RolloutError>>,
}

/// A judgement and its decisions. Rollbacks among them are already in force.
struct Evaluated {
    judgement: Judgement,
    decided: Vec<(RetryAction, Event, Result<Decided, RolloutError>)>,
}

impl Controller {
    /// Lets a guard [judge](Rollout::judge) now, and then at each interval `every`. Calls `on_judged` with the results.
    /// A guard that hangs or panics delays no request. Its verdicts are missing, and missing data promotes nothing.
    ///
    /// One thread judges and rolls flags back, another records it. So a hanging disk delays no rollback.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn judging(
        rollout: &Rollout,
        guard: &Guard,
        every: Duration,
        on_judged: impl Fn(&[JudgeReport]) + Send + 'static,
    ) -> io::Result<Controller> {
        let (rollout, guard) = (rollout.clone(), guard.clone());
        let mut recorder = Recorder::spawn(rollout.clone(), guard.clone(), on_judged)?;
        Controller::repeat("guard", every, move || recorder.send(rollout.evaluate(&guard)))
    }
}

/// The thread that records judgements and decisions.
struct Recorder {
    queue: Option<SyncSender<Vec<Evaluated>>>,
    /// Judgements with decisions that did not fit into the queue.
    backlog: Vec<Evaluated>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    fn spawn(
        rollout: Rollout,
        guard: Guard,
        on_judged: impl Fn(&[JudgeReport]) + Send + 'static,
    ) -> io::Result<Recorder> {
        let (queue, queued) = mpsc::sync_channel::<Vec<Evaluated>>(1);
        let thread = thread::Builder::new().name("stagegate-guard-records".to_owned());
        let thread = thread.spawn(move || {
            for evaluated in queued {
                // The panic hook has printed the panic.
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    on_judged(&rollout.record_evaluated(&guard, evaluated));
                }));
            }
        })?;
        Ok(Recorder { queue: Some(queue), backlog: Vec::new(), thread: Some(thread) })
    }

    /// Queues judgements without waiting. While the thread is busy, drops judgements without a decision, because the
    /// next one says the same.
    fn send(&mut self, evaluated: Vec<Evaluated>) {
        let mut all = std::mem::take(&mut self.backlog);
        all.extend(evaluated);
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(mut all) | TrySendError::Disconnected(mut all)) =
            queue.try_send(all)
        {
            // A trigger breaches once per stage, so these are few.
            all.retain(|evaluated| !evaluated.decided.is_empty());
            self.backlog = all;
        }
    }
}

/// Waits until the queued judgements are recorded.
impl Drop for Recorder {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            let _ = queue.send(std::mem::take(&mut self.backlog));
        }
        if let Some(thread) = self.thread.take() {
            // The thread catches all panics.
            let _ = thread.join();
        }
    }
}

impl Rollout {
    /// Lets a guard of this rollout's gate [judge](Guard::look) every flag, and acts on the verdicts.
    ///
    /// Each trigger's action happens at its first breach in a stage. If users are not split as the stage says, the flag
    /// is held, once. A rollback is in force when this returns. The guard's measurements count for criteria, alerts and
    /// the verification of an incident.
    ///
    /// The time between two calls is the longest time that a fault goes unseen, so call it every second, for example,
    /// and not while serving a request. [`Controller::judging`](super::Controller::judging) does that. The guard gets
    /// the rollout's current plan.
    ///
    /// # Complexity
    ///
    /// Microseconds per flag, and one record in the store for each action and each measurement. So this may wait for a
    /// disk. The controller does not.
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
    #[expect(clippy::must_use_candidate, reason = "it acts even if the caller ignores the reports")]
    pub fn judge(&self, guard: &Guard) -> Vec<JudgeReport> {
        self.record_evaluated(guard, self.evaluate(guard))
    }

    /// Judges every flag, and applies rollbacks in memory. Does not access the store.
    fn evaluate(&self, guard: &Guard) -> Vec<Evaluated> {
        guard.update(self.plan());
        self.pass_readings_to(guard);
        let now = self.shared.moment();
        let evaluated = guard.look(now.uptime).into_iter().map(|judgement| {
            let events = self.due_events(guard, &judgement).into_iter();
            let decide = |(action, event)| {
                let decided = self.shared.decide(GUARD, &judgement.flag, &event);
                (action, event, decided)
            };
            let decided = events.map(decide).collect();
            self.notify_verdicts(guard, &judgement, now.wall);
            Evaluated { judgement, decided }
        });
        evaluated.collect()
    }

    /// Records the decisions, then the measurements. The next call retries failed records.
    fn record_evaluated(&self, guard: &Guard, evaluated: Vec<Evaluated>) -> Vec<JudgeReport> {
        let reports = evaluated.into_iter().map(|Evaluated { judgement, decided }| {
            let flag = &*judgement.flag;
            let record = |(action, event, decided): (RetryAction, Event, Result<_, _>)| {
                let outcome =
                    decided.and_then(|it| self.shared.record_decision(GUARD, flag, &event, it));
                if outcome.as_ref().is_err_and(|error| is_retryable(error, &event)) {
                    guard.retry_later(flag, judgement.stage, action);
                }
                outcome
            };
            let actions: Vec<_> = decided.into_iter().map(record).collect();
            // Measurements from before a rollback say nothing about the time after it.
            let readings =
                if actions.is_empty() { self.record_measurements(&judgement) } else { Vec::new() };
            JudgeReport { judgement, actions, readings }
        });
        reports.collect()
    }

    /// Passes the metric readings since the last call to the guard, which judges them.
    fn pass_readings_to(&self, guard: &Guard) {
        let live = self.shared.lock_live();
        for (key, state) in live.state.flags() {
            for (metric, evidence) in state.evidence.iter().filter(|(_, it)| !it.judged) {
                if let Some(value) = evidence.value {
                    guard.record_reading_once(
                        key,
                        metric,
                        evidence.read_at.record,
                        (value, evidence.control),
                    );
                }
            }
        }
    }

    /// Records the measurements, so that they count for conditions and alerts.
    fn record_measurements(&self, judgement: &Judgement) -> Vec<Result<Outcome, RolloutError>> {
        let flag = &*judgement.flag;
        let measured = judgement.measured.iter().filter(|it| self.needs_metric(flag, &it.metric));
        let events = measured.map(|Measurement { metric, value, control, samples, .. }| {
            let (stage, metric, value) = (judgement.stage, metric.to_string(), *value);
            Event::Judged { stage, metric, value, control: *control, samples: *samples }
        });
        events.map(|event| self.by(GUARD).act(flag, &event)).collect()
    }

    /// Returns the events that a judgement asks for, and earlier ones that failed.
    fn due_events(&self, guard: &Guard, judgement: &Judgement) -> Vec<(RetryAction, Event)> {
        let flag = &*judgement.flag;
        let mut actions = guard.take_retries(flag);
        for trigger in &judgement.breached {
            let found = judgement.findings.iter().find(|finding| finding.trigger == *trigger);
            let Some(Verdict::Breach(evidence)) = found.map(|it| &it.verdict) else { continue };
            let Some(here) = self.current_index(guard, flag, *trigger) else { continue };
            // The rollout has already acted on readings that it received itself.
            let is_value = matches!(evidence, Evidence::Value { .. });
            if is_value && self.has_own_reading(flag, here) {
                continue;
            }
            actions.push(RetryAction::Breach { trigger: *trigger, evidence: evidence.to_string() });
        }
        if judgement.became_uneven {
            actions.push(RetryAction::Hold);
        } else if actions.contains(&RetryAction::Hold) && self.is_held(flag) {
            // The flag is held for another reason. Hold it again when that hold ends.
            actions.retain(|action| *action != RetryAction::Hold);
            guard.retry_later(flag, judgement.stage, RetryAction::Hold);
        }
        let event = |action: RetryAction| {
            let event = match &action {
                RetryAction::Breach { trigger, evidence } => {
                    let trigger = self.current_index(guard, flag, *trigger)?;
                    Event::Breach { trigger, evidence: evidence.clone() }
                }
                RetryAction::Hold => Event::Hold { why: UNEVEN.to_owned() },
            };
            Some((action, event))
        };
        actions.into_iter().filter_map(event).collect()
    }

    fn is_held(&self, flag: &str) -> bool {
        self.shared.lock_live().flag(flag).is_ok_and(|(_, state)| state.hold.is_some())
    }

    /// Returns whether a trigger's metric has a reading that does not come from a guard.
    fn has_own_reading(&self, flag: &str, trigger: usize) -> bool {
        let live = self.shared.lock_live();
        let Ok((plan, state)) = live.flag(flag) else { return false };
        let cause = plan.triggers().get(trigger).map(|trigger| &trigger.cause);
        let Some(TriggerCause::Metric { metric, .. }) = cause else { return false };
        state.evidence.get(&metric.name).is_some_and(|evidence| !evidence.judged)
    }

    /// Returns whether the flag's stage or triggers need this metric now.
    fn needs_metric(&self, flag: &str, metric: &str) -> bool {
        let live = self.shared.lock_live();
        let Ok((plan, state)) = live.flag(flag) else { return false };
        machine::metrics_to_read(&plan, state).iter().any(|wanted| *wanted.name == *metric)
    }

    fn notify_verdicts(&self, guard: &Guard, judgement: &Judgement, now: SystemTime) {
        if judgement.changed.is_empty() || !self.shared.has_sinks() {
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
        self.shared.send_to_sinks(&told.collect::<Vec<_>>());
    }

    /// Returns the position of a guard's trigger in the plan in force, or `None` if that plan does not have it.
    fn current_index(&self, guard: &Guard, flag: &str, trigger: usize) -> Option<usize> {
        let (judged, plan) = (guard.plan(), self.plan());
        let known = judged.flag(flag)?.triggers().get(trigger)?;
        plan.flag(flag)?.triggers().iter().position(|here| here == known)
    }
}

/// Returns whether a failed event may succeed later, because the event itself is valid.
fn is_retryable(error: &RolloutError, event: &Event) -> bool {
    let is_held = || error.refusals().iter().any(|refusal| refusal.has("held"));
    match event {
        Event::Hold { .. } if error.is_refused() => is_held(),
        _ => !error.is_refused() && !error.is_not_found(),
    }
}
