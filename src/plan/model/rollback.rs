//! `rollback`: where a flag goes back to, and what people do then.

use crate::plan::fields::{Fields, Path};
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::word::{self, Word, words};
use crate::plan::model::{list, time::duration};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// How a flag is taken back.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::{Phase, RollBackTarget};
///
/// let plan = Plan::parse("schema = 1\n[flags.search]\nstage = \"pilot\"")?;
/// let rollback = plan.flag("search").unwrap().rollback();
/// assert_eq!(rollback.target, RollBackTarget::Off);
/// assert_eq!(rollback.steps[0].phase, Phase::Decide);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RollBack {
    /// Where the flag goes.
    pub target: RollBackTarget,
    /// The procedure's steps, in order of their phases.
    pub steps: Vec<ProcedureStep>,
}

words! {
    /// Where a roll-back takes a flag. Printed as a document writes it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum RollBackTarget: "nowhere to roll back to" {
        /// To nobody (`off`).
        #[default]
        Off = "off",
        /// To the stage before (`previous`).
        PreviousStage = "previous",
    }
}

/// A step of the roll-back procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcedureStep {
    /// The part of the incident it belongs to.
    pub phase: Phase,
    /// What is done.
    pub text: Box<str>,
    /// Who does it; `None`: whoever is responsible.
    pub owner: Option<Box<str>>,
    /// Within what time.
    pub within: Option<WrittenDuration>,
}

words! {
    /// The phases of an incident, in order. Printed as a document writes them.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Phase: "not a phase of an incident" {
        /// `decide`
        Decide = "decide",
        /// `execute`
        Execute = "execute",
        /// `verify`
        Verify = "verify",
        /// `communicate`
        Communicate = "communicate",
        /// `investigate`
        Investigate = "investigate",
    }
}

impl Phase {
    /// The phase that a document calls so.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn of_name(name: &str) -> Option<Phase> {
        Phase::of_word(name)
    }
}

pub(super) fn read<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> RollBack {
    let Some(mut fields) = Fields::open(node, path, report) else { return RollBack::default() };
    let target = fields.read("target", report, word::read).flatten();
    let steps = fields.read("steps", report, read_steps);
    fields.finish(report);
    RollBack { target: target.unwrap_or_default(), steps: steps.unwrap_or_default() }
}

fn read_steps<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Vec<ProcedureStep> {
    let hint = "write a list of steps: [{ phase = \"decide\", text = \"...\" }]";
    let items = list::read(node, path, hint, report);
    let mut steps: Vec<ProcedureStep> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let reached = steps.last().map(|step| step.phase);
        steps.extend(read_step(item, &path.index(index), reached, report));
    }
    steps
}

/// `reached`: the phase of the step before.
fn read_step<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    reached: Option<Phase>,
    report: &mut Report<'a>,
) -> Option<ProcedureStep> {
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write decide, execute, verify, communicate or investigate";
    let phase = fields.required("phase", hint, report, |node, path, report| {
        read_phase(node, path, reached, report)
    });
    let text = fields.required_text("text", "write what is done", report);
    let within = fields.read("within", report, duration::read).flatten();
    let owner = fields.take_text("owner", report).map(Box::from);
    fields.finish(report);
    Some(ProcedureStep { phase: phase?, text: text?.into(), owner, within })
}

fn read_phase<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    reached: Option<Phase>,
    report: &mut Report<'a>,
) -> Option<Phase> {
    let phase: Phase = word::read(node, path, report)?;
    let Some(reached) = reached.filter(|reached| phase < *reached) else { return Some(phase) };
    let wrong = format!("a phase before \"{reached}\", the one of the step before");
    let order: Vec<&str> = Phase::ALL.iter().map(|phase| phase.word()).collect();
    report.found(node, path, wrong, format!("put the steps in order: {}", order.join(", ")));
    None
}
