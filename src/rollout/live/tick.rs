//! A tick: all due work, once.

use super::Shared;
use super::backend::Backend;
use super::drain;
use super::live_state::{AppliedRollback, Decided, FlagVersion};
use super::notify::Recorded;
use super::status::TickReport;
use crate::rollout::{Event, RolloutError, machine};

/// The actor that is recorded for automatic actions.
pub(super) const AUTOMATIC: &str = "stagegate";

/// The results of events, each with its flag, in order.
pub(super) type RecordedByFlag = Vec<(Box<str>, Recorded)>;

/// How many flags a tick decides before it releases the lock: about a tenth of a millisecond, if messages may be due. A
/// rollback waits that long at most.
const FLAGS_PER_LOCK: usize = 16;

impl Shared {
    /// Does all due work once. Calls `may_continue` before each flag that it would move, and stops at `false`.
    pub(super) fn tick(&self, may_continue: &dyn Fn() -> bool) -> TickReport {
        let (mut report, mut recorded) = (TickReport::default(), Vec::new());
        self.lock_live().collect_gate_calls(&self.gate, &self.moment());
        let noted = {
            let mut backend = self.lock_backend();
            let mut is_down = self.record_pending_in_tick(&mut backend, &mut recorded, &mut report);
            let mut due = self.check_flags(&mut recorded, &mut report);
            if is_down {
                due.clear();
            }
            for (flag, event, version) in due {
                if !may_continue() {
                    break;
                }
                match self.decide_and_record(&mut backend, AUTOMATIC, &flag, &event, version) {
                    Ok(of_flag) => recorded.push((flag, of_flag)),
                    Err(error) => {
                        // A record that the store does not take holds up only its own flag.
                        is_down = drain::is_down(&mut backend, &error);
                        report.error.get_or_insert(error);
                        if is_down {
                            break;
                        }
                    }
                }
            }
            if is_down {
                // The rollbacks of this tick wait with the others, and go into the file of intents.
                self.lock_live().mark_failed(|_| true);
            } else {
                self.record_pending_in_tick(&mut backend, &mut recorded, &mut report);
            }
            let noted = if report.error.is_none() && may_continue() {
                self.record_clock(&mut backend, AUTOMATIC)
            } else {
                Ok(None)
            };
            let noted = noted.unwrap_or_else(|error| {
                report.error = Some(error);
                None
            });
            let wrote =
                noted.is_some() || recorded.iter().any(|(_, of_flag)| !of_flag.records.is_empty());
            if report.error.is_none() && !wrote {
                // Nothing was written, so it is unknown whether the store answers.
                let answer = backend.check_readable();
                self.lock_live().failures.note_answered(&answer);
                report.error = answer.err();
            }
            noted
        };
        self.flush_and_notify();
        for (flag, of_flag) in recorded {
            self.notify(&flag, &of_flag);
            report.records.extend(of_flag.records);
            report.alerts.extend(of_flag.alerts.into_iter().map(|alert| (flag.clone(), alert)));
            report
                .messages
                .extend(of_flag.messages.into_iter().map(|message| (flag.clone(), message)));
        }
        report.records.extend(noted);
        report
    }

    /// Records pending rollbacks. Returns whether the store is down.
    pub(super) fn record_pending_in_tick(
        &self,
        backend: &mut Backend,
        recorded: &mut RecordedByFlag,
        report: &mut TickReport,
    ) -> bool {
        let drained = self.record_pending(backend);
        recorded.extend(drained.recorded.into_iter().map(|(_, flag, of_flag)| (flag, of_flag)));
        if let Some(error) = drained.error {
            report.error.get_or_insert(error);
        }
        drained.is_down
    }

    /// Decides what is due for each flag, a few flags at a time. Applies rollbacks, lists overdue work, and returns the
    /// events to record.
    fn check_flags(
        &self,
        recorded: &mut RecordedByFlag,
        report: &mut TickReport,
    ) -> Vec<(Box<str>, Event, FlagVersion)> {
        let has_sinks = self.has_sinks();
        let (mut due, mut begin) = (Vec::new(), 0);
        loop {
            let mut live = self.lock_live();
            let moment = self.moment();
            live.note_time(&moment);
            let some = live.state.flags().iter().skip(begin).take(FLAGS_PER_LOCK);
            let keys: Vec<Box<str>> = some.map(|(key, _)| key.clone()).collect();
            if keys.is_empty() {
                return due;
            }
            begin += keys.len();
            for key in keys {
                if let Ok((plan, state)) = live.flag(&key) {
                    let overdue = machine::overdue(&plan, state, live.now(&moment)).into_iter();
                    report.overdue.extend(overdue.map(|what| (key.clone(), what)));
                }
                let mut events = vec![Event::Tick];
                events.extend(has_sinks.then_some(Event::SendMessages));
                for event in events {
                    match live.decide(&self.gate, AUTOMATIC, &key, &event, &moment) {
                        Ok(Decided::RolledBack(AppliedRollback { decision, .. })) => {
                            recorded.push((key.clone(), decision.into()));
                        }
                        Ok(Decided::ToRecord(decision, version)) if !decision.facts.is_empty() => {
                            due.push((key.clone(), event, version));
                        }
                        Ok(Decided::ToRecord(..)) => {}
                        Err(error) => report.error = unless_refused(error).or(report.error.take()),
                    }
                }
            }
        }
    }
}

/// Returns the error, unless it is a refusal. A refusal is not a failure of the tick.
fn unless_refused(error: RolloutError) -> Option<RolloutError> {
    (!error.is_refused()).then_some(error)
}
