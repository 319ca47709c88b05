//! One flag's plan and state at one moment, and the decision about an event.

use std::time::Duration;

use super::alert::{Alert, AlertKind};
use super::state::{FlagState, Freeze};
use super::{EventContext, MissingFlag};
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, Responsibility, Stage, StageDetails, Trigger};
use crate::rollout::tell::RenderedMessage;
use crate::rollout::{Fact, Now};

/// One flag's plan and state at one moment: the input of every rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlagView<'c, 'p> {
    pub(super) plan: &'c FlagPlan<'p>,
    pub(super) state: &'c FlagState,
    pub(super) now: Now<'c>,
    pub(super) missing: &'c [MissingFlag],
    /// The last freeze of all flags. It may be over.
    pub(super) freeze: Option<&'c Freeze>,
    /// The person or program that acts now, if known.
    pub(super) by: Option<&'c str>,
}

/// The result of the next promotion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The flag enters the next stage.
    Stage(StageName),
    /// The flag is in the last stage, and the rollout is complete.
    Complete,
}

/// The facts, alerts and messages of an event, before a journal records the facts.
#[derive(Clone, Debug, Default)]
pub(in crate::rollout) struct Decision {
    /// In order, each with the flag's stage after it.
    pub(in crate::rollout) facts: Vec<(Fact, StageName)>,
    pub(in crate::rollout) alerts: Vec<Alert>,
    pub(in crate::rollout) messages: Vec<RenderedMessage>,
}

impl<'c, 'p> FlagView<'c, 'p> {
    pub(super) fn new(
        plan: &'c FlagPlan<'p>,
        state: &'c FlagState,
        context: &EventContext<'c>,
    ) -> FlagView<'c, 'p> {
        let EventContext { now, by, missing, freeze, .. } = *context;
        FlagView { plan, state, now, missing, freeze, by: Some(by) }
    }

    /// Returns the flag's stage, or `None` if the flag is off or the plan has no such stage.
    pub(super) fn stage(&self) -> Option<Stage<'p>> {
        stage_of(self.plan, self.state.stage)
    }

    pub(super) fn details(&self) -> Option<&'p StageDetails> {
        self.stage().map(|stage| stage.details())
    }

    /// Returns the freeze of all flags, if it is in force now.
    pub(super) fn freeze(&self) -> Option<&'c Freeze> {
        self.freeze.filter(|freeze| freeze.is_in_force(self.now.at()))
    }

    pub(super) fn is_off(&self) -> bool {
        self.state.stage == StageName::OFF
    }

    pub(super) fn is_last(&self) -> bool {
        self.next() == Next::Complete && !self.is_off()
    }

    pub(super) fn next(&self) -> Next {
        let above = position_of(self.plan, self.state.stage).unwrap_or(0);
        let next = self.plan.stages().nth(above);
        next.map_or(Next::Complete, |stage| Next::Stage(stage.name()))
    }

    /// Returns the time that the flag has certainly spent in its stage.
    pub(super) fn time_in_stage(&self) -> Duration {
        self.state.time_in_stage(self.now)
    }

    /// Returns the responsibility row that applies now.
    pub(super) fn responsible(&self) -> Option<&'p Responsibility> {
        self.plan.responsible(self.now.at()).map(|(_, row)| row)
    }

    pub(super) fn alert(&self, kind: AlertKind, text: String) -> Alert {
        let responsible = self.responsible().map(|row| row.contact.clone());
        Alert { kind, text, responsible, answer_by: None }
    }

    /// Returns an alert that must be answered within a time.
    pub(super) fn question(&self, kind: AlertKind, text: String, within: Duration) -> Alert {
        Alert { answer_by: self.now.at().checked_add(within), ..self.alert(kind, text) }
    }

    /// Returns the flag's triggers with their index in the plan.
    pub(super) fn triggers(&self) -> impl Iterator<Item = (usize, &'p Trigger)> + use<'p> {
        self.plan.triggers().iter().enumerate()
    }

    /// Returns a decision with one fact that leaves the flag in its stage.
    pub(super) fn stays(&self, fact: Fact) -> Decision {
        Decision { facts: vec![(fact, self.state.stage)], ..Decision::default() }
    }
}

impl Decision {
    /// Returns the stage that the flag is rolled back to, or `None` without a rollback.
    pub(in crate::rollout) fn rolls_back_to(&self) -> Option<StageName> {
        let back =
            |(fact, to): &(Fact, StageName)| matches!(fact, Fact::RolledBack { .. }).then_some(*to);
        self.facts.iter().find_map(back)
    }
}

/// Returns a stage's position in the plan, counted from 1. Off has 0, and an unknown stage has `None`.
pub(super) fn position_of(plan: &FlagPlan<'_>, stage: StageName) -> Option<usize> {
    if stage == StageName::OFF {
        return Some(0);
    }
    plan.stages().position(|known| known.name() == stage).map(|index| index + 1)
}

pub(super) fn stage_of<'p>(plan: &FlagPlan<'p>, name: StageName) -> Option<Stage<'p>> {
    plan.stages().find(|stage| stage.name() == name)
}
