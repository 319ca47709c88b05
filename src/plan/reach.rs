//! Stages that nobody can reach: who would be let in is in already.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::fields::Path;
use super::report::Report;
use crate::eval::{Position, Stage, StageName};
use crate::key::Key;
use crate::percent::Percent;

/// A stage whose percentage and groups add nobody to the stages before it. It is in order if a
/// group was held back until it.
pub(super) struct IdleStage {
    position: Position,
    name: StageName,
    /// Where the document has its name.
    span: Range<usize>,
    because: Because,
}

enum Because {
    /// It is the first, and for nobody. Whom it would no longer hold back is not in either.
    First,
    /// An earlier one is for everybody.
    Everybody(StageName),
    /// It has no more percent than the one before, nor another group.
    NoMore(Percent),
}

impl IdleStage {
    /// `stage`, unless it adds somebody to the stages `before` it, whose groups are `known`.
    pub(super) fn of(
        stage: &Stage,
        span: Range<usize>,
        before: &[Stage],
        known: &BTreeSet<Key>,
    ) -> Option<IdleStage> {
        let everybody = before.iter().find(|earlier| earlier.percent == Percent::ALL);
        let adds_group = || stage.groups.iter().any(|group| !known.contains(&group.name));
        let because = match before.last() {
            None if stage.percent == Percent::NONE && stage.groups.is_empty() => Because::First,
            Some(last) => match everybody {
                Some(earlier) => Because::Everybody(*earlier.name()),
                None if stage.percent > last.percent || adds_group() => return None,
                None => Because::NoMore(last.percent),
            },
            None => return None,
        };
        let position = Position::try_from(before.len() + 1).ok()?;
        Some(IdleStage { position, name: *stage.name(), span, because })
    }

    /// Whether groups held back until these positions make it a stage like any other.
    fn is_idle_beside(&self, ends: &Ends) -> bool {
        match self.because {
            Because::First => true,
            Because::Everybody(_) | Because::NoMore(_) => !ends.has(self.position),
        }
    }

    /// `stages`: the list it stands in.
    fn tell(&self, stages: &Path<'_>, report: &mut Report<'_>) {
        let hint = match self.because {
            Because::First => "give it a `percent` or `groups`, or leave it out: \
                               before the first stage a flag is off"
                .to_owned(),
            Because::Everybody(earlier) => {
                format!(
                    "leave it out, or hold a group back until it: \
                 everybody is in since stage \"{earlier}\""
                )
            }
            Because::NoMore(percent) => {
                format!("give it more than {percent} percent or another group, or leave it out")
            }
        };
        let whom = if matches!(self.because, Because::First) { "nobody" } else { "nobody new" };
        let message = format!("found \"{}\", a stage that lets in {whom}", self.name);
        let stage = stages.index(usize::from(self.position).saturating_sub(1));
        report.problem(self.span.clone(), &stage.field("name"), message, hint);
    }
}

/// The positions at which a flag stops holding groups back.
pub(super) struct Ends(Option<BTreeSet<Position>>);

impl Ends {
    pub(super) fn at(positions: impl Iterator<Item = Position>) -> Ends {
        Ends(Some(positions.collect()))
    }

    /// Any, for all that can be told of a `hold_back` with mistakes.
    pub(super) fn unknown() -> Ends {
        Ends(None)
    }

    fn has(&self, position: Position) -> bool {
        self.0.as_ref().is_none_or(|ends| ends.contains(&position))
    }
}

/// Tells those of a flag's own stages that are idle.
pub(super) fn check_own(
    idle: &[IdleStage],
    ends: &Ends,
    stages: &Path<'_>,
    report: &mut Report<'_>,
) {
    for stage in idle.iter().filter(|stage| stage.is_idle_beside(ends)) {
        stage.tell(stages, report);
    }
}

/// The idle stages of the shared plans, as far as no flag has a use for them.
#[derive(Default)]
pub(super) struct IdleStages(BTreeMap<Key, Vec<IdleStage>>);

impl IdleStages {
    pub(super) fn insert(&mut self, plan: &Key, idle: Vec<IdleStage>) {
        if !idle.is_empty() {
            self.0.insert(plan.clone(), idle);
        }
    }

    /// A flag follows the plan, with groups held back until these.
    pub(super) fn followed(&mut self, plan: &str, ends: &Ends) {
        if let Some(idle) = self.0.get_mut(plan) {
            idle.retain(|stage| stage.is_idle_beside(ends));
        }
    }

    /// Tells what is left when every flag has been read.
    pub(super) fn check(&self, root: &Path<'_>, report: &mut Report<'_>) {
        let plans = root.field("plans");
        for (plan, idle) in &self.0 {
            let plan = plans.field(plan.as_str());
            let stages = plan.field("stages");
            idle.iter().for_each(|stage| stage.tell(&stages, report));
        }
    }
}
