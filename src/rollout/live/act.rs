//! Handling of one event: decide, apply, record, notify.

use super::Shared;
use super::backend::{ATTEMPTS, Backend, RecordHeader};
use super::drain::Drained;
use super::live_state::{AppliedRollback, Decided, FlagVersion};
use super::notify::Recorded;
use super::status::Outcome;
use super::tick::RecordedByFlag;
use crate::eval::StageName;
use crate::rollout::error::Kind;
use crate::rollout::machine::refusal::{flag_moved, incident_moved};
use crate::rollout::machine::{Decision, truncated};
use crate::rollout::{Event, Fact, FlagState, RolloutError, StoreError};

impl Shared {
    /// Decides an event and records the decision. A rollback is in force before it is recorded.
    pub(super) fn act(&self, by: &str, flag: &str, event: &Event) -> Result<Outcome, RolloutError> {
        let (by, event) = (&*truncated(by), &event.truncated());
        let rolls_back =
            matches!(event, Event::RollBack { .. } | Event::Breach { .. } | Event::Report { .. });
        let version = self.lock_live().flag_version(flag).ok();
        let acted = match self.decide(by, flag, event) {
            // Another process may have added the flag, or ended the hold that is in the way.
            Err(_) if self.learns_of_new_records(!rolls_back) => match version {
                Some(version) if !rolls_back => self.record_from(by, flag, event, version),
                _ => self
                    .decide(by, flag, event)
                    .and_then(|decided| self.record_decision(by, flag, event, decided)),
            },
            decided => decided.and_then(|decided| self.record_decision(by, flag, event, decided)),
        };
        acted.inspect_err(|refused| self.record_clock_after_refusal(by, refused))
    }

    /// Reads the store, and returns whether another process has added records. Waits for the store if told so.
    fn learns_of_new_records(&self, waits: bool) -> bool {
        let backend = if waits { Some(self.lock_backend()) } else { self.try_lock_backend() };
        let Some(mut backend) = backend else { return false };
        self.catch_up(&mut backend).is_ok_and(|records| !records.is_empty())
    }

    /// Decides an event. If the decision is a rollback, it is in force and the sinks are notified when this returns.
    /// Does not access the store.
    pub(super) fn decide(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
    ) -> Result<Decided, RolloutError> {
        let decided = {
            let mut live = self.lock_live();
            let moment = self.moment();
            live.decide(&self.gate, by, flag, event, &moment)?
        };
        if let Decided::RolledBack(AppliedRollback { decision, .. }) = &decided {
            let alerts = decision.alerts.clone();
            self.notify(flag, &Recorded { alerts, ..Recorded::default() });
        }
        Ok(decided)
    }

    /// Records a decision.
    pub(super) fn record_decision(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
        decided: Decided,
    ) -> Result<Outcome, RolloutError> {
        match decided {
            Decided::RolledBack(applied) => {
                let (recorded, unrecorded) = self.record_rollback(by, flag, event, applied)?;
                Ok(self.outcome(flag, recorded, unrecorded))
            }
            Decided::ToRecord(decision, _) if decision.facts.is_empty() => {
                self.flush_and_notify();
                let recorded = Recorded { alerts: decision.alerts, ..Recorded::default() };
                self.notify(flag, &recorded);
                Ok(self.outcome(flag, recorded, None))
            }
            Decided::ToRecord(_, version) => self.record_from(by, flag, event, version),
        }
    }

    /// Decides an event while holding the store, and records the decision. Refuses to promote a flag that has moved since
    /// `version`.
    fn record_from(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
        version: FlagVersion,
    ) -> Result<Outcome, RolloutError> {
        let recorded = {
            let mut backend = self.lock_backend();
            self.decide_and_record(&mut backend, by, flag, event, version)
        };
        self.flush_and_notify();
        let recorded = recorded?;
        self.notify(flag, &recorded);
        Ok(self.outcome(flag, recorded, None))
    }

    fn outcome(&self, flag: &str, recorded: Recorded, unrecorded: Option<RolloutError>) -> Outcome {
        let live = self.lock_live();
        // A flag of an update that is still being written has no state yet.
        let new_flag = || FlagState::new(StageName::OFF, live.now(&self.moment()).stamp());
        let state = live.state.flag(flag).cloned().unwrap_or_else(new_flag);
        Outcome { state, records: recorded.records, alerts: recorded.alerts, unrecorded }
    }

    /// Records a rollback that is in force, if the store is free.
    fn record_rollback(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
        AppliedRollback { number, decision, unconfirmed }: AppliedRollback,
    ) -> Result<(Recorded, Option<RolloutError>), RolloutError> {
        let (recorded, unrecorded) = self.record_if_free(number);
        let mut ours = Recorded::default();
        for (_, recorded) in recorded {
            ours.records.extend(recorded.records);
            ours.alerts.extend(recorded.alerts);
        }
        self.flush_and_notify();
        self.notify(flag, &ours);
        if unconfirmed && unrecorded.is_none() && ours.records.is_empty() {
            // The store had nothing to roll back. The flag may be below the requested stage, so report the refusal.
            self.lock_live().decision(&self.gate, by, flag, event, &self.moment())?;
        }
        ours.alerts.splice(..0, decision.alerts);
        Ok((ours, unrecorded))
    }

