//! `[flags.NAME]`: the flags, with all they refer to resolved.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, Path, named, one_of, string, table};
use super::limits::{MAX_FLAGS, MAX_TEXT_BYTES};
use super::lint::Subject;
use super::lint::idle_stage::{self, Ends, IdleStage, IdleStages};
use super::model::{FlagPlan, SECTIONS, Sections, Stages};
use super::node::{Entry, Node};
use super::report::Report;
use super::staged;
use super::stages::{self, Plans, References, SharedPlan};
use crate::eval::{FlagDefinition, HoldBack, Position, Remarks, Salt, Stage, StageName};
use crate::key::Key;

/// A flag of a plan and where the document puts it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFlag {
    pub(crate) definition: Arc<FlagDefinition>,
    pub(crate) declared: Position,
    /// The bytes at which the document says `stage`.
    pub(crate) declared_at: Range<usize>,
    /// The name of the plan it follows; `None` when its stages are its own.
    pub(super) plan: Option<Arc<str>>,
    /// The salt's text, where the document gives one.
    pub(super) salt: Option<Box<str>>,
    pub(super) stages: Stages,
    pub(super) sections: Arc<Sections>,
}

/// What flags may refer to.
pub(super) struct Context<'c> {
    pub(super) refers: References<'c>,
    pub(super) plans: &'c Plans,
}

/// The plan that a flag follows.
struct Followed {
    plan: SharedPlan,
    /// Those of its own stages that let in nobody new.
    idle: Vec<IdleStage>,
}

/// The flags of a document in order of their keys; what is `None` or left out has been told.
/// `idle`: the stages of shared plans that need a flag which holds somebody back.
pub(super) fn read<'a>(
    node: &Node<'a>,
    root: &Path<'_>,
    context: &Context<'_>,
    mut idle: IdleStages,
    report: &mut Report<'a>,
) -> Option<Vec<PlannedFlag>> {
    let path = root.field("flags");
    if table(node, &path, report)?.is_empty() {
        let hint = "write at least one; to turn a flag off write `stage = \"off\"`";
        report.problem(node.span.clone(), &path, "found no flag".to_owned(), hint);
        return None;
    }
    let staged = OnceCell::new();
    let nothing = Arc::default();
    let mut named = named(node, &path, MAX_FLAGS, report);
    named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut flags = Vec::with_capacity(named.len());
    for (key, entry) in named {
        let path = path.field(&entry.key);
        flags.extend(
            FlagReader { key, entry, path, context, staged: &staged, nothing: &nothing }
                .read(&mut idle, report),
        );
    }
    idle.check(root, report);
    Some(flags)
}

struct FlagReader<'r, 'a> {
    key: Key,
    entry: &'r Entry<'a>,
    path: Path<'r>,
    context: &'r Context<'r>,
    /// The built-in plan, made for the first flag that follows it.
    staged: &'r OnceCell<Option<SharedPlan>>,
    /// The sections of a flag that follows no plan, before it says any of its own.
    nothing: &'r Arc<Sections>,
}

