//! Stages that let in no new user and have no other use: an error.
//!
//! A later stage may repeat the share of the stage before it: a pause. It has to state its percentage, so that a
//! forgotten `percent` is found, and conditions, so that it waits for something.
//!
//! A stage without new users still has a use if some group is held back until that stage. A flag holds groups back, and
//! a shared plan has many flags. So a plan's idle stages are known only once every flag has been read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::eval::{Position, StageDefinition};
use crate::key::Key;
use crate::percent::Percent;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// What makes a stage without new users a pause.
#[derive(Clone, Copy)]
pub(in crate::plan) struct Pause {
    /// Whether the stage writes its `percent`.
    pub(in crate::plan) states_percent: bool,
    /// Whether the stage has conditions of its own.
    pub(in crate::plan) has_conditions: bool,
}

impl Pause {
    /// Returns what to add to a stage at this percentage to make it a pause. `None` if the stage is one.
    fn missing(self, percent: Percent) -> Option<String> {
        match (self.states_percent, self.has_conditions) {
            (true, true) => None,
            (true, false) => Some("add conditions, such as `min_duration`".to_owned()),
            (false, true) => Some(format!("write `percent = {percent}`")),
            (false, false) => {
                Some(format!("write `percent = {percent}` and conditions, such as `min_duration`"))
            }
        }
    }
}

/// A stage that adds no user to the stages before it, by percentage or group, and is no pause.
pub(in crate::plan) struct IdleStage {
    position: Position,
    /// Where the document names the stage.
    name_span: Range<usize>,
    message: String,
    hint: String,
}

impl IdleStage {
    /// Returns `stage` if it adds no user to the stages `before` it, whose groups are `known`, and is no pause.
    pub(in crate::plan) fn of(
        stage: &StageDefinition,
        name_span: Range<usize>,
        before: &[StageDefinition],
        known: &BTreeSet<Key>,
        pause: Pause,
    ) -> Option<IdleStage> {
        let adds_group = stage.groups.iter().any(|group| !known.contains(&group.name));
        let is_for_all = |earlier: &&StageDefinition| {
            earlier.percent == Percent::ALL && earlier.within.is_empty()
        };
        let for_all = before.iter().find(is_for_all);
        let is_covered = |earlier: &StageDefinition| {
            let names = |name: &Key| earlier.within.iter().any(|group| group.name == *name);
            let is_wider = match &*stage.within {
                [] => earlier.within.is_empty(),
                within => {
                    earlier.within.is_empty() || within.iter().all(|group| names(&group.name))
                }
            };
            is_wider && earlier.percent >= stage.percent
        };
        let covered =
            before.iter().filter(|earlier| is_covered(earlier)).map(|it| it.percent).max();
        let adds_share = stage.percent > Percent::NONE && covered.is_none();
        let (whom, hint) = match (before.last(), for_all) {
            (None, _) if stage.percent == Percent::NONE && stage.groups.is_empty() => {
                let hint = "give it a `percent` or `groups`, or leave it out: \
                            before the first stage a flag is off";
                ("nobody", hint.to_owned())
            }
            (None, _) => return None,
            (Some(_), None) if adds_share || adds_group => return None,
            (Some(last), for_all) => {
                let otherwise = match for_all {
                    Some(earlier) => format!(
                        "leave it out, or hold a group back until it: \
                         everybody is in since stage \"{}\"",
                        earlier.name()
                    ),
                    None => format!(
                        "give it more than {} percent or another group, or leave it out",
                        covered.unwrap_or(stage.percent)
                    ),
                };
                // A lower share of the same users would look like a smaller stage.
                let to_pause = match stage.percent == last.percent && is_covered(last) {
                    true => {
                        format!(". For a pause at this share, {}", pause.missing(last.percent)?)
                    }
                    false => String::new(),
                };
                ("nobody new", format!("{otherwise}{to_pause}"))
            }
        };
        let position = Position::try_from(before.len() + 1).ok()?;
        let message = format!("found \"{}\", a stage that lets in {whom}", stage.name());
        Some(IdleStage { position, name_span, message, hint })
    }

    /// Returns whether the stage has no use, if these stages end the wait of a group.
    fn is_idle(&self, ends: &Ends) -> bool {
        // The first stage has no users to hold back, if it is idle.
        self.position == 1 || !ends.has(self.position)
    }

    /// Reports the stage. `stages` is the path of its list.
    fn report(&self, stages: &Path<'_>, report: &mut Report<'_>) {
        let stage = stages.index(usize::from(self.position).saturating_sub(1));
        let (message, hint) = (self.message.clone(), &self.hint);
        report.problem(self.name_span.clone(), &stage.field("name"), message, hint);
    }
}

/// The positions of the stages at which a flag stops holding groups back.
pub(in crate::plan) struct Ends(Option<BTreeSet<Position>>);

impl Ends {
    pub(in crate::plan) fn at(positions: impl Iterator<Item = Position>) -> Ends {
        Ends(Some(positions.collect()))
    }

    /// Any position: the flag's `hold_back` could not be read.
    pub(in crate::plan) fn unknown() -> Ends {
        Ends(None)
    }

    fn has(&self, position: Position) -> bool {
        self.0.as_ref().is_none_or(|ends| ends.contains(&position))
    }
}

/// Reports the idle stages of a flag that has stages of its own.
pub(in crate::plan) fn check_own(
    idle: &[IdleStage],
    ends: &Ends,
    stages: &Path<'_>,
    report: &mut Report<'_>,
) {
    for stage in idle.iter().filter(|stage| stage.is_idle(ends)) {
        stage.report(stages, report);
    }
}

/// The idle stages of the shared plans, as far as no flag has a use for them.
#[derive(Default)]
pub(in crate::plan) struct IdleStages(BTreeMap<Key, Vec<IdleStage>>);

impl IdleStages {
    pub(in crate::plan) fn insert(&mut self, plan: &Key, idle: Vec<IdleStage>) {
        if !idle.is_empty() {
            self.0.insert(plan.clone(), idle);
        }
    }

    /// Removes the stages for which a flag of the plan has a use.
    pub(in crate::plan) fn followed(&mut self, plan: &str, ends: &Ends) {
        if let Some(idle) = self.0.get_mut(plan) {
            idle.retain(|stage| stage.is_idle(ends));
        }
    }

    /// Reports the remaining stages. Call it after every flag has been read.
    pub(in crate::plan) fn check(&self, root: &Path<'_>, report: &mut Report<'_>) {
        let plans = root.field("plans");
        for (plan, idle) in &self.0 {
            let plan = plans.field(plan.as_str());
            let stages = plan.field("stages");
            idle.iter().for_each(|stage| stage.report(&stages, report));
        }
    }
}
