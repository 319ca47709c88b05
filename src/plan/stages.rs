//! `[plans.NAME]`, and the lists of stages of flags and shared plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::channels::Channels;
use super::fields::{Fields, array, named, string};
use super::groups::Groups;
use super::limits::{MAX_PLANS, MAX_STAGES};
use super::lint::Subject;
use super::lint::idle_stage::{IdleStage, IdleStages, Pause};
use super::model::{Context, Metrics, SECTIONS, Sections, StageDetails, Stages};
use super::node::Node;
use super::path::Path;
use super::report::Report;
use crate::eval::{Group, StageDefinition, StageName};
use crate::key::Key;
use crate::percent::Percent;

/// The shared plans of a document, by name. `None` for an invalid plan, so that a flag that names it is not a second
/// problem.
pub(super) type Plans = BTreeMap<Key, Option<SharedPlan>>;

/// A plan that flags can share.
#[derive(Clone, Debug)]
pub(super) struct SharedPlan {
    /// `None` for the own stages of a flag. All flags that follow the plan share the text.
    pub(super) name: Option<Arc<str>>,
    pub(super) stages: Stages,
    pub(super) sections: Arc<Sections>,
}

/// The parts of a document that a plan may refer to.
#[derive(Clone, Copy)]
pub(super) struct References<'c> {
    pub(super) groups: &'c Groups,
    pub(super) metrics: &'c Metrics,
    pub(super) channels: &'c Channels,
}

impl<'c> References<'c> {
    /// Returns the context of sections, which may also refer to stages.
    pub(super) fn for_sections(self, stages: &'c Stages) -> Context<'c> {
        let References { metrics, channels, .. } = self;
        Context { stages: &stages.compiled, metrics, channels }
    }
}

/// The word of `hold_back` for groups that have a flag at no stage.
pub(super) const NEVER: &str = "never";

/// The name of the built-in plan in `plan = "NAME"`.
pub(super) const BUILT_IN_PLAN: &str = "staged";

/// Reads `[plans.NAME]`. Also returns the stages that let in no new user, unless a flag has a `hold_back` that ends
/// there.
pub(super) fn read_plans<'a>(
    node: Option<&Node<'a>>,
    root: &Path<'_>,
    references: References<'_>,
    report: &mut Report<'a>,
) -> (Plans, IdleStages) {
    let path = root.field("plans");
    let mut all_idle = IdleStages::default();
    let entries = node.map(|node| named(node, &path, MAX_PLANS, report)).unwrap_or_default();
    let read = |(key, entry): (Key, &super::node::Entry<'a>)| {
        let path = path.field(&entry.key);
        if key.as_str() == BUILT_IN_PLAN {
            let message = format!("found `{}`, the name of the built-in plan", BUILT_IN_PLAN);
            report.problem(entry.key_span.clone(), &path, message, "choose another name");
        }
        let plan = read_plan(&key, &entry.node, &path, references, report);
        let plan = plan.map(|(plan, idle)| {
            all_idle.insert(&key, idle);
            let (stages, sections) = (&plan.stages, &*plan.sections);
            Subject { entry, path: &path, stages, sections, flag: None }.check(report);
            plan
        });
        (key, plan)
    };
    let plans = entries.into_iter().map(read).collect();
    (plans, all_idle)
}

/// Reads a shared plan. Also returns the stages that let in no new user, unless a flag has a `hold_back` that ends
/// there.
pub(super) fn read_plan<'a>(
    name: &Key,
    node: &Node<'a>,
    path: &Path<'_>,
    references: References<'_>,
    report: &mut Report<'a>,
) -> Option<(SharedPlan, Vec<IdleStage>)> {
    let mut fields = Fields::open(node, path, report)?;
    let stages = fields.take("stages");
    fields.know(&SECTIONS);
    fields.finish(report);
    let Some(stages) = stages else {
        fields.missing("stages", "write at least one stage with a `name`", report);
        return None;
    };
    let (stages, idle) = read(stages, &path.field("stages"), references, report)?;
    let context = references.for_sections(&stages);
    let sections = Sections::read(&mut fields, context, &Arc::default(), report);
    Some((SharedPlan { name: Some(name.shared()), stages, sections }, idle))
}

/// Reads a list of stages. Also returns the stages that let in no new user by percentage or group, and are no pause.
///
/// `None` if any stage is invalid, which is then in the report.
pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    references: References<'_>,
    report: &mut Report<'a>,
) -> Option<(Stages, Vec<IdleStage>)> {
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
    let mut stages: Vec<StageDefinition> = Vec::with_capacity(items.len());
    let mut details = Vec::with_capacity(items.len());
    let mut all_idle = Vec::new();
    let mut groups_before = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let is_last = index + 1 == items.len();
        let context =
            StageContext { before: &stages, groups_before: &groups_before, is_last, references };
        if let Some(read) = read_stage(item, &path.index(index), context, report) {
            groups_before.extend(read.stage.groups.iter().map(|group| group.name.clone()));
            stages.push(read.stage);
            details.push(read.details);
            all_idle.extend(read.idle);
        }
    }
    (stages.len() == items.len()).then(|| (Stages::new(stages, details), all_idle))
}

/// The context of a stage that is read.
#[derive(Clone, Copy)]
struct StageContext<'c> {
    before: &'c [StageDefinition],
    /// The groups of the stages before.
    groups_before: &'c BTreeSet<Key>,
    is_last: bool,
    references: References<'c>,
}

/// A stage that was read. `idle` is set if it lets in no new user by percentage or group, and is no pause.
struct ParsedStage {
    stage: StageDefinition,
    details: StageDetails,
    idle: Option<IdleStage>,
}

