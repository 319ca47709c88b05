//! The state in memory that is in force. Its lock is never held during input or output.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::failures::Failures;
use super::journal_state::JournalState;
use super::pending::PendingRollback;
use super::tick::RecordedByFlag;
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::plan::model::{FlagPlan, Phase};
use crate::plan::{Plan, nearest, one_of};
use crate::rollout::error::Kind;
use crate::rollout::machine::{self, Decision, MissingFlag};
use crate::rollout::uptime_history::JournalReads;
use crate::rollout::{Alert, Event, EventContext, Fact, FlagState, Now, Record, RolloutError};

/// The state of the journal, and everything in force that the journal does not have yet.
#[derive(Debug)]
pub(super) struct LiveState {
    pub(super) state: JournalState,
    /// Rollbacks that are in force but not in the journal yet, in order.
    pub(super) pending: VecDeque<PendingRollback>,
    /// The number of the next pending rollback.
    pub(super) next_pending: u64,
    /// How often each flag was rolled back, recorded or not. A promotion that was decided before a rollback is void.
    pub(super) rollback_counts: BTreeMap<Box<str>, u64>,
    /// How often every flag was rolled back at once.
    pub(super) rollbacks_of_all: u64,
    /// The plan of the update that is being written.
    pub(super) incoming_plan: Option<Arc<Plan>>,
    /// The store's current failures.
    pub(super) failures: Failures,
    /// Recorded events that the sinks have not received yet.
    pub(super) unsent: RecordedByFlag,
    /// The rollbacks in the file of intents: their numbers, and how many facts each still has. `None` if unknown.
    pub(super) saved_intents: Option<Vec<(u64, usize)>>,
    /// Why the file of intents is out of date.
    pub(super) intents_error: Option<String>,
    /// When this process knew which records.
    pub(super) reads: JournalReads,
    /// The store's notices after the last write.
    pub(super) store_notices: Vec<String>,
}

/// A decision. A rollback is already in force.
pub(super) enum Decided {
    /// The rollback is in force and must be recorded.
    RolledBack(AppliedRollback),
    /// The decision must be recorded before it takes effect. The version says where the flag was.
    ToRecord(Decision, FlagVersion),
}

/// A rollback that is in force.
pub(super) struct AppliedRollback {
    /// The number of the pending rollback.
    pub(super) number: u64,
    pub(super) decision: Decision,
    /// Whether this process found nothing to roll back. Only the store can tell whether there is.
    pub(super) unconfirmed: bool,
}

/// A rollback of all flags that is in force.
pub(super) struct AppliedToAll {
    /// The number of the pending rollback.
    pub(super) number: u64,
    /// The alerts to send, each with its flag.
    pub(super) alerts: Vec<(Box<str>, Alert)>,
}

/// The position of a flag and its incident at decision time. Shows whether either has moved since, even if it is back
/// by now.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlagVersion {
    pub(super) stage: StageName,
    /// The number of the record that moved the flag to its stage.
    moved: u64,
    /// How often the flag had been rolled back.
    rollbacks: u64,
    /// The number of the open incident, and its current phase.
    incident: Option<(u64, Phase)>,
}

impl FlagVersion {
    /// Returns whether the flag has moved since an earlier version.
    pub(super) fn has_moved_since(&self, since: &FlagVersion) -> bool {
        let of = |version: &FlagVersion| (version.stage, version.moved, version.rollbacks);
        of(self) != of(since)
    }

    /// Returns whether the incident is another one, or in another phase, than in an earlier version.
    pub(super) fn has_other_phase_than(&self, since: &FlagVersion) -> bool {
        self.incident != since.incident
    }
}

impl LiveState {
    pub(super) fn new(state: JournalState, pending: Vec<PendingRollback>) -> LiveState {
        LiveState {
            state,
            next_pending: pending.len() as u64,
            pending: pending.into(),
            rollback_counts: BTreeMap::new(),
            rollbacks_of_all: 0,
            incoming_plan: None,
            failures: Failures::default(),
            unsent: Vec::new(),
            saved_intents: None,
            intents_error: None,
            reads: JournalReads::default(),
            store_notices: Vec::new(),
        }
    }

