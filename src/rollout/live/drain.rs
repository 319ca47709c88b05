//! Recording of pending rollbacks: those that are in force but not in the journal yet.

use super::Shared;
use super::backend::{ATTEMPTS, Backend, RecordHeader};
use super::live_state::LiveState;
use super::notify::Recorded;
use super::pending::{PendingRollback, Scope};
use super::tick::RecordedByFlag;
use crate::eval::StageName;
use crate::rollout::journal::millis_of_moment;
use crate::rollout::machine;
use crate::rollout::{Alert, Cause, Fact, FlagRollback, RolloutError, StoreError};

/// The result of recording the pending rollbacks.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Each fact that was recorded: the number and flag of its rollback, and what to notify. The flag of a rollback of
    /// all flags is empty.
    pub(super) recorded: Vec<(u64, Box<str>, Recorded)>,
    /// Why the first rollback that is still pending could not be recorded.
    pub(super) error: Option<RolloutError>,
    /// Whether the store is down, so that no other record can be written either.
    pub(super) is_down: bool,
}

/// The next record of a pending rollback.
struct NextRecord<'p> {
    header: RecordHeader<'p>,
    fact: Fact,
    /// The alerts that were not sent when the rollback took effect, each with its flag.
    alerts: Vec<(Box<str>, Alert)>,
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
            let PendingRollback { number, scope, .. } = &pending;
            match self.record_first_fact(backend, &pending) {
                Ok(recorded) => {
                    self.lock_live().finish_fact(*number, &self.gate);
                    let recorded = recorded.into_iter();
                    drained
                        .recorded
                        .extend(recorded.map(|(flag, of_flag)| (*number, flag, of_flag)));
                }
                Err(error) => {
                    let is_down = is_down(backend, &error);
                    self.lock_live().mark_failed(|it| is_down || it.scope.key() == scope.key());
                    stuck.push(scope.clone());
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

    /// Records the next fact of a rollback. Returns the notifications by flag. Returns none if the store, read to its end,
    /// has no flag left to roll back.
    fn record_first_fact(
        &self,
        backend: &mut Backend,
        pending: &PendingRollback,
    ) -> Result<RecordedByFlag, RolloutError> {
        let Some(fact) = pending.facts.front() else { return Ok(Vec::new()) };
        let mut is_read = false;
        for _ in 0..ATTEMPTS {
            let Some(NextRecord { header, fact, alerts }) = self.next_record(pending, fact) else {
                if is_read {
                    return Ok(Vec::new());
                }
                self.catch_up(backend)?;
                is_read = true;
                continue;
            };
            match self.write(backend, &header, fact) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(backend)?;
                }
                Err(error) => return Err(error),
                Ok(record) => {
                    let records = vec![record];
                    let record = Recorded { records, ..Recorded::default() };
                    let alerts = alerts.into_iter().map(|(flag, alert)| {
                        (flag, Recorded { alerts: vec![alert], ..Recorded::default() })
                    });
                    let record = (pending.scope.key().into(), record);
                    return Ok(std::iter::once(record).chain(alerts).collect());
                }
            }
        }
        Err(backend
            .failed(StoreError::conflict("other processes wrote first each time; try again")))
    }

    /// Returns the record of the fact, or `None` if the flags are gone or already low enough, or if the open incident has
    /// the same report.
    fn next_record<'p>(&self, pending: &'p PendingRollback, fact: &Fact) -> Option<NextRecord<'p>> {
        let live = self.lock_live();
        let (by, document) = (&*pending.by, live.state.document);
        let (flag, to) = match &pending.scope {
            Scope::Flag(flag, to) => (flag, *to),
            Scope::All(listed) => {
                let Fact::RolledBackAll { cause, .. } = fact else { return None };
                let flags = live.flags_above(&pending.scope);
                if flags.is_empty() {
                    return None;
                }
                let is_new = |back: &&FlagRollback| !listed.contains_key(&back.flag);
                let alert = |back: &FlagRollback| {
                    let alert = self.rollback_alert(&live, &back.flag, cause, back.to)?;
                    Some((back.flag.clone(), alert))
                };
                let alerts = flags.iter().filter(is_new).filter_map(alert).collect();
                let effective_ms = pending.effective_ms();
                let fact = Fact::RolledBackAll { cause: cause.clone(), flags, effective_ms };
                let header = RecordHeader { by, flag: None, from: None, to: None, document };
                return Some(NextRecord { header, fact, alerts });
            }
        };
        let (plan, state) = live.flag(flag).ok()?;
        let from = state.stage;
        let header = |to| {
            let (from, to) = (Some(from), Some(to));
            RecordHeader { by, flag: Some(flag), from, to, document }
        };
        let is_low = !machine::is_below(&plan, to, from);
        if let Fact::Reported { kind, note } = fact
            && is_low
            && machine::is_repeated_report(state, by, kind, note.as_deref())
        {
            return None;
        }
        let Fact::RolledBack { cause, .. } = fact else {
            return Some(NextRecord { header: header(from), fact: fact.clone(), alerts: vec![] });
        };
        if is_low {
            return None;
        }
        let alert = || Some((flag.clone(), self.rollback_alert(&live, flag, cause, to)?));
        let alerts = if pending.is_notified { None } else { alert() };
        let (cause, effective_ms) = (cause.clone(), pending.effective_ms());
        let fact = Fact::RolledBack { cause, effective_ms };
        Some(NextRecord { header: header(to), fact, alerts: alerts.into_iter().collect() })
    }

    fn rollback_alert(
        &self,
        live: &LiveState,
        flag: &str,
        cause: &Cause,
        to: StageName,
    ) -> Option<Alert> {
        let ((plan, state), moment) = (live.find(flag)?, self.moment());
        Some(machine::rollback_alert(&plan, state, live.now(&moment), cause, to))
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

impl LiveState {
    /// Returns the flags that are above the stage that a rollback allows.
    fn flags_above(&self, scope: &Scope) -> Vec<FlagRollback> {
        let flags = self.state.flags().iter().filter_map(|(flag, state)| {
            let (to, from) = (scope.stage_of(flag)?, state.stage);
            let plan = self.state.plan.flag(flag)?;
            let flag = flag.clone();
            machine::is_below(&plan, to, from).then_some(FlagRollback { flag, from, to })
        });
        flags.collect()
    }
}

impl PendingRollback {
    /// Returns when the rollback took effect, in milliseconds since 1970, if its record is late.
    fn effective_ms(&self) -> Option<u64> {
        self.is_late.then(|| millis_of_moment(self.since.wall))
    }
}