fn read_stage<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    context: StageContext<'_>,
    report: &mut Report<'a>,
) -> Option<ParsedStage> {
    let StageContext { before, groups_before, is_last, references } = context;
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write the stage's name, for example `name = \"pilot\"`";
    let name = fields
        .required("name", hint, report, |node, path, report| read_name(node, path, before, report));
    let within = fields.read("within", report, |node, path, report| {
        let within = read_groups(node, path, references.groups, report);
        if node.len() == Some(0) {
            report.found(node, path, "no group", "name a group, or leave it out for all users");
        }
        within
    });
    if let Some(node) = fields.take("within").filter(|_| fields.take("percent").is_none()) {
        let wrong = "but the stage has no `percent`";
        report.found(node, &path.field("within"), wrong, "write the percentage of these users");
    }
    let before_it = share_before(before, within.as_deref());
    let percent = fields.optional("percent", report, |node, path, report| {
        read_percent(node, path, before_it, report)
    });
    let (inherited, within) = match (within, before.last()) {
        (Some(within), _) => (Percent::NONE, within),
        // Without a percentage of its own, the stage keeps the share of the stage before.
        (None, Some(last)) if percent == Some(None) => (last.percent, last.within.clone()),
        (None, last) => (last.map_or(Percent::NONE, |last| last.percent), Box::default()),
    };
    let members = fields.read("groups", report, |node, path, report| {
        read_groups(node, path, references.groups, report)
    });
    let members = members.unwrap_or_default();
    let details = StageDetails::read(&mut fields, is_last, references.metrics, report);
    if let Some((node, at_most)) = fields.take("at_most").zip(details.at_most) {
        check_listed(&members, at_most, node, path, report);
    }
    fields.finish(report);
    // For an invalid percentage, use the percentage of the stage before. So the next stage causes no second problem.
    let stage =
        StageDefinition::new(name?, percent.flatten().unwrap_or(inherited), members, within);
    let listed = fields.take("groups").map_or(Some(0), Node::len);
    // With an invalid or unknown field, the stage might have let in new users, so do not call it idle.
    let has_percent = fields.take("percent").is_some();
    let is_whole = fields
        .take("within")
        .is_none_or(|node| node.len() == Some(stage.within.len()) && has_percent);
    let is_certain =
        percent.is_some() && listed == Some(stage.groups.len()) && is_whole && fields.are_known();
    let pause = Pause {
        states_percent: fields.take("percent").is_some(),
        has_conditions: CONDITIONS.iter().any(|name| is_written(fields.take(name))),
    };
    let idle = fields
        .take("name")
        .filter(|_| is_certain)
        .and_then(|node| IdleStage::of(&stage, node.span.clone(), before, groups_before, pause));
    Some(ParsedStage { stage, details, idle })
}

/// Returns the last stage before whose percentage refers to the same users. `within`: the groups of the stage's percentage.
fn share_before<'s>(
    before: &'s [StageDefinition],
    within: Option<&[Arc<Group>]>,
) -> Option<&'s StageDefinition> {
    let names = |groups: &[Arc<Group>]| -> BTreeSet<Key> {
        groups.iter().map(|group| group.name.clone()).collect()
    };
    let mine = names(within.unwrap_or_default());
    before.iter().rev().find(|stage| names(&stage.within) == mine)
}

/// The fields of a stage that are conditions for leaving it.
const CONDITIONS: [&str; 5] = ["min_duration", "criteria", "checklist", "metrics", "watch"];

/// Returns whether a field has a value, other than an empty list or table.
fn is_written(node: Option<&Node<'_>>) -> bool {
    node.is_some_and(|node| node.len() != Some(0))
}

fn read_name<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    before: &[StageDefinition],
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
        report.found(
            node,
            path,
            "a reserved name: a flag is `off` before its first stage",
            "choose another name",
        );
    } else if name == *NEVER {
        let wrong = "a reserved name: `hold_back` uses it for groups that never have a flag";
        report.found(node, path, wrong, "choose another name");
    } else if before.iter().any(|stage| *stage.name() == name) {
        report.found(node, path, "the name of an earlier stage", "choose another name");
    } else {
        return Some(name);
    }
    None
}

fn read_percent<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    before: Option<&StageDefinition>,
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
    if let Some(last) = before.filter(|last| percent < last.percent) {
        let wrong = format!("less than the {} of stage \"{}\"", last.percent, last.name());
        let hint = format!(
            "write {} or more: a stage keeps all users of the stages before it",
            last.percent
        );
        report.found(node, path, wrong, hint);
        return None;
    }
    Some(percent)
}

/// Reports a stage whose groups list more users than `at_most`. A user in two groups counts once.
fn check_listed<'a>(
    groups: &[Arc<Group>],
    at_most: u64,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    // A group may list millions of users, so count without a set of them all.
    let most: usize = groups.iter().map(|group| group.users.len()).sum();
    if most as u64 <= at_most {
        return;
    }
    let is_new = |index, key: &[u8]| {
        let before = groups.get(..index).unwrap_or_default();
        !before.iter().any(|group| group.users.contains(key))
    };
    let new = |(index, group): (usize, &Arc<Group>)| {
        group.users.iter().filter(|key| is_new(index, key)).count()
    };
    let listed: usize = groups.iter().enumerate().map(new).sum();
    if listed as u64 > at_most {
        let wrong = format!("but the groups of this stage list {listed} users");
        report.found(
            node,
            &path.field("at_most"),
            wrong,
            "list fewer users, or write a larger number",
        );
    }
}

pub(super) fn read_groups<'a>(
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
