//! What is at hand at any moment: never locked while something is written.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::failure::Failures;
use super::pending::Pending;
use super::state::State;
use super::tick::Told;
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::plan::model::{FlagPlan, Phase};
use crate::plan::{Plan, nearest, one_of};
use crate::rollout::error::Kind;
use crate::rollout::machine::{self, Draft};
use crate::rollout::timeline::Looks;
use crate::rollout::{Context, Event, Fact, FlagState, Now, Record, RolloutError};

/// The state, and what is in force beyond it.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) state: State,
    /// Rollbacks that are in force and not in the journal yet, in order.
    pub(super) pending: VecDeque<Pending>,
    /// The number that the next of `pending` gets.
    pub(super) next_pending: u64,
    /// How often each flag was taken back, recorded or not: a promotion that was decided before is void.
    pub(super) backs: BTreeMap<Box<str>, u64>,
    /// The plan of the update that is being written.
    pub(super) coming: Option<Arc<Plan>>,
    /// The last failures of the store, as long as they last.
    pub(super) failures: Failures,
    /// What was recorded while nobody could be told.
    pub(super) untold: Told,
    /// The rollbacks that the file of intents has, by number and facts left; `None` where that is not known.
    pub(super) kept: Option<Vec<(u64, usize)>>,
    /// Why the file of intents has others.
    pub(super) unkept: Option<String>,
    /// When this process knew which records.
    pub(super) looks: Looks,
}

/// What an event comes to, as far as it is in force already.
pub(super) enum Decided {
    /// It is in force and has to be recorded.
    Back(TakenBack),
    /// It has to be recorded before it is in force.
    Draft(Draft, Place),
}

/// A rollback that is in force.
pub(super) struct TakenBack {
    /// Its number among those that are not recorded yet.
    pub(super) number: u64,
    pub(super) draft: Draft,
    /// Whether the flag is there already as far as this process knows: the store has the last word.
    pub(super) in_doubt: bool,
}

/// Where a flag was when something was decided: it may have been moved, and be back, by the time that is recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) stage: StageName,
    /// The record that has brought it there.
    moved: u64,
    /// How often it was taken back by then.
    backs: u64,
    /// The open incident's number, and the phase that was to be done.
    incident: Option<(u64, Phase)>,
}

impl Place {
    /// Whether the flag was moved since it was at another place.
    pub(super) fn is_moved(&self, since: &Place) -> bool {
        let of = |place: &Place| (place.stage, place.moved, place.backs);
        of(self) != of(since)
    }

    /// Whether the incident has gone on since.
    pub(super) fn has_other_phase(&self, since: &Place) -> bool {
        self.incident != since.incident
    }
}

impl Front {
    pub(super) fn new(state: State, pending: Vec<Pending>) -> Front {
        Front {
            state,
            next_pending: pending.len() as u64,
            pending: pending.into(),
            backs: BTreeMap::new(),
            coming: None,
            failures: Failures::default(),
            untold: Vec::new(),
            kept: None,
            unkept: None,
            looks: Looks::default(),
        }
    }