    /// Records the pending rollbacks, if the store is free. Returns the records of the rollback with this number, and
    /// the error if that rollback is still pending.
    pub(super) fn record_if_free(&self, number: u64) -> (RecordedByFlag, Option<RolloutError>) {
        let Some(mut backend) = self.try_lock_backend() else {
            self.lock_live().mark_late(number);
            let error = StoreError::io(
                "it is busy with another write; the rollback is recorded after that",
            );
            return (Vec::new(), Some(Kind::Store { store: self.label.clone(), error }.into()));
        };
        let drained = self.record_pending(&mut backend);
        drop(backend);
        let (mut live, mut ours) = (self.lock_live(), Vec::new());
        for (rollback, flag, recorded) in drained.recorded {
            let list = if rollback == number { &mut ours } else { &mut live.unsent };
            list.push((flag, recorded));
        }
        let error = drained.error.filter(|_| live.is_pending(number));
        (ours, error)
    }

    /// Decides again while holding the store, and records the decision.
    ///
    /// If another process writes first, reads its records and decides again. Refuses to promote a flag that has moved
    /// since `version`.
    pub(super) fn decide_and_record(
        &self,
        backend: &mut Backend,
        by: &str,
        flag: &str,
        event: &Event,
        version: FlagVersion,
    ) -> Result<Recorded, RolloutError> {
        let mut records = Vec::new();
        'retry: for _ in 0..ATTEMPTS {
            let Drained { error, is_down, .. } = self.record_pending_notify_later(backend);
            // A flag's records keep their order: later ones wait for a missing one.
            if let Some(error) = error
                && (is_down || self.lock_live().pending_stage(flag).is_some())
            {
                return Err(error);
            }
            let (decision, now, document) = {
                let mut live = self.lock_live();
                let moment = self.moment();
                let now = live.flag_version(flag)?;
                match event {
                    Event::PromoteTo { to } if now.stage == *to => {
                        return Ok(Recorded { records, ..Recorded::default() });
                    }
                    // Each of these events advances the flag or its incident by one step from where it was at decision
                    // time.
                    Event::Step { .. } if now.has_other_phase_than(&version) => {
                        return Err(Kind::Refused { refusal: incident_moved(flag, event) }.into());
                    }
                    Event::Promote | Event::PromoteTo { .. } | Event::Force { .. }
                        if now.has_moved_since(&version) =>
                    {
                        let mut refusal = flag_moved(flag, event, version.stage, now.stage);
                        let others = live.decision(&self.gate, by, flag, event, &moment).err();
                        let others = others.iter().flat_map(RolloutError::refusals);
                        refusal.unmet.extend(others.flat_map(|other| other.unmet.clone()));
                        return Err(Kind::Refused { refusal }.into());
                    }
                    // The next tick decides again.
                    Event::Tick if now.has_moved_since(&version) => {
                        return Ok(Recorded { records, ..Recorded::default() });
                    }
                    _ => {}
                }
                let decision = match live.decide(&self.gate, by, flag, event, &moment)? {
                    Decided::RolledBack(AppliedRollback { number, decision, .. }) => {
                        drop(live);
                        return Ok(self.record_rollback_holding_store(
                            backend,
                            number,
                            Recorded { records, ..decision.into() },
                        ));
                    }
                    Decided::ToRecord(decision, _) => decision,
                };
                (decision, now, live.state.document)
            };
            let mut from = now.stage;
            for (fact, to) in decision.facts {
                let goes_up = matches!(fact, Fact::Promoted { .. } | Fact::Completed { .. });
                if goes_up && self.lock_live().flag_version(flag)?.has_moved_since(&now) {
                    // The flag was rolled back while an earlier record of this loop was being written.
                    continue 'retry;
                }
                let flag = Some(flag);
                let header = RecordHeader { by, flag, from: Some(from), to: Some(to), document };
                match self.write(backend, &header, fact) {
                    Ok(record) => records.push(record),
                    Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                        self.catch_up(backend)?;
                        continue 'retry;
                    }
                    Err(error) => return Err(error),
                }
                from = to;
            }
            return Ok(Recorded { records, alerts: decision.alerts, messages: decision.messages });
        }
        Err(backend
            .failed(StoreError::conflict("other processes wrote first each time; try again")))
    }

    /// Records a rollback that was decided while this thread holds the store. A rollback that cannot be recorded stays
    /// pending.
    fn record_rollback_holding_store(
        &self,
        backend: &mut Backend,
        number: u64,
        mut recorded: Recorded,
    ) -> Recorded {
        let drained = self.record_pending(backend);
        for (rollback, flag, other) in drained.recorded {
            if rollback == number {
                recorded.records.extend(other.records);
                recorded.alerts.extend(other.alerts);
            } else {
                self.lock_live().unsent.push((flag, other));
            }
        }
        recorded
    }
}

impl From<Decision> for Recorded {
    fn from(decision: Decision) -> Recorded {
        Recorded { alerts: decision.alerts, messages: decision.messages, ..Recorded::default() }
    }
}
