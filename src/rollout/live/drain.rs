//! Recording of pending rollbacks: those that are in force but not in the journal yet.

use std::time::UNIX_EPOCH;

use super::Shared;
use super::backend::{ATTEMPTS, Backend, RecordHeader};
use super::notify::Recorded;
use super::pending::PendingRollback;
use crate::rollout::machine;
use crate::rollout::{Alert, Fact, RolloutError, StoreError};

/// The result of recording the pending rollbacks.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Each fact that was recorded: the number and flag of its rollback, and what to notify.
    pub(super) recorded: Vec<(u64, Box<str>, Recorded)>,
    /// Why the first rollback that is still pending could not be recorded.
    pub(super) error: Option<RolloutError>,
    /// Whether the store is down, so that no other record can be written either.
    pub(super) is_down: bool,
}

impl Shared {
    /// Records the pending rollbacks, and queues their notifications. Fails if one could not be recorded.
    pub(super) fn flush_pending(&self, backend: &mut Backend) -> Result<(), RolloutError> {
        self.record_pending_notify_later(backend).error.map_or(Ok(()), Err)
    }

    /// Records the pending rollbacks, and queues their notifications.
    pub(super) fn record_pending_notify_later(&self, backend: &mut Backend) -> Drained {
        let mut drained = self.record_pending(backend);
        let recorded = std::mem::take(&mut drained.recorded).into_iter();
        self.lock_live().unsent.extend(recorded.map(|(_, flag, recorded)| (flag, recorded)));
        drained
    }

    /// Records the pending rollbacks, flag by flag. A failed record delays only the same flag's records, unless the
    /// store cannot be read either. Then all records wait.
    pub(super) fn record_pending(&self, backend: &mut Backend) -> Drained {
        // The store may refuse the records, or the process may end before they are written.
        self.save_intents();
        let (mut drained, mut stuck) = (Drained::default(), Vec::new());
        loop {
            let next = self.lock_live().next_pending(&stuck);
            let Some(pending) = next else { break };
            let PendingRollback { number, flag, .. } = &pending;
            match self.record_first_fact(backend, &pending) {
                Ok(recorded) => {
                    self.lock_live().finish_fact(*number, &self.gate);
                    drained
                        .recorded
                        .extend(recorded.map(|recorded| (*number, flag.clone(), recorded)));
                }
                Err(error) => {
                    let is_down = is_down(backend, &error);
                    stuck.push(flag.clone());
                    self.lock_live().mark_failed(|it| is_down || it.flag == *flag);
                    drained.error.get_or_insert(error);
                    drained.is_down = is_down;
                    if is_down {
                        break;
                    }
                }
            }
        }
        self.lock_live().failures.note_pending(drained.error.as_ref());
        drained
    }

    /// Records the next fact of a rollback. Returns `None` if there is nothing left to roll back, after reading the
    /// store to its end.
    fn record_first_fact(
        &self,
        backend: &mut Backend,
        pending: &PendingRollback,
    ) -> Result<Option<Recorded>, RolloutError> {
        let Some(fact) = pending.facts.front() else { return Ok(None) };
        let mut is_read = false;
        for _ in 0..ATTEMPTS {
            let Some((header, alerts)) = self.header_and_alerts(pending, fact) else {
                if is_read {
                    return Ok(None);
                }
                self.catch_up(backend)?;
                is_read = true;
                continue;
            };
            match self.write(backend, &header, pending.fact_now(fact)) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(backend)?;
                }
                Err(error) => return Err(error),
                Ok(record) => {
                    return Ok(Some(Recorded {
                        records: vec![record],
                        alerts,
                        ..Recorded::default()
                    }));
                }
            }
        }
        Err(backend
            .failed(StoreError::conflict("other processes wrote first each time; try again")))
    }

    /// Returns the header of the fact's record and the alerts to send, or `None` if the flag is gone or already low
    /// enough.
    fn header_and_alerts<'p>(
        &self,
        pending: &'p PendingRollback,
        fact: &Fact,
    ) -> Option<(RecordHeader<'p>, Vec<Alert>)> {
        let live = self.lock_live();
        let (plan, state) = live.flag(&pending.flag).ok()?;
        let (from, document) = (state.stage, live.state.document);
        let (by, flag) = (&*pending.by, Some(&*pending.flag));
        let Fact::RolledBack { cause, .. } = fact else {
            return Some((
                RecordHeader { by, flag, from: Some(from), to: Some(from), document },
                vec![],
            ));
        };
        if !machine::is_below(&plan, pending.to, from) {
            return None;
        }
        let moment = self.moment();
        let now = live.now(&moment);
        let alert = || machine::rollback_alert(&plan, state, now, cause, pending.to);
        let alerts = if pending.is_notified { Vec::new() } else { vec![alert()] };
        let to = Some(pending.to);
        Some((RecordHeader { by, flag, from: Some(from), to, document }, alerts))
    }

    /// Records the rollbacks that arrived while this thread held the store, and sends the queued notifications.
    ///
    /// Call it after releasing the store, with no lock held.
    pub(super) fn flush_and_notify(&self) {
        while self.lock_live().pending.iter().any(|pending| !pending.has_failed) {
            let Some(mut backend) = self.try_lock_backend() else { break };
            let flushed = self.flush_pending(&mut backend);
            drop(backend);
            if flushed.is_err() {
                break;
            }
        }
        self.save_intents();
        let unsent = std::mem::take(&mut self.lock_live().unsent);
        for (flag, recorded) in unsent {
            self.notify(&flag, &recorded);
        }
    }
}

/// Returns whether the store is down. It is if it failed for a reason other than refusing a record, and cannot be read
/// either.
pub(super) fn is_down(backend: &mut Backend, error: &RolloutError) -> bool {
    let is_refused = error.store_error().is_some_and(StoreError::is_refused);
    !is_refused && backend.check_readable().is_err()
}

impl PendingRollback {
    /// Returns the fact as it must be recorded now: a late record says when the rollback took effect.
    fn fact_now(&self, fact: &Fact) -> Fact {
        let Fact::RolledBack { cause, .. } = fact else { return fact.clone() };
        let since = self.since.wall.duration_since(UNIX_EPOCH).ok();
        let since = since.and_then(|time| u64::try_from(time.as_millis()).ok());
        let effective_ms = since.filter(|_| self.is_late);
        Fact::RolledBack { cause: cause.clone(), effective_ms }
    }
}