    /// Decides an event. If the decision is a rollback, it is in force when this returns.
    pub(super) fn decide(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Decided, RolloutError> {
        self.note_time(moment);
        self.collect_gate_calls(gate, moment);
        let decision = self.decision(gate, by, key, event, moment);
        if let Ok(decision) = &decision
            && let Some(to) = decision.rolls_back_to()
        {
            return self.roll_back(gate, by, key, (decision.clone(), to, false), moment);
        }
        match self.unconfirmed_rollback(by, key, event, moment) {
            Some((intent, to)) => {
                let alerts = decision.map(|decision| decision.alerts).unwrap_or_default();
                let intent = Decision { alerts, ..intent };
                self.roll_back(gate, by, key, (intent, to, true), moment)
            }
            None => Ok(Decided::ToRecord(decision?, self.flag_version(key)?)),
        }
    }

    /// Returns the flag's current version.
    pub(super) fn flag_version(&self, key: &str) -> Result<FlagVersion, RolloutError> {
        let (_, state) = self.flag(key)?;
        let rollbacks = self.rollback_counts.get(key).copied().unwrap_or(0) + self.rollbacks_of_all;
        let incident = state.incident.as_ref().map(|incident| (incident.number, incident.phase));
        Ok(FlagVersion {
            stage: state.stage,
            moved: self.state.last_move(key),
            rollbacks,
            incident,
        })
    }

    /// Returns the state machine's decision on an event.
    pub(super) fn decision(
        &self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Decision, RolloutError> {
        let (plan, state) = self.flag(key)?;
        let now = self.now(moment);
        let (serving, missing) = (self.gate_stage(gate, key), self.missing_flags(&plan));
        let record = self.state.head.0 + 1;
        let (missing, freeze) = (&*missing, self.state.freeze.as_ref());
        let context = EventContext { now, by, serving, record, missing, freeze };
        machine::decide(&plan, state, event, &context)
            .map_err(|refusal| Kind::Refused { refusal }.into())
    }

    /// Returns the rollback that an event asks for although this process finds nothing to roll back. The flag may be on
    /// its way up, or be higher in another process.
    fn unconfirmed_rollback(
        &self,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Option<(Decision, StageName)> {
        let now = self.now(moment);
        let state = self.state.flag(key);
        let stage = state.map_or(StageName::OFF, |state| state.stage);
        let record = self.state.head.0 + 1;
        let freeze = self.state.freeze.as_ref();
        let context = EventContext { now, by, serving: stage, record, missing: &[], freeze };
        machine::rollback_bound(&self.plan_of(key)?, stage, event, &context)
    }

    /// Returns the flags that a flag requires, directly or through others, and that have not reached their stage.
    pub(super) fn missing_flags(&self, plan: &FlagPlan<'_>) -> Vec<MissingFlag> {
        machine::missing_flags(plan, |flag| Some((self.plan_of(flag)?, self.effective_stage(flag))))
    }

    /// Returns the flags that require a flag at a higher stage than `to`, directly or through others, and are not off.
    pub(super) fn dependants(&self, key: &str, to: StageName) -> Vec<Box<str>> {
        let Some(required) = self.plan_of(key) else { return Vec::new() };
        let depends = |plan: &FlagPlan<'_>| {
            let mut all = plan.all_required();
            all.any(|(flag, stage)| flag == key && machine::is_below(&required, to, stage))
        };
        let plans = self.state.plan.flags().filter_map(|flag| self.state.plan.flag(flag));
        let is_on = |plan: &FlagPlan<'_>| self.effective_stage(plan.key()) != StageName::OFF;
        plans.filter(depends).filter(is_on).map(|plan| plan.key().into()).collect()
    }

    /// Returns the flag's plan, also for a flag that the update being written adds.
    pub(super) fn plan_of(&self, key: &str) -> Option<FlagPlan<'_>> {
        let incoming_plan = || self.incoming_plan.as_ref().and_then(|plan| plan.flag(key));
        self.state.plan.flag(key).or_else(incoming_plan)
    }

    /// Returns the key of the flag that checks find by this name. For an unknown name, the name.
    pub(super) fn key_of<'s>(&'s self, name: &'s str) -> &'s str {
        let in_force = self.state.plan.key_of(name);
        in_force.or_else(|| self.incoming_plan.as_ref()?.key_of(name)).unwrap_or(name)
    }

    /// Returns the flag, if it exists. Unlike [`flag`](LiveState::flag), does not search for similar names, which is
    /// slow with many flags.
    pub(super) fn find(&self, key: &str) -> Option<(FlagPlan<'_>, &FlagState)> {
        self.state.plan.flag(key).zip(self.state.flag(key))
    }

    pub(super) fn flag(&self, key: &str) -> Result<(FlagPlan<'_>, &FlagState), RolloutError> {
        self.find(key).ok_or_else(|| {
            let hint = match nearest(key, self.state.plan.flags()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the plan has none of that name".to_owned(),
            };
            Kind::UnknownFlag { flag: key.to_owned(), hint }.into()
        })
    }

    /// Returns the stage with this name from the flag's plan, or `off`.
    pub(super) fn stage(&self, key: &str, name: &str) -> Result<StageName, RolloutError> {
        let (plan, _) = self.flag(key)?;
        let names: Vec<StageName> = std::iter::once(StageName::OFF)
            .chain(plan.stages().map(|stage| stage.name()))
            .collect();
        let found = names.iter().find(|known| ***known == *name).copied();
        found.ok_or_else(|| {
            let hint = one_of(name, names.iter().map(StageName::as_str));
            Kind::UnknownStage { flag: key.to_owned(), stage: name.to_owned(), hint }.into()
        })
    }

    /// Returns the stage that the gate serves.
    pub(super) fn gate_stage(&self, gate: &Gate, key: &str) -> StageName {
        gate.serving(key).unwrap_or(StageName::OFF)
    }

    /// Moves the gate as a record says. A flag with a pending rollback stays down.
    pub(super) fn apply_to_gate(&self, gate: &Gate, record: &Record) {
        if let Fact::RolledBackAll { flags, .. } = &record.fact {
            let flags: Vec<_> = flags.iter().map(|back| (&*back.flag, back.to)).collect();
            return gate.lower_flags(&flags);
        }
        let Some((flag, (from, to))) = record.flag.as_deref().zip(record.from.zip(record.to))
        else {
            return;
        };
        match record.fact {
            _ if from == to => {}
            Fact::RolledBack { .. } => gate.lower_flag(flag, to),
            _ if self.pending_stage(flag).is_some() => {}
            _ => gate.move_flag(flag, from, to),
        }
    }

    /// Moves the gate to the whole state. Flags with pending rollbacks stay down.
    pub(super) fn sync_gate(&mut self, gate: &Gate, moment: &Moment) {
        loop {
            self.collect_gate_calls(gate, moment);
            if gate.set_plan(&self.state.plan, |key| self.effective_stage(key)) {
                return;
            }
        }
    }

    /// Returns the present moment, with the time that this process has seen.
    pub(super) fn now(&self, moment: &Moment) -> Now<'_> {
        let (uptimes, reads) = (&self.state.uptimes, &self.reads);
        let stamp = uptimes.stamp(moment, reads);
        Now { stamp, uptimes: Some(uptimes), reads: reads.of_run_at(moment) }
    }

    /// Notes that this process knows the journal's records at this moment, so that it counts the time from here on.
    pub(super) fn note_time(&mut self, moment: &Moment) {
        self.reads.note(moment, self.state.head.0);
    }
}
