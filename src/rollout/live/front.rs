//! What is at hand at any moment: never locked while something is written.

use std::collections::VecDeque;

use super::state::State;
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::plan::{model::FlagPlan, nearest, one_of};
use crate::rollout::error::Kind;
use crate::rollout::machine::{self, Draft};
use crate::rollout::{Cause, Context, Event, Fact, FlagState, Record, RolloutError, Stamp};

/// The state, and what is in force beyond it.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) state: State,
    /// What has taken effect and is not in the journal yet, in order.
    pub(super) pending: VecDeque<Pending>,
    /// The number that the next of `pending` gets.
    pub(super) next_pending: u64,
    /// The last failure of the store, as long as it lasts.
    pub(super) last_error: Option<RolloutError>,
    /// The gate's version after the last move by the rollout: another one says that the
    /// application has moved a flag.
    pub(super) version: u64,
}

/// A roll-back that is in force, with what led to it.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) flag: Box<str>,
    pub(super) by: Box<str>,
    /// What is still to be recorded, in order.
    pub(super) facts: VecDeque<Fact>,
    /// Where the flag is since.
    pub(super) to: StageName,
    /// When that was.
    pub(super) since: Moment,
    /// Whether recording it was tried, or waits for another record.
    pub(super) late: bool,
}

/// What an event comes to, as far as it is in force already.
pub(super) enum Decided {
    /// It is in force and has to be recorded.
    Back(u64, Draft),
    /// It has to be recorded before it is in force.
    Draft(Draft, Place),
}

/// Where a flag was when something was decided: it may have been moved, and be back, by the time that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stage: StageName,
    /// The record that has brought it there.
    moved: u64,
}

impl Front {
    /// What an event makes of a flag. What takes it back is in force when this returns.
    pub(super) fn decide(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Decided, RolloutError> {
        self.notice_calls(gate, moment);
        let draft = self.draft(gate, by, key, event, moment)?;
        let back = draft
            .facts
            .iter()
            .find_map(|(fact, to)| matches!(fact, Fact::RolledBack { .. }).then_some(*to));
        Ok(match back {
            Some(to) => Decided::Back(self.take_back(gate, by, key, &draft, to, moment), draft),
            None => Decided::Draft(draft, self.place(key)?),
        })
    }

    /// Where a flag is.
    pub(super) fn place(&self, key: &str) -> Result<Place, RolloutError> {
        let (_, state) = self.flag(key)?;
        Ok(Place { stage: state.stage, moved: self.state.moved(key) })
    }

    /// What an event would make of a flag. A flag whose roll-back is not recorded yet is taken back
    /// no second time.
    pub(super) fn draft(
        &self,
        gate: &Gate,
        by: &str,
        key: &str,
        event: &Event,
        moment: &Moment,
    ) -> Result<Draft, RolloutError> {
        let (plan, state) = self.flag(key)?;
        let now = self.state.timeline.stamp(moment);
        let serving = self.serving(gate, key);
        let context = Context { now, by, serving, next: self.state.head.0 + 1 };
        let mut draft = machine::draft(&plan, state, event, &context)
            .map_err(|refusal| RolloutError::from(Kind::Refused { refusal }))?;
        if self.pending_at(key).is_some() {
            draft.facts.retain(|(fact, _)| !matches!(fact, Fact::RolledBack { .. }));
        }
        Ok(draft)
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

    /// Where a flag is since its last roll-back that is not recorded yet.
    pub(super) fn pending_at(&self, key: &str) -> Option<StageName> {
        self.pending.iter().rev().find(|pending| *pending.flag == *key).map(|pending| pending.to)
    }

    /// Takes a flag back in the gate, and notes what is to be recorded.
    fn take_back(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        draft: &Draft,
        to: StageName,
        moment: &Moment,
    ) -> u64 {
        self.drove(gate.drive_down(key, to));
        let facts = draft.facts.iter().map(|(fact, _)| fact.clone()).collect();
        self.wait(by, key, facts, to, moment)
    }

    fn wait(
        &mut self,
        by: &str,
        key: &str,
        facts: VecDeque<Fact>,
        to: StageName,
        moment: &Moment,
    ) -> u64 {
        let number = self.next_pending;
        self.next_pending += 1;
        let (flag, by, since) = (key.into(), by.into(), moment.clone());
        self.pending.push_back(Pending { number, flag, by, facts, to, since, late: false });
        number
    }

    /// The rollout has moved a flag in the gate; `None` where somebody else was first.
    fn drove(&mut self, version: Option<u64>) {
        // Any other number means that somebody else has moved one, too: that is still to be seen.
        if version == Some(self.version + 1) {
            self.version += 1;
        }
    }

    /// Has the gate follow a record of a flag. A flag that was taken back, and the journal does not
    /// say so yet, stays where it is.
    pub(super) fn follow(&mut self, gate: &Gate, record: &Record) {
        let Some((flag, (from, to))) = record.flag.as_deref().zip(record.from.zip(record.to))
        else {
            return;
        };
        match record.fact {
            _ if from == to => {}
            Fact::RolledBack { .. } => self.drove(gate.drive_down(flag, to)),
            _ if self.pending_at(flag).is_some() => {}
            _ => self.drove(gate.drive(flag, from, to)),
        }
    }

    /// Has the gate follow the whole state, but for what was taken back since.
    pub(super) fn follow_all(&mut self, gate: &Gate, moment: &Moment) {
        loop {
            self.notice_calls(gate, moment);
            let stage = |key: &str| self.pending_at(key).unwrap_or_else(|| self.state.stage(key));
            if let Some(version) = gate.drive_all(&self.state.plan, self.version, stage) {
                self.version = version;
                return;
            }
        }
    }

    /// Notes what the application has taken down by itself, through the gate.
    pub(super) fn notice_calls(&mut self, gate: &Gate, moment: &Moment) {
        let version = gate.version();
        if version == self.version {
            return;
        }
        let moved = self.state.flags().iter().filter_map(|(key, flag)| {
            let serving = gate.serving(key)?;
            let known = self.pending_at(key).unwrap_or(flag.stage);
            (serving != known).then(|| (key.clone(), serving))
        });
        for (key, to) in moved.collect::<Vec<_>>() {
            let fact = Fact::RolledBack { cause: Cause::Call, effective_ms: None };
            self.wait("application", &key, VecDeque::from([fact]), to, moment);
        }
        self.version = version;
    }

    /// The moment of a reading.
    pub(super) fn stamp(&self, moment: &Moment) -> Stamp {
        self.state.timeline.stamp(moment)
    }
}
