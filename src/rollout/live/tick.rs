//! Doing what is due.

use super::Shared;
use super::back::Back;
use super::drain;
use super::front::{Decided, Place, TakenBack};
use super::status::TickReport;
use super::telling::Done;
use crate::rollout::{Event, RolloutError, machine};

/// Who does what nobody had to ask for.
const BY: &str = "stagegate";

/// What became of flags, in order.
pub(super) type Told = Vec<(Box<str>, Done)>;

/// Flags that are looked at before others may have the lock: about a tenth of a millisecond, where messages may be
/// due. A roll-back waits for it.
const AT_ONCE: usize = 16;

impl Shared {
    /// `may` is asked before each flag that time alone would move.
    pub(super) fn tick(&self, may: &dyn Fn() -> bool) -> TickReport {
        let (mut report, mut told) = (TickReport::default(), Vec::new());
        self.front().notice_calls(&self.gate, &self.moment());
        let noted = {
            let mut back = self.back();
            let mut is_down = self.drain_in_tick(&mut back, &mut told, &mut report);
            let mut due = self.look(&mut told, &mut report);
            if is_down {
                due.clear();
            }
            for (flag, event, place) in due {
                if !may() {
                    break;
                }
                match self.advance(&mut back, BY, &flag, &event, place) {
                    Ok(done) => told.push((flag, done)),
                    Err(error) => {
                        // What is wrong with one flag's record does not hold up the other flags.
                        is_down = drain::is_down(&mut back, &error);
                        report.error.get_or_insert(error);
                        if is_down {
                            break;
                        }
                    }
                }
            }
            if is_down {
                // What was taken back just now waits with the rest, and survives the process.
                self.front().has_failed(|_| true);
            } else {
                self.drain_in_tick(&mut back, &mut told, &mut report);
            }
            let noted = if report.error.is_none() && may() {
                self.note_clock(&mut back, BY)
            } else {
                Ok(None)
            };
            let noted = noted.unwrap_or_else(|error| {
                report.error = Some(error);
                None
            });
            let wrote = noted.is_some() || told.iter().any(|(_, done)| !done.records.is_empty());
            if report.error.is_none() && !wrote {
                // Nothing was written, so nothing says yet that the store is there.
                let answer = back.can_be_read();
                self.front().failures.answered(&answer);
                report.error = answer.err();
            }
            noted
        };
        self.record_waiting();
        for (flag, done) in told {
            self.tell_of(&flag, &done);
            report.records.extend(done.records);
            report.alerts.extend(done.alerts.into_iter().map(|alert| (flag.clone(), alert)));
            report.letters.extend(done.letters.into_iter().map(|letter| (flag.clone(), letter)));
        }
        report.records.extend(noted);
        report
    }

    /// Records what is in force already. Whether the store is down.
    pub(super) fn drain_in_tick(
        &self,
        back: &mut Back,
        told: &mut Told,
        report: &mut TickReport,
    ) -> bool {
        let drained = self.record_pending(back);
        told.extend(drained.done.into_iter().map(|(_, flag, done)| (flag, done)));
        if let Some(error) = drained.error {
            report.error.get_or_insert(error);
        }
        drained.is_down
    }

    /// Goes over the flags, a few at a time: takes back what has to be, lists what is overdue, and
    /// returns the flags for which something else is to be recorded, and by which event.
    fn look(&self, told: &mut Told, report: &mut TickReport) -> Vec<(Box<str>, Event, Place)> {
        let tells = self.tells();
        let (mut due, mut begin) = (Vec::new(), 0);
        loop {
            let mut front = self.front();
            let moment = self.moment();
            front.note_time(&moment);
            let some = front.state.flags().iter().skip(begin).take(AT_ONCE);
            let keys: Vec<Box<str>> = some.map(|(key, _)| key.clone()).collect();
            if keys.is_empty() {
                return due;
            }
            begin += keys.len();
            for key in keys {
                if let Ok((plan, state)) = front.flag(&key) {
                    let overdue = machine::overdue(&plan, state, front.now(&moment)).into_iter();
                    report.overdue.extend(overdue.map(|what| (key.clone(), what)));
                }
                let mut events = vec![Event::Tick];
                events.extend(tells.then_some(Event::Tell));
                for event in events {
                    match front.decide(&self.gate, BY, &key, &event, &moment) {
                        Ok(Decided::Back(TakenBack { draft, .. })) => {
                            told.push((key.clone(), draft.into()));
                        }
                        Ok(Decided::Draft(draft, place)) if !draft.facts.is_empty() => {
                            due.push((key.clone(), event, place));
                        }
                        Ok(Decided::Draft(..)) => {}
                        Err(error) => report.error = not_refused(error).or(report.error.take()),
                    }
                }
            }
        }
    }
}

/// Nothing refuses a tick.
fn not_refused(error: RolloutError) -> Option<RolloutError> {
    (!error.is_refused()).then_some(error)
}