    /// What an event makes of a flag. What takes it back is in force when this returns.
    pub(super) fn decide(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Decided, RolloutError> {
        self.note_time(moment);
        self.notice_calls(gate, moment);
        let draft = self.draft(gate, by, key, event, moment);
        if let Ok(draft) = &draft
            && let Some(to) = draft.taken_back_to()
        {
            return self.take_back(gate, by, key, (draft.clone(), to, false), moment);
        }
        match self.intent(by, key, event, moment) {
            Some((intent, to)) => {
                let alerts = draft.map(|draft| draft.alerts).unwrap_or_default();
                let intent = Draft { alerts, ..intent };
                self.take_back(gate, by, key, (intent, to, true), moment)
            }
            None => Ok(Decided::Draft(draft?, self.place(key)?)),
        }
    }

    /// Where a flag is.
    pub(super) fn place(&self, key: &str) -> Result<Place, RolloutError> {
        let (_, state) = self.flag(key)?;
        let backs = self.backs.get(key).copied().unwrap_or(0);
        let incident = state.incident.as_ref().map(|incident| (incident.number, incident.phase));
        Ok(Place { stage: state.stage, moved: self.state.moved(key), backs, incident })
    }

    /// What an event would make of a flag.
    pub(super) fn draft(
        &self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Draft, RolloutError> {
        let (plan, state) = self.flag(key)?;
        let now = self.now(moment);
        let serving = self.serving(gate, key);
        let context = Context { now, by, serving, next: self.state.head.0 + 1 };
        machine::draft(&plan, state, event, &context)
            .map_err(|refusal| Kind::Refused { refusal }.into())
    }

    /// What an event takes back that finds nothing to take back: the flag may be on its way up, or be on for others.
    fn intent(
        &self,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Option<(Draft, StageName)> {
        let now = self.now(moment);
        let state = self.state.flag(key);
        let stage = state.map_or(StageName::OFF, |state| state.stage);
        let context = Context { now, by, serving: stage, next: self.state.head.0 + 1 };
        machine::intent(&self.plan_of(key)?, stage, event, &context)
    }

    /// The flag's plan: that in force or, of a flag that is being added, that which is being written.
    pub(super) fn plan_of(&self, key: &str) -> Option<FlagPlan<'_>> {
        let coming = || self.coming.as_ref().and_then(|plan| plan.flag(key));
        self.state.plan.flag(key).or_else(coming)
    }

    /// The flag, where there is one. Looks for no similar name, which takes long among many.
    pub(super) fn known(&self, key: &str) -> Option<(FlagPlan<'_>, &FlagState)> {
        self.state.plan.flag(key).zip(self.state.flag(key))
    }

    pub(super) fn flag(&self, key: &str) -> Result<(FlagPlan<'_>, &FlagState), RolloutError> {
        self.known(key).ok_or_else(|| {
            let hint = match nearest(key, self.state.plan.flags()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "the plan has none of that name".to_owned(),
            };
            Kind::UnknownFlag { flag: key.to_owned(), hint }.into()
        })
    }

    /// The stage that somebody names: of the flag's plan, or off.
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

    /// By which stage questions about a flag are answered.
    pub(super) fn serving(&self, gate: &Gate, key: &str) -> StageName {
        gate.serving(key).unwrap_or(StageName::OFF)
    }

    /// Has the gate follow a record of a flag. A flag that was taken back, and the journal does not
    /// say so yet, stays where it is.
    pub(super) fn follow(&self, gate: &Gate, record: &Record) {
        let Some((flag, (from, to))) = record.flag.as_deref().zip(record.from.zip(record.to))
        else {
            return;
        };
        match record.fact {
            _ if from == to => {}
            Fact::RolledBack { .. } => gate.drive_down(flag, to),
            _ if self.pending_at(flag).is_some() => {}
            _ => gate.drive(flag, from, to),
        }
    }

    /// Has the gate follow the whole state, but for what was taken back since.
    pub(super) fn follow_all(&mut self, gate: &Gate, moment: &Moment) {
        loop {
            self.notice_calls(gate, moment);
            if gate.drive_all(&self.state.plan, |key| self.served(key)) {
                return;
            }
        }
    }

    /// The present, by a reading.
    pub(super) fn now(&self, moment: &Moment) -> Now<'_> {
        let (timeline, looks) = (&self.state.timeline, &self.looks);
        let stamp = timeline.stamp(moment, looks);
        Now { stamp, timeline: Some(timeline), looks: looks.of(moment) }
    }

    /// Notes that this process is there: from now on it knows how much time passes.
    pub(super) fn note_time(&mut self, moment: &Moment) {
        self.looks.note(moment, self.state.head.0);
    }
}
