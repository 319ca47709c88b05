//! A flag, its plan and the moment, together.

use std::time::Duration;

use super::Context;
use super::alert::{Alert, AlertKind};
use super::refusal::Unmet;
use super::state::FlagState;
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, Responsibility, Stage, StageDetails, Trigger};
use crate::rollout::tell::Letter;
use crate::rollout::{Fact, Now};

/// What is decided about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'c, 'p> {
    pub(super) plan: &'c FlagPlan<'p>,
    pub(super) state: &'c FlagState,
    pub(super) now: Now<'c>,
}

/// Where a promotion leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// One stage up.
    Stage(StageName),
    /// The last stage has shown what it had to.
    Complete,
}

/// What a decision comes to, before it is applied.
#[derive(Clone, Debug, Default)]
pub(in crate::rollout) struct Draft {
    pub(in crate::rollout) facts: Vec<(Fact, StageName)>,
    pub(in crate::rollout) alerts: Vec<Alert>,
    pub(in crate::rollout) letters: Vec<Letter>,
}

/// A decision, or every reason against it.
pub(super) type Decision = Result<Draft, Vec<Unmet>>;

impl<'c, 'p> Case<'c, 'p> {
    pub(super) fn new(
        plan: &'c FlagPlan<'p>,
        state: &'c FlagState,
        context: &Context<'c>,
    ) -> Case<'c, 'p> {
        Case { plan, state, now: context.now }
    }

    /// The stage the flag is in; `None` when off, or where the plan has no such stage.
    pub(super) fn stage(&self) -> Option<Stage<'p>> {
        stage_of(self.plan, self.state.stage)
    }

    pub(super) fn details(&self) -> Option<&'p StageDetails> {
        self.stage().map(|stage| stage.details())
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

    /// The time the flag has certainly spent in its stage.
    pub(super) fn spent(&self) -> Duration {
        self.state.spent(self.now)
    }

    /// Who answers now.
    pub(super) fn responsible(&self) -> Option<&'p Responsibility> {
        self.plan.responsible(self.now.at()).map(|(_, row)| row)
    }

    pub(super) fn alert(&self, kind: AlertKind, text: String) -> Alert {
        let responsible = self.responsible().map(|row| row.contact.clone());
        Alert { kind, text, responsible, answer_by: None }
    }

    /// The same of a question, which has to be answered within a time.
    pub(super) fn asks(&self, kind: AlertKind, text: String, within: Duration) -> Alert {
        Alert { answer_by: self.now.at().checked_add(within), ..self.alert(kind, text) }
    }

    /// The triggers with their places.
    pub(super) fn triggers(&self) -> impl Iterator<Item = (usize, &'p Trigger)> + use<'p> {
        self.plan.triggers().iter().enumerate()
    }

    /// A fact that leaves the flag where it is.
    pub(super) fn stays(&self, fact: Fact) -> Draft {
        Draft { facts: vec![(fact, self.state.stage)], ..Draft::default() }
    }
}

impl Draft {
    /// Where it takes the flag back to, where it does.
    pub(in crate::rollout) fn taken_back_to(&self) -> Option<StageName> {
        let back =
            |(fact, to): &(Fact, StageName)| matches!(fact, Fact::RolledBack { .. }).then_some(*to);
        self.facts.iter().find_map(back)
    }
}

/// How far along the plan a stage is: 0 for off; `None` where the plan has no such stage.
pub(super) fn position_of(plan: &FlagPlan<'_>, stage: StageName) -> Option<usize> {
    if stage == StageName::OFF {
        return Some(0);
    }
    plan.stages().position(|known| known.name() == stage).map(|index| index + 1)
}

pub(super) fn stage_of<'p>(plan: &FlagPlan<'p>, name: StageName) -> Option<Stage<'p>> {
    plan.stages().find(|stage| stage.name() == name)
}
