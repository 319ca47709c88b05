//! Pending rollbacks: in force, but not in the journal yet.

use std::collections::VecDeque;

use super::live_state::{AppliedRollback, Decided, LiveState};
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::rollout::machine::{self, Decision};
use crate::rollout::{AlertKind, Cause, Fact, RolloutError};

/// A rollback that is in force but not recorded.
#[derive(Clone, Debug)]
pub(super) struct PendingRollback {
    pub(super) number: u64,
    pub(super) flag: Box<str>,
    pub(super) by: Box<str>,
    /// The facts that are not recorded yet, in order.
    pub(super) facts: VecDeque<Fact>,
    /// The highest stage that the flag may have.
    pub(super) to: StageName,
    /// When the rollback took effect.
    pub(super) since: Moment,
    /// The number of the last journal record that was known then.
    pub(super) head: u64,
    /// Whether the sinks were notified of the rollback.
    pub(super) is_notified: bool,
    /// Whether the record was delayed, by a failure or by another write.
    pub(super) is_late: bool,
    /// Whether recording has failed.
    pub(super) has_failed: bool,
}

impl LiveState {
    /// Returns the stage of the flag's last pending rollback.
    pub(super) fn pending_stage(&self, key: &str) -> Option<StageName> {
        self.last_pending(key).map(|pending| pending.to)
    }

    fn last_pending(&self, key: &str) -> Option<&PendingRollback> {
        self.pending.iter().rev().find(|pending| *pending.flag == *key)
    }

    /// Returns the stage to serve: the lower one of the journal's stage and the pending rollback's.
    pub(super) fn effective_stage(&self, key: &str) -> StageName {
        let stage = self.state.stage(key);
        self.pending_stage(key).filter(|to| self.is_below(key, *to, stage)).unwrap_or(stage)
    }

    /// Returns whether a stage of a flag is below another one. A stage that the plan does not have counts as `off`.
    fn is_below(&self, key: &str, stage: StageName, other: StageName) -> bool {
        self.plan_of(key).is_some_and(|plan| machine::is_below(&plan, stage, other))
    }

    /// Returns whether a pending rollback already keeps the flag at this stage or below.
    fn is_covered_by_pending(&self, key: &str, to: StageName) -> bool {
        self.pending_stage(key).is_some_and(|known| !self.is_below(key, to, known))
    }

    /// Rolls a flag back in the gate, and notes what to record. If a pending rollback already goes as far, this one
    /// merges into it.
    pub(super) fn roll_back(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        (mut decision, to, unconfirmed): (Decision, StageName, bool),
        moment: &Moment,
    ) -> Result<Decided, RolloutError> {
        if self.is_covered_by_pending(key, to) {
            self.count_rollback(key);
            decision.facts.retain(|(fact, _)| !matches!(fact, Fact::RolledBack { .. }));
            decision.alerts.retain(|alert| alert.kind != AlertKind::RolledBack);
            return Ok(match self.last_pending(key).filter(|_| decision.facts.is_empty()) {
                Some(PendingRollback { number, .. }) => {
                    let (number, decision, unconfirmed) = (*number, Decision::default(), false);
                    Decided::RolledBack(AppliedRollback { number, decision, unconfirmed })
                }
                None => Decided::ToRecord(decision, self.flag_version(key)?),
            });
        }
        gate.lower_flag(key, to);
        let facts = decision.facts.iter().map(|(fact, _)| fact.clone()).collect();
        let number = self.add_pending(by, key, facts, to, moment);
        if let Some(pending) = self.pending.back_mut() {
            pending.is_notified = !unconfirmed;
        }
        self.take_dependants_along(by, key, to, moment);
        Ok(Decided::RolledBack(AppliedRollback { number, decision, unconfirmed }))
    }

    fn add_pending(
        &mut self,
        by: &str,
        key: &str,
        facts: VecDeque<Fact>,
        to: StageName,
        moment: &Moment,
    ) -> u64 {
        let number = self.next_pending;
        self.next_pending += 1;
        self.count_rollback(key);
        self.pending.push_back(PendingRollback {
            number,
            flag: key.into(),
            by: by.into(),
            facts,
            to,
            since: moment.clone(),
            head: self.state.head.0,
            is_notified: true,
            is_late: false,
            has_failed: false,
        });
        number
    }

    /// Makes every earlier decision to promote the flag void.
    fn count_rollback(&mut self, key: &str) {
        *self.rollback_counts.entry(key.into()).or_insert(0) += 1;
    }

    /// Adds the rollbacks that the application made by calling the gate.
    pub(super) fn collect_gate_calls(&mut self, gate: &Gate, moment: &Moment) {
        for (key, to) in gate.take_calls() {
            if self.is_covered_by_pending(&key, to) {
                self.count_rollback(&key);
                continue;
            }
            let fact = Fact::RolledBack { cause: Cause::Call, effective_ms: None };
            self.add_pending("application", &key, VecDeque::from([fact]), to, moment);
            self.take_dependants_along("application", &key, to, moment);
        }
    }

    /// Adds the rollbacks of the flags that require a rolled-back flag. The gate lowered them together with that flag.
    fn take_dependants_along(&mut self, by: &str, key: &str, to: StageName, moment: &Moment) {
        for dependant in self.dependants(key, to) {
            let cause = Cause::Prerequisite { flag: key.into() };
            let facts = VecDeque::from([Fact::RolledBack { cause, effective_ms: None }]);
            self.add_pending(by, &dependant, facts, StageName::OFF, moment);
            if let Some(pending) = self.pending.back_mut() {
                pending.is_notified = false;
            }
        }
    }

    /// Returns the first pending rollback of a flag that is not stuck. A flag's later records wait for its missing one.
    pub(super) fn next_pending(&self, stuck: &[Box<str>]) -> Option<PendingRollback> {
        self.pending.iter().find(|pending| !stuck.contains(&pending.flag)).cloned()
    }

    /// Marks rollbacks whose recording has failed.
    pub(super) fn mark_failed(&mut self, which: impl Fn(&PendingRollback) -> bool) {
        for pending in self.pending.iter_mut().filter(|pending| which(pending)) {
            (pending.is_late, pending.has_failed) = (true, true);
        }
    }

    /// Removes a rollback's first fact, which is recorded or no longer applies.
    pub(super) fn finish_fact(&mut self, number: u64, gate: &Gate) {
        let Some(index) = self.pending.iter().position(|it| it.number == number) else { return };
        let Some(pending) = self.pending.get_mut(index) else { return };
        pending.facts.pop_front();
        if !pending.facts.is_empty() {
            return;
        }
        let Some(PendingRollback { flag, .. }) = self.pending.remove(index) else { return };
        // The pending rollback may have kept the flag below a recorded promotion that it does not undo. Serve that
        // stage now.
        let (serving, stage) = (self.gate_stage(gate, &flag), self.effective_stage(&flag));
        if self.is_below(&flag, serving, stage) {
            gate.move_flag(&flag, serving, stage);
        }
    }

    /// Marks a rollback whose record waits for another write.
    pub(super) fn mark_late(&mut self, number: u64) {
        let ours = self.pending.iter_mut().filter(|it| it.number == number);
        ours.for_each(|pending| pending.is_late = true);
    }

    pub(super) fn is_pending(&self, number: u64) -> bool {
        self.pending.iter().any(|pending| pending.number == number)
    }
}