impl<'a> FlagReader<'_, 'a> {
    fn read(self, idle: &mut IdleStages, report: &mut Report<'a>) -> Option<PlannedFlag> {
        let mut fields = Fields::open(&self.entry.node, &self.path, report)?;
        let (stage, own, plan) = (fields.take("stage"), fields.take("stages"), fields.take("plan"));
        let (salt, hold_back) = (fields.take("salt"), fields.take("hold_back"));
        let owner = fields.take_text("owner", report).map(Box::from);
        let description = fields.take_text("description", report).map(Box::from);
        let skip_reason = fields.take_text("skip_reason", report).map(Box::from);
        fields.know(&SECTIONS);
        fields.finish(report);

        let salt = salt.map(|node| self.salt(node, report));
        let followed = self.followed(own, plan, report)?;
        let SharedPlan { name: plan, stages, sections: base } = followed.plan;
        let compiled = &stages.compiled;
        let (hold_back, ends) = match hold_back {
            Some(node) => self.hold_back(node, compiled, report),
            None => (Box::default(), Ends::at(std::iter::empty())),
        };
        match &plan {
            Some(plan) => idle.followed(plan, &ends),
            None => {
                idle_stage::check_own(&followed.idle, &ends, &self.path.field("stages"), report);
            }
        }
        let declared = match stage {
            Some(node) => self.position(node, &self.path.field("stage"), compiled, report),
            None => Some(0),
        };
        let section_context = self.context.refers.of_sections(&stages);
        let sections = Sections::read(&mut fields, section_context, &base, report);
        let declared_at = stage.map_or(&self.entry.key_span, |node| &node.span).clone();
        // A wrong salt or stage is reported. The lints look at the other fields all the same.
        let is_whole = declared.is_some() && salt != Some(None);
        let (declared, salt) = (declared.unwrap_or_default(), salt.flatten());
        let definition = FlagDefinition {
            salt: Salt::new(salt.as_deref().unwrap_or(self.key.as_str())),
            key: self.key,
            owner,
            remarks: (description.is_some() || skip_reason.is_some())
                .then(|| Box::new(Remarks { description, skip_reason })),
            stages: Arc::clone(compiled),
            hold_back,
        };
        let definition = Arc::new(definition);
        let flag = PlannedFlag { definition, declared, declared_at, plan, salt, stages, sections };
        let (entry, path) = (self.entry, &self.path);
        let (stages, sections) = (&flag.stages, &*flag.sections);
        let plan = Some(FlagPlan::new(&flag));
        Subject { entry, path, stages, sections, flag: plan }.check(report);
        is_whole.then_some(flag)
    }

    fn salt(&self, node: &Node<'a>, report: &mut Report<'a>) -> Option<Box<str>> {
        let path = self.path.field("salt");
        let text = string(node, &path, report)?;
        if text.is_empty() {
            report.found(node, &path, "an empty salt", "leave it out to use the flag's key");
        } else if text.len() > MAX_TEXT_BYTES {
            let wrong = format!("a salt of {} bytes, more than {MAX_TEXT_BYTES}", text.len());
            report.found(node, &path, wrong, "shorten it");
        } else {
            return Some((**text).into());
        }
        None
    }

    fn followed(
        &self,
        own: Option<&Node<'a>>,
        plan: Option<&Node<'a>>,
        report: &mut Report<'a>,
    ) -> Option<Followed> {
        let refers = self.context.refers;
        let read_own = |node, report: &mut Report<'a>| {
            let path = self.path.field("stages");
            let (stages, idle) = stages::read(node, &path, refers, report)?;
            let plan = SharedPlan { name: None, stages, sections: Arc::clone(self.nothing) };
            Some(Followed { plan, idle })
        };
        match (own, plan) {
            (None, None) => self.staged(),
            (Some(node), None) => read_own(node, report),
            (None, Some(node)) => self.shared(node, report),
            (Some(node), Some(plan)) => {
                let path = self.path.field("plan");
                report.found(
                    plan,
                    &path,
                    "beside stages of the flag's own",
                    "keep either `plan` or `stages`",
                );
                read_own(node, report)
            }
        }
    }

    fn staged(&self) -> Option<Followed> {
        let plan = self.staged.get_or_init(|| staged::read(self.context.refers));
        Some(Followed { plan: plan.clone()?, idle: Vec::new() })
    }

    fn shared(&self, node: &Node<'a>, report: &mut Report<'a>) -> Option<Followed> {
        let path = self.path.field("plan");
        let name = string(node, &path, report)?;
        if name == staged::NAME {
            return self.staged();
        }
        let plans = self.context.plans;
        if let Some(plan) = plans.get(&**name) {
            return Some(Followed { plan: plan.clone()?, idle: Vec::new() });
        }
        let hint = one_of(name, std::iter::once(staged::NAME).chain(plans.keys().map(Key::as_str)));
        report.found(node, &path, "not a plan of this document", hint);
        None
    }

    fn hold_back(
        &self,
        node: &Node<'a>,
        stages: &[Stage],
        report: &mut Report<'a>,
    ) -> (Box<[HoldBack]>, Ends) {
        let path = self.path.field("hold_back");
        let mut holds = Vec::new();
        for entry in table(node, &path, report).unwrap_or_default() {
            let path = path.field(&entry.key);
            let group = self.context.refers.groups.find_key(entry, &path, report);
            let until = self.position(&entry.node, &path, stages, report);
            if until == Some(0) {
                let hint = "name the stage from which the group may have the flag";
                report.found(&entry.node, &path, "which holds nobody back", hint);
            } else if let (Some(group), Some(until)) = (group, until) {
                holds.push(HoldBack { group, until });
            }
        }
        let is_whole = node.len() == Some(holds.len());
        let ends = || Ends::at(holds.iter().map(|hold| hold.until));
        let ends = if is_whole { ends() } else { Ends::unknown() };
        (holds.into(), ends)
    }

    /// The position that a value names; a problem when the flag has no such stage.
    fn position(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        stages: &[Stage],
        report: &mut Report<'a>,
    ) -> Option<Position> {
        let name = string(node, path, report)?;
        let names = || std::iter::once(&StageName::OFF).chain(stages.iter().map(Stage::name));
        let position = names().zip(0..).find(|(stage, _)| **stage == **name);
        if position.is_none() {
            let hint = one_of(name, names().map(StageName::as_str));
            report.found(node, path, "not a stage of this flag", hint);
        }
        position.map(|(_, position)| position)
    }
}
