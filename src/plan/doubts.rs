//! Warnings about stages by those who know more than a plan does: where they stand in the document.

use super::fields::Path;
use super::format;
use super::model::FlagPlan;
use super::node::{Node, Value};
use super::report::Report;
use super::staged;
use super::{Plan, Problem};

/// What is doubtful about a field of a flag's stage.
pub(crate) struct StageDoubt<'p> {
    pub(crate) flag: FlagPlan<'p>,
    /// Which stage, from 0.
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
    /// Doubts as warnings, in order of place; no more than an error lists problems.
    pub(crate) fn warnings_of(&self, doubts: &[StageDoubt<'_>]) -> Vec<Problem> {
        let mut report = Report::new(self.document.label().into());
        // Read again for the places: to keep them would cost every plan, and few have a doubt.
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
    /// From the top of the document to the field.
    fn steps(&self) -> Vec<Step<'_>> {
        let key = self.flag.key();
        if self.is_built_in() {
            // Its stages stand nowhere; that the flag has traffic does.
            return ["flags", key, "traffic"].map(Step::Field).to_vec();
        }
        let (section, name) = self.flag.plan().map_or(("flags", key), |plan| ("plans", plan));
        let mut steps = [section, name, "stages"].map(Step::Field).to_vec();
        steps.push(Step::Index(self.stage));
        steps.extend(self.field.iter().copied().map(Step::Field));
        steps
    }

    fn is_built_in(&self) -> bool {
        self.flag.plan() == Some(staged::NAME)
    }

    /// Goes as far as there is something.
    fn warn<'a>(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        steps: &[Step<'_>],
        report: &mut Report<'a>,
    ) {
        let next = steps.split_first().and_then(|(step, rest)| Some((step, rest, node.at(*step)?)));
        match next {
            Some((Step::Field(name), rest, node)) => {
                self.warn(node, &path.field(name), rest, report);
            }
            Some((Step::Index(index), rest, node)) => {
                self.warn(node, &path.index(*index), rest, report);
            }
            None => {
                let own = if self.is_built_in() { IN_OWN_STAGES } else { "" };
                let hint = format_args!("{}{own}", self.hint);
                report.warning(node.span.clone(), path, self.message.clone(), hint);
            }
        }
    }
}

/// Where to write what the built-in plan has.
const IN_OWN_STAGES: &str = "; `stagegate init` prints the built-in stages, to make them your own";

impl<'a> Node<'a> {
    fn at(&self, step: Step<'_>) -> Option<&Node<'a>> {
        match (step, &self.value) {
            (Step::Field(name), Value::Table(entries)) => {
                entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node)
            }
            (Step::Index(index), Value::Array(items)) => items.get(index),
            _ => None,
        }
    }
}
