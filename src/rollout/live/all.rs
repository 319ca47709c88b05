//! Actions and records about all flags at once: a rollback, a freeze and its end, another segment, a restore.

use std::time::SystemTime;

use super::backend::{ATTEMPTS, Backend, RecordHeader};
use super::live_state::AppliedToAll;
use super::notify::Recorded;
use super::status::RollbackReport;
use super::{LiveState, Shared};
use crate::rollout::error::Kind;
use crate::rollout::journal::FORMAT;
use crate::rollout::machine::{self, truncated};
use crate::rollout::{Cause, Fact, Now, Record, Refusal, RolloutError, StoreError};

impl Shared {
    /// Rolls every flag back. The rollback is in force before it is recorded.
    pub(super) fn roll_back_all(&self, by: &str, reason: &str) -> RollbackReport {
        let (by, reason) = (truncated(by), truncated(reason).into());
        let AppliedToAll { number, alerts } = {
            let mut live = self.lock_live();
            let moment = self.moment();
            live.roll_back_all(&self.gate, &by, &Cause::Decision { reason }, &moment)
        };
        for (flag, alert) in &alerts {
            let alerts = vec![alert.clone()];
            self.notify(flag, &Recorded { alerts, ..Recorded::default() });
        }
        let (recorded, unrecorded) = self.record_if_free(number);
        self.flush_and_notify();
        let mut report = RollbackReport { records: Vec::new(), alerts, unrecorded };
        for (flag, of_flag) in recorded {
            self.notify(&flag, &of_flag);
            report.records.extend(of_flag.records);
            report.alerts.extend(of_flag.alerts.into_iter().map(|alert| (flag.clone(), alert)));
        }
        report
    }

    /// Holds all flags.
    pub(super) fn hold_all(
        &self,
        by: &str,
        why: &str,
        until: Option<SystemTime>,
    ) -> Result<Record, RolloutError> {
        let why = truncated(why);
        self.act_on_all(by, |live, now| {
            machine::hold_all(live.state.freeze.as_ref(), &why, until, now)
        })
    }

    /// Ends the hold of all flags.
    pub(super) fn resume_all(&self, by: &str, why: Option<&str>) -> Result<Record, RolloutError> {
        let why = why.map(truncated);
        self.act_on_all(by, |live, now| {
            machine::resume_all(live.state.freeze.as_ref(), why.as_deref(), now)
        })
    }

    /// Begins another segment of the journal, with the state so far.
    pub(super) fn begin_segment(&self, by: &str) -> Result<Record, RolloutError> {
        self.record_once(by, |live, _| Ok(live.state.next_segment(live.state.format)))
    }

    /// Begins another segment in the newest version of the format, unless the last one has that version.
    pub(super) fn upgrade(&self, by: &str) -> Result<Option<Record>, RolloutError> {
        if self.lock_live().state.format >= FORMAT {
            return Ok(None);
        }
        self.record_once(by, |live, _| Ok(live.state.next_segment(FORMAT))).map(Some)
    }

    /// Records that the store was restored from another one.
    pub(super) fn note_restored(
        &self,
        by: &str,
        from: &str,
        records: u64,
    ) -> Result<Record, RolloutError> {
        let from = truncated(from);
        self.record_once(by, |_, _| Ok(Fact::Restored { from: (&*from).into(), records }))
    }

    fn act_on_all(
        &self,
        by: &str,
        decide: impl Fn(&LiveState, Now<'_>) -> Result<Fact, Refusal>,
    ) -> Result<Record, RolloutError> {
        let record = self.record_once(by, decide)?;
        let records = vec![record.clone()];
        self.notify("", &Recorded { records, ..Recorded::default() });
        Ok(record)
    }

    /// Decides and records a fact about all flags.
    fn record_once(
        &self,
        by: &str,
        decide: impl Fn(&LiveState, Now<'_>) -> Result<Fact, Refusal>,
    ) -> Result<Record, RolloutError> {
        let recorded = {
            let mut backend = self.lock_backend();
            self.record_for_all(&mut backend, &truncated(by), decide)
        };
        self.flush_and_notify();
        recorded
    }

    /// Decides and records a fact about all flags. Refuses only after reading the store to its end.
    fn record_for_all(
        &self,
        backend: &mut Backend,
        by: &str,
        decide: impl Fn(&LiveState, Now<'_>) -> Result<Fact, Refusal>,
    ) -> Result<Record, RolloutError> {
        let mut is_read = false;
        for _ in 0..ATTEMPTS {
            let drained = self.record_pending_notify_later(backend);
            if let Some(error) = drained.error.filter(|_| drained.is_down) {
                return Err(error);
            }
            let (decided, document) = {
                let live = self.lock_live();
                (decide(&live, live.now(&self.moment())), live.state.document)
            };
            let fact = match decided {
                Ok(fact) => fact,
                Err(refusal) if is_read => return Err(Kind::Refused { refusal }.into()),
                Err(_) => {
                    self.catch_up(backend)?;
                    is_read = true;
                    continue;
                }
            };
            let header = RecordHeader { by, flag: None, from: None, to: None, document };
            match self.write(backend, &header, fact) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(backend)?;
                    is_read = true;
                }
                written => return written,
            }
        }
        Err(backend
            .failed(StoreError::conflict("other processes wrote first each time; try again")))
    }
}
