//! Doing what is due.

use super::Shared;
use super::front::Decided;
use super::status::TickReport;
use crate::rollout::{Event, RolloutError, machine};

/// Who does what nobody had to ask for.
const BY: &str = "stagegate";

/// Flags that are looked at before others may have the lock.
const AT_ONCE: usize = 64;

impl Shared {
    pub(super) fn tick(&self) -> TickReport {
        let mut report = TickReport::default();
        {
            let mut front = self.front();
            front.last_error = None;
            front.notice_calls(&self.gate, &self.moment());
        }
        {
            let mut back = self.back();
            match self.drain(&mut back) {
                Ok(records) => report.records.extend(records.into_iter().map(|(_, it)| it)),
                Err(error) => report.error = Some(error),
            }
            let due = self.look(&mut report);
            for flag in due {
                match self.advance(&mut back, BY, &flag, &Event::Tick) {
                    Ok((records, alerts)) => {
                        report.records.extend(records);
                        let alerts = alerts.into_iter().map(|alert| (flag.clone(), alert));
                        report.alerts.extend(alerts);
                    }
                    Err(error) => {
                        report.error = Some(error);
                        break;
                    }
                }
            }
            match self.drain(&mut back) {
                Ok(records) => report.records.extend(records.into_iter().map(|(_, it)| it)),
                Err(error) => report.error = Some(error),
            }
        }
        self.record_waiting();
        report
    }

    /// Goes over the flags, a few at a time: takes back what has to be, lists what is overdue, and
    /// returns the flags for which something else is to be recorded.
    fn look(&self, report: &mut TickReport) -> Vec<Box<str>> {
        let (mut due, mut begin) = (Vec::new(), 0);
        loop {
            let mut front = self.front();
            let moment = self.moment();
            let now = front.stamp(&moment);
            let some = front.state.flags().iter().skip(begin).take(AT_ONCE);
            let keys: Vec<Box<str>> = some.map(|(key, _)| key.clone()).collect();
            if keys.is_empty() {
                return due;
            }
            begin += keys.len();
            for key in keys {
                if let Ok((plan, state)) = front.flag(&key) {
                    let overdue = machine::overdue(&plan, state, now).into_iter();
                    report.overdue.extend(overdue.map(|what| (key.clone(), what)));
                }
                match front.decide(&self.gate, BY, &key, &Event::Tick, &moment) {
                    Ok(Decided::Back(_, draft)) => {
                        let alerts = draft.alerts.into_iter().map(|alert| (key.clone(), alert));
                        report.alerts.extend(alerts);
                    }
                    Ok(Decided::Draft(draft)) if !draft.facts.is_empty() => due.push(key),
                    Ok(Decided::Draft(_)) => {}
                    Err(error) => report.error = not_refused(error).or(report.error.take()),
                }
            }
        }
    }
}

/// Nothing refuses a tick.
fn not_refused(error: RolloutError) -> Option<RolloutError> {
    (!error.is_refused()).then_some(error)
}
