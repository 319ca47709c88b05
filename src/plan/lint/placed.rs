//! Warnings of other modules, with their places in the document.
//!
//! Such a module knows a plan, but not where the document writes it.

use crate::plan::format;
use crate::plan::model::FlagPlan;
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;
use crate::plan::stages;
use crate::plan::{Plan, Problem};

/// A doubt about a field of a flag's stage.
pub(crate) struct StageDoubt<'p> {
    pub(crate) flag: FlagPlan<'p>,
    /// The index of the stage.
    pub(crate) stage: usize,
    /// The names that lead from the stage to the field.
    pub(crate) field: &'static [&'static str],
    pub(crate) message: String,
    pub(crate) hint: String,
}

#[derive(Clone, Copy)]
enum Step<'s> {
    Field(&'s str),
    Index(usize),
}

impl Plan {
    /// Returns doubts as warnings, in order of place. The list is as long as an error's at most.
    pub(crate) fn warnings_of(&self, doubts: &[StageDoubt<'_>]) -> Vec<Problem> {
        let mut report = Report::new(self.document.label().into());
        // Parse again for the places. Few plans have a doubt, so no plan keeps them.
        let text = if doubts.is_empty() { None } else { self.document.checked_text(&mut report) };
        let root = text.and_then(|text| {
            report.read_from(text);
            format::parse(self.document.format_of(text), text, &mut report)
        });
        let Some(root) = root else { return Vec::new() };
        for doubt in doubts {
            doubt.warn(&root, &Path::root(), &doubt.steps(), &mut report);
        }
        report.finish().unwrap_or_default()
    }
}

impl StageDoubt<'_> {
    /// Returns the way from the top of the document to the field.
    fn steps(&self) -> Vec<Step<'_>> {
        let key = self.flag.key();
        if self.is_built_in() {
            // The document has no built-in stages. It does have the flag's traffic.
            return ["flags", key, "traffic"].map(Step::Field).to_vec();
        }
        let (section, name) = self.flag.plan().map_or(("flags", key), |plan| ("plans", plan));
        let mut steps = [section, name, "stages"].map(Step::Field).to_vec();
        steps.push(Step::Index(self.stage));
        steps.extend(self.field.iter().copied().map(Step::Field));
        steps
    }

    fn is_built_in(&self) -> bool {
        self.flag.plan() == Some(stages::BUILT_IN_PLAN)
    }

    /// Warns at the last node that exists on the way.
    fn warn<'a>(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        steps: &[Step<'_>],
        report: &mut Report<'a>,
    ) {
        let next = steps.split_first().and_then(|(step, rest)| {
            let (node, path) = match *step {
                Step::Field(name) => (node.field(name)?, path.field(name)),
                Step::Index(index) => (node.items().get(index)?, path.index(index)),
            };
            Some((node, path, rest))
        });
        match next {
            Some((node, path, rest)) => self.warn(node, &path, rest, report),
            None => {
                let own = if self.is_built_in() { IN_OWN_STAGES } else { "" };
                let hint = format_args!("{}{own}", self.hint);
                report.warning(node.span.clone(), path, self.message.clone(), hint);
            }
        }
    }
}

/// How to change a stage of the built-in plan.
const IN_OWN_STAGES: &str = "; `stagegate init` prints the built-in stages, to make them your own";
