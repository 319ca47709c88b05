//! Pending rollbacks: in force, but not in the journal yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::live_state::{AppliedRollback, AppliedToAll, Decided, LiveState};
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::rollout::machine::{self, Decision};
use crate::rollout::{AlertKind, Cause, Fact, FlagState, RolloutError};

/// A rollback that is in force but not recorded.
#[derive(Clone, Debug)]
pub(super) struct PendingRollback {
    pub(super) number: u64,
    pub(super) scope: Scope,
    pub(super) by: Box<str>,
    /// The facts that are not recorded yet, in order. The flags of a [`Fact::RolledBackAll`] are filled in when it is
    /// recorded.
    pub(super) facts: VecDeque<Fact>,
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

/// The flags that a pending rollback keeps down, and the highest stage that each may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Flag(Box<str>, StageName),
    /// Every flag. A flag that is not listed was off in this process. It may be on in another one, so it goes off.
    All(Arc<BTreeMap<Box<str>, StageName>>),
}

impl Scope {
    /// Returns the highest stage that a flag may have, or `None` if the rollback is about other flags.
    pub(super) fn stage_of(&self, key: &str) -> Option<StageName> {
        match self {
            Scope::Flag(flag, to) => (**flag == *key).then_some(*to),
            Scope::All(flags) => Some(flags.get(key).copied().unwrap_or(StageName::OFF)),
        }
    }

    /// Returns the flag's key, or an empty text for all flags.
    pub(super) fn key(&self) -> &str {
        match self {
            Scope::Flag(flag, _) => flag,
            Scope::All(_) => "",
        }
    }

    /// Returns whether the records of this scope must wait for a stuck record of the other scope.
    fn waits_for(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::Flag(ours, _), Scope::Flag(theirs, _)) => ours == theirs,
            (_, Scope::All(_)) => true,
            // One bad record must not hold up the record about all flags.
            (Scope::All(_), Scope::Flag(..)) => false,
        }
    }
}

impl LiveState {
    /// Returns the stage of the flag's last pending rollback.
    pub(super) fn pending_stage(&self, key: &str) -> Option<StageName> {
        self.pending.iter().rev().find_map(|pending| pending.scope.stage_of(key))
    }

    fn last_pending(&self, key: &str) -> Option<&PendingRollback> {
        self.pending.iter().rev().find(|pending| pending.scope.stage_of(key).is_some())
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
        let number = self.add_pending(by, Scope::Flag(key.into(), to), facts, moment);
        if let Some(pending) = self.pending.back_mut() {
            pending.is_notified = !unconfirmed;
        }
        self.take_dependants_along(by, key, to, moment);
        Ok(Decided::RolledBack(AppliedRollback { number, decision, unconfirmed }))
    }

