//! `rollback`: the target of a rollback, and the procedure for people.

use crate::plan::fields::Fields;
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::word::{self, Word, words};
use crate::plan::model::{list, time::duration};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The rollback section of a plan.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::model::{Phase, RollbackTarget};
///
/// let plan = Plan::parse("schema = 1\n[flags.search]\nstage = \"pilot\"")?;
/// let rollback = plan.flag("search").unwrap().rollback();
/// assert_eq!(rollback.target, RollbackTarget::Off);
/// assert_eq!(rollback.steps[0].phase, Phase::Decide);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rollback {
    /// The stage that the flag goes to.
    pub target: RollbackTarget,
    /// The steps of the procedure, in the order of their phases.
    pub steps: Vec<ProcedureStep>,
}

words! {
    /// The target of a rollback. Printed as in a document.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum RollbackTarget: "not a target of a rollback" {
        /// Off: no user has the flag (`off`).
        #[default]
        Off = "off",
        /// The stage before (`previous`). Pauses at the share of the flag's stage are skipped.
        PreviousStage = "previous",
    }
}

/// A step of the rollback procedure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcedureStep {
    /// The phase of the incident that the step belongs to.
    pub phase: Phase,
    /// The task.
    pub text: Box<str>,
    /// The person or role that does it. `None`: the person responsible.
    pub owner: Option<Box<str>>,
    /// The time limit, from the trigger on.
    pub within: Option<WrittenDuration>,
}

words! {
    /// The phases of an incident, in order. Printed as in a document.
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
    /// Returns the phase with this name in documents.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn of_name(name: &str) -> Option<Phase> {
        Phase::of_word(name)
    }
}

pub(super) fn read<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Rollback {
    let Some(mut fields) = Fields::open(node, path, report) else { return Rollback::default() };
    let target = fields.read("target", report, word::read).flatten();
    let steps = fields.read("steps", report, read_steps);
    fields.finish(report);
    Rollback { target: target.unwrap_or_default(), steps: steps.unwrap_or_default() }
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

/// Reads a step. `reached` is the phase of the step before.
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
    let wrong = format!("a phase before \"{reached}\", the phase of the step before");
    let order: Vec<&str> = Phase::ALL.iter().map(|phase| phase.word()).collect();
    report.found(node, path, wrong, format!("put the steps in order: {}", order.join(", ")));
    None
}
