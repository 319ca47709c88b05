//! Lists of stages: built in, of a flag, or of a plan that flags share.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fields::{Fields, Path, array, named, string};
use super::groups::Groups;
use super::limits::{MAX_PLANS, MAX_STAGES};
use super::node::Node;
use super::report::Report;
use crate::eval::{Group, Stage, StageName};
use crate::key::Key;
use crate::percent::Percent;

/// The shared plans of a document. One that could not be read is there all the same, so that
/// naming it is no second problem.
pub(super) type Plans = BTreeMap<Key, Option<Arc<[Stage]>>>;

/// The stages of a flag whose plan names none.
pub(super) fn built_in() -> Arc<[Stage]> {
    const BUILT_IN: [(&str, u32); 4] =
        [("internal", 0), ("pilot", 10), ("expanded", 25), ("ga", 100)];
    let stage = |(name, percent)| {
        let percent = Percent::from_whole(percent).unwrap_or(Percent::NONE);
        Stage::new(StageName::literal(name), percent, Box::default())
    };
    BUILT_IN.into_iter().map(stage).collect()
}

/// `[plans.NAME]`
pub(super) fn read_plans<'a>(
    node: Option<&Node<'a>>,
    root: &Path<'_>,
    groups: &Groups,
    report: &mut Report<'a>,
) -> Plans {
    let path = root.field("plans");
    let entries = node.map(|node| named(node, &path, MAX_PLANS, report)).unwrap_or_default();
    let read = |(key, entry): (Key, &super::node::Entry<'a>)| {
        let stages = read_plan(&entry.node, &path.field(&entry.key), groups, report);
        (key, stages)
    };
    entries.into_iter().map(read).collect()
}

fn read_plan<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    groups: &Groups,
    report: &mut Report<'a>,
) -> Option<Arc<[Stage]>> {
    let mut fields = Fields::open(node, path, report)?;
    let stages = fields.take("stages");
    fields.finish(report);
    match stages {
        Some(stages) => read(stages, &path.field("stages"), groups, report),
        None => {
            fields.missing("stages", "write at least one stage with a `name`", report);
            None
        }
    }
}

/// A list of stages. `None` when any of it is wrong, which has been told.
pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    groups: &Groups,
    report: &mut Report<'a>,
) -> Option<Arc<[Stage]>> {
    let items = array(node, path, "write a list of stages, each with a `name`", report)?;
    if items.is_empty() {
        let hint = "write at least one, or leave `stages` out for the built-in four";
        report.found(node, path, "not a list of stages", hint);
        return None;
    }
    if items.len() > MAX_STAGES {
        let message = format!("found {} stages, more than {MAX_STAGES}", items.len());
        report.problem(node.span.clone(), path, message, "leave some out");
        return None;
    }
    let mut stages: Vec<Stage> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        stages.extend(read_stage(item, &path.index(index), &stages, groups, report));
    }
    (stages.len() == items.len()).then(|| stages.into())
}

fn read_stage<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    before: &[Stage],
    groups: &Groups,
    report: &mut Report<'a>,
) -> Option<Stage> {
    let mut fields = Fields::open(node, path, report)?;
    let (name, percent, members) =
        (fields.take("name"), fields.take("percent"), fields.take("groups"));
    fields.finish(report);
    let name = match name {
        Some(name) => read_name(name, &path.field("name"), before, report),
        None => {
            fields.missing(
                "name",
                "write the stage's name, for example `name = \"pilot\"`",
                report,
            );
            None
        }
    };
    let inherited = before.last().map_or(Percent::NONE, |stage| stage.percent);
    let percent = match percent {
        Some(node) => read_percent(node, &path.field("percent"), before, report),
        None => Some(inherited),
    };
    let members = match members {
        Some(node) => read_groups(node, &path.field("groups"), groups, report),
        None => Box::default(),
    };
    // A percentage that is wrong counts as the one before, so that the next stage is not blamed.
    Some(Stage::new(name?, percent.unwrap_or(inherited), members))
}

fn read_name<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    before: &[Stage],
    report: &mut Report<'a>,
) -> Option<StageName> {
    let text = string(node, path, report)?;
    let name = match StageName::parse(text) {
        Ok(name) => name,
        Err(error) => {
            report.found(node, path, &error, error.hint());
            return None;
        }
    };
    if name == StageName::OFF {
        report.found(node, path, "the name of being before the first stage", "choose another name");
    } else if before.iter().any(|stage| stage.name == name) {
        report.found(node, path, "the name of an earlier stage", "choose another name");
    } else {
        return Some(name);
    }
    None
}

fn read_percent<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    before: &[Stage],
    report: &mut Report<'a>,
) -> Option<Percent> {
    if !node.is_number() {
        report.found(node, path, "not a number", "write a number from 0 to 100 without quotes");
        return None;
    }
    let percent: Percent = match report.slice(&node.span).parse() {
        Ok(percent) => percent,
        Err(error) => {
            report.found(node, path, error, "write a decimal from 0.0001 to 100, or 0");
            return None;
        }
    };
    if let Some(last) = before.last().filter(|last| percent < last.percent) {
        let wrong = format!("less than the {} of stage \"{}\"", last.percent, last.name);
        let hint = format!(
            "write {} or more: a stage keeps everyone the stages before it have",
            last.percent
        );
        report.found(node, path, wrong, hint);
        return None;
    }
    Some(percent)
}

fn read_groups<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    groups: &Groups,
    report: &mut Report<'a>,
) -> Box<[Arc<Group>]> {
    let hint = "write a list of group names: [\"team\"]";
    let items = array(node, path, hint, report).unwrap_or_default().iter().enumerate();
    let find = |(index, item): (usize, &Node<'a>)| {
        let path = path.index(index);
        let name = string(item, &path, report)?;
        groups.find(name, item, &path, report)
    };
    items.filter_map(find).collect()
}