    fn add_pending(
        &mut self,
        by: &str,
        scope: Scope,
        facts: VecDeque<Fact>,
        moment: &Moment,
    ) -> u64 {
        let number = self.next_pending;
        self.next_pending += 1;
        match &scope {
            Scope::Flag(key, _) => self.count_rollback(key),
            Scope::All(_) => self.rollbacks_of_all += 1,
        }
        self.pending.push_back(PendingRollback {
            number,
            scope,
            by: by.into(),
            facts,
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
            let scope = Scope::Flag(key.clone(), to);
            self.add_pending("application", scope, VecDeque::from([fact]), moment);
            self.take_dependants_along("application", &key, to, moment);
        }
    }

    /// Adds the rollbacks of the flags that require a rolled-back flag. The gate lowered them together with that flag.
    fn take_dependants_along(&mut self, by: &str, key: &str, to: StageName, moment: &Moment) {
        for dependant in self.dependants(key, to) {
            let cause = Cause::Prerequisite { flag: key.into() };
            let facts = VecDeque::from([Fact::RolledBack { cause, effective_ms: None }]);
            self.add_pending(by, Scope::Flag(dependant, StageName::OFF), facts, moment);
            if let Some(pending) = self.pending.back_mut() {
                pending.is_notified = false;
            }
        }
    }

    /// Rolls every flag back to its plan's target in the gate, in one step, and notes what to record. If a pending
    /// rollback of all flags already goes as far, this one merges into it.
    pub(super) fn roll_back_all(
        &mut self,
        gate: &Gate,
        by: &str,
        cause: &Cause,
        moment: &Moment,
    ) -> AppliedToAll {
        self.note_time(moment);
        self.collect_gate_calls(gate, moment);
        let targets = self.targets_of_all();
        let is_covered = || targets.iter().all(|(key, to)| self.is_covered_by_pending(key, *to));
        let known = self.pending.iter().rfind(|it| matches!(it.scope, Scope::All(_)));
        if let Some(number) = known.map(|known| known.number).filter(|_| is_covered()) {
            self.rollbacks_of_all += 1;
            return AppliedToAll { number, alerts: Vec::new() };
        }
        let flags: Vec<_> = targets.iter().map(|(key, to)| (&**key, *to)).collect();
        gate.lower_flags(&flags);
        let now = self.now(moment);
        let alerts = targets.iter().filter_map(|(key, to)| {
            let (plan, state) = self.find(key)?;
            Some((key.clone(), machine::rollback_alert(&plan, state, now, cause, *to)))
        });
        let alerts = alerts.collect();
        let fact =
            Fact::RolledBackAll { cause: cause.clone(), flags: Vec::new(), effective_ms: None };
        let facts = VecDeque::from([fact]);
        let number = self.add_pending(by, Scope::All(Arc::new(targets)), facts, moment);
        AppliedToAll { number, alerts }
    }

    /// Returns the flags that are in a stage, with the stages that a rollback of all leads them to.
    fn targets_of_all(&self) -> BTreeMap<Box<str>, StageName> {
        let is_on = |state: &FlagState| state.stage != StageName::OFF;
        let on = self.state.flags().iter().filter(|(_, state)| is_on(state));
        let target = |(key, state): &(Box<str>, FlagState)| {
            let to = self
                .plan_of(key)
                .map_or(StageName::OFF, |plan| machine::rollback_target(&plan, state));
            let pending = self.pending_stage(key).filter(|known| self.is_below(key, *known, to));
            (key.clone(), pending.unwrap_or(to))
        };
        let mut targets: BTreeMap<Box<str>, StageName> = on.map(target).collect();
        // A flag goes off if a flag that it requires will be below its stage.
        let loses_required = |key: &str| {
            let find = |flag: &str| {
                let to = targets.get(flag).copied();
                Some((self.plan_of(flag)?, to.unwrap_or(StageName::OFF)))
            };
            let plan = self.plan_of(key);
            plan.is_some_and(|plan| !machine::missing_flags(&plan, find).is_empty())
        };
        let off: Vec<_> = targets.keys().filter(|key| loses_required(key)).cloned().collect();
        targets.extend(off.into_iter().map(|key| (key, StageName::OFF)));
        targets
    }

    /// Returns the flags with a pending rollback. Every flag, if one is about all.
    pub(super) fn unrecorded(&self) -> Vec<Box<str>> {
        if self.pending.iter().any(|pending| matches!(pending.scope, Scope::All(_))) {
            return self.state.flags().iter().map(|(key, _)| key.clone()).collect();
        }
        let mut known = BTreeSet::new();
        let keys = self.pending.iter().map(|pending| pending.scope.key());
        keys.filter(|key| known.insert(*key)).map(Into::into).collect()
    }

    /// Returns the first pending rollback that need not wait for a stuck one. A flag's later records wait for its
    /// missing one.
    pub(super) fn next_pending(&self, stuck: &[Scope]) -> Option<PendingRollback> {
        let waits = |scope: &Scope| stuck.iter().any(|stuck| scope.waits_for(stuck));
        self.pending.iter().find(|pending| !waits(&pending.scope)).cloned()
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
        let Some(PendingRollback { scope, .. }) = self.pending.remove(index) else { return };
        match &scope {
            Scope::Flag(flag, _) => self.serve_recorded_stage(flag, gate),
            Scope::All(_) => {
                let flags = self.state.flags().iter();
                flags.for_each(|(flag, _)| self.serve_recorded_stage(flag, gate));
            }
        }
    }

    /// Serves a stage that a finished rollback has kept the flag below. The journal may have a promotion that the
    /// rollback does not undo.
    fn serve_recorded_stage(&self, flag: &str, gate: &Gate) {
        let (serving, stage) = (self.gate_stage(gate, flag), self.effective_stage(flag));
        if self.is_below(flag, serving, stage) {
            gate.move_flag(flag, serving, stage);
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
