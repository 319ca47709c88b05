//! `[flags.NAME]`: the flags, with every reference resolved.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, named, one_of, string, table};
use super::flag_names::FlagNames;
use super::limits::{MAX_FILTERED_USERS, MAX_FLAGS, MAX_TEXT_BYTES};
use super::lint::Subject;
use super::lint::idle_stage::{self, Ends, IdleStage, IdleStages};
use super::model::{FlagPlan, SECTIONS, Sections, Stages};
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;
use super::requires;
use super::staged;
use super::stages::{self, Plans, References, SharedPlan};
use crate::eval::{
    FlagDefinition, FlagExtras, Group, HoldBack, NEVER, Position, Salt, StageDefinition, StageName,
    Targeting,
};
use crate::key::Key;

/// A flag of a plan, as the document declares it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFlag {
    pub(crate) definition: Arc<FlagDefinition>,
    /// The position of the document's `stage`.
    pub(crate) declared: Position,
    /// The span of `stage` in the document; without `stage`, of the flag's key.
    pub(crate) declared_at: Range<usize>,
    /// The name of the plan it follows. `None` if it has stages of its own.
    pub(super) plan: Option<Arc<str>>,
    /// The text of `salt`. `None` if the document has none and the key is the salt.
    pub(super) salt: Option<Box<str>>,
    pub(super) stages: Stages,
    pub(super) sections: Arc<Sections>,
}

/// The parts of a document that a flag may refer to.
pub(super) struct FlagContext<'c> {
    pub(super) references: References<'c>,
    pub(super) plans: &'c Plans,
}

/// The plan that a flag follows.
struct FollowedPlan {
    plan: SharedPlan,
    /// The flag's own stages that let in no new user by percentage or group.
    idle: Vec<IdleStage>,
}

/// Reads the flags of a document, sorted by key. Invalid flags are left out and are in the report.
///
/// `idle`: the stages of shared plans that let in no new user, unless a flag has a `hold_back` that ends there.
pub(super) fn read<'a>(
    node: &Node<'a>,
    root: &Path<'_>,
    context: &FlagContext<'_>,
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
    let no_sections = Arc::default();
    let mut named = named(node, &path, MAX_FLAGS, report);
    named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut names = FlagNames::of_keys(&named);
    names.warn_of_alike_keys(&path, report);
    let mut flags = Vec::with_capacity(named.len());
    let mut room = MAX_FILTERED_USERS;
    for (key, entry) in &named {
        let path = path.field(&entry.key);
        flags.extend(
            FlagReader {
                key: key.clone(),
                entry,
                path,
                context,
                staged: &staged,
                no_sections: &no_sections,
                room: &mut room,
            }
            .read(&mut names, &mut idle, report),
        );
    }
    idle.check(root, report);
    requires::read(&mut flags, node, &path, report);
    Some(flags)
}

/// Reads one flag.
struct FlagReader<'r, 'a> {
    key: Key,
    entry: &'r Entry<'a>,
    path: Path<'r>,
    context: &'r FlagContext<'r>,
    /// The built-in plan, read for the first flag that follows it.
    staged: &'r OnceCell<Option<SharedPlan>>,
    /// Empty sections: the base for a flag that follows no plan.
    no_sections: &'r Arc<Sections>,
    /// How many listed users the filters of the remaining flags may have.
    room: &'r mut usize,
}

impl<'a> FlagReader<'_, 'a> {
    fn read(
        self,
        names: &mut FlagNames<'_, 'a>,
        idle: &mut IdleStages,
        report: &mut Report<'a>,
    ) -> Option<PlannedFlag> {
        let mut fields = Fields::open(&self.entry.node, &self.path, report)?;
        let (stage, own, plan) = (fields.take("stage"), fields.take("stages"), fields.take("plan"));
        let (salt, hold_back) = (fields.take("salt"), fields.take("hold_back"));
        let by = fields.take_text("by", report).map(Box::from);
        let only = fields.read("only", report, |node, path, report| self.only(node, path, report));
        let requires = fields.take("requires");
        let owner = fields.take_text("owner", report).map(Box::from);
        let description = fields.take_text("description", report).map(Box::from);
        let skip_reason = fields.take_text("skip_reason", report).map(Box::from);
        let asked_as = fields.read("asked_as", report, |node, path, report| {
            names.read_asked_as(&self.key, node, path, report)
        });
        let asked_as = asked_as.unwrap_or_default();
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
        let section_context = self.context.references.for_sections(&stages);
        let sections = Sections::read(&mut fields, section_context, &base, report);
        let declared_at = stage.map_or(&self.entry.key_span, |node| &node.span).clone();
        // A wrong salt or stage is reported. The lints look at the other fields all the same.
        let is_whole = declared.is_some() && salt != Some(None);
        let (declared, salt) = (declared.unwrap_or_default(), salt.flatten());
        let only = only.unwrap_or_default();
        let is_split_by_groups = compiled.iter().any(|stage| !stage.within.is_empty());
        let has_targeting =
            by.is_some() || !only.is_empty() || requires.is_some() || is_split_by_groups;
        let targeting = has_targeting.then(|| Targeting { unit: by, only, ..Targeting::default() });
        let has_extras = description.is_some()
            || skip_reason.is_some()
            || !asked_as.is_empty()
            || targeting.is_some();
        let extras = FlagExtras { description, skip_reason, asked_as, targeting };
        let definition = FlagDefinition {
            salt: Salt::new(salt.as_deref().unwrap_or(self.key.as_str())),
            key: self.key,
            owner,
            extras: has_extras.then(|| Box::new(extras)),
            stages: Arc::clone(compiled),
            hold_back,
            filter: None,
        };
        let definition = Arc::new(definition.with_filter(self.room));
        let flag = PlannedFlag { definition, declared, declared_at, plan, salt, stages, sections };
        let (entry, path) = (self.entry, &self.path);
        let (stages, sections) = (&flag.stages, &*flag.sections);
        let plan = Some(FlagPlan::new(&flag, &[]));
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

    /// Returns the plan that the flag follows: its own stages, a shared plan, or the built-in plan.
    fn followed(
        &self,
        own: Option<&Node<'a>>,
        plan: Option<&Node<'a>>,
        report: &mut Report<'a>,
    ) -> Option<FollowedPlan> {
        let references = self.context.references;
        let read_own = |node, report: &mut Report<'a>| {
            let path = self.path.field("stages");
            let (stages, idle) = stages::read(node, &path, references, report)?;
            let plan = SharedPlan { name: None, stages, sections: Arc::clone(self.no_sections) };
            Some(FollowedPlan { plan, idle })
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
                    "but the flag also has `stages` of its own",
                    "keep either `plan` or `stages`",
                );
                read_own(node, report)
            }
        }
    }

    fn staged(&self) -> Option<FollowedPlan> {
        let plan = self.staged.get_or_init(|| staged::read(self.context.references));
        Some(FollowedPlan { plan: plan.clone()?, idle: Vec::new() })
    }

    fn shared(&self, node: &Node<'a>, report: &mut Report<'a>) -> Option<FollowedPlan> {
        let path = self.path.field("plan");
        let name = string(node, &path, report)?;
        if name == stages::BUILT_IN_PLAN {
            return self.staged();
        }
        let plans = self.context.plans;
        if let Some(plan) = plans.get(&**name) {
            return Some(FollowedPlan { plan: plan.clone()?, idle: Vec::new() });
        }
        let hint = one_of(
            name,
            std::iter::once(stages::BUILT_IN_PLAN).chain(plans.keys().map(Key::as_str)),
        );
        report.found(node, &path, "not a plan of this document", hint);
        None
    }

    /// Reads `only`.
    fn only(&self, node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Box<[Arc<Group>]> {
        if node.len() == Some(0) {
            let hint = "name a group, or leave it out: every user may have the flag then";
            report.found(node, path, "no group", hint);
        }
        stages::read_groups(node, path, self.context.references.groups, report)
    }

    /// Reads `hold_back`. Also returns the positions at which the hold-backs end.
    fn hold_back(
        &self,
        node: &Node<'a>,
        stages: &[StageDefinition],
        report: &mut Report<'a>,
    ) -> (Box<[HoldBack]>, Ends) {
        let path = self.path.field("hold_back");
        let groups = self.context.references.groups;
        let mut holds = Vec::new();
        for entry in table(node, &path, report).unwrap_or_default() {
            let path = path.field(&entry.key);
            let group = groups.find_key(entry, &path, report);
            let (until, except) = match &entry.node.value {
                Value::Table(_) => {
                    let Some(mut fields) = Fields::open(&entry.node, &path, report) else {
                        continue;
                    };
                    let hint = "write a stage, or \"never\"";
                    let until = fields.required("until", hint, report, |node, path, report| {
                        self.until(node, path, stages, report)
                    });
                    let except = fields.read("except", report, |node, path, report| {
                        stages::read_groups(node, path, groups, report)
                    });
                    fields.finish(report);
                    (until, except.unwrap_or_default())
                }
                _ => (self.until(&entry.node, &path, stages, report), Box::default()),
            };
            if let (Some(group), Some(until)) = (group, until) {
                holds.push(HoldBack { group, until, except });
            }
        }
        let is_whole = node.len() == Some(holds.len());
        let ends = || Ends::at(holds.iter().map(|hold| hold.until));
        let ends = if is_whole { ends() } else { Ends::unknown() };
        (holds.into(), ends)
    }

    /// Reads the stage that ends a hold-back, or `never`.
    fn until(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        stages: &[StageDefinition],
        report: &mut Report<'a>,
    ) -> Option<Position> {
        let name = string(node, path, report)?;
        if *name == stages::NEVER {
            return Some(NEVER);
        }
        let position = position_in(stages, name).filter(|position| *position > 0);
        if position.is_none() {
            let names = stages.iter().map(|stage| stage.name().as_str());
            let wrong = match StageName::OFF == **name {
                true => "which holds nobody back",
                false => "not a stage of this flag",
            };
            report.found(node, path, wrong, one_of(name, names.chain([stages::NEVER])));
        }
        position
    }

    /// Returns the position of the stage that a value names. Reports a problem if the flag has no such stage.
    fn position(
        &self,
        node: &Node<'a>,
        path: &Path<'_>,
        stages: &[StageDefinition],
        report: &mut Report<'a>,
    ) -> Option<Position> {
        let name = string(node, path, report)?;
        let position = position_in(stages, name);
        if position.is_none() {
            let names = names_with_off(stages).map(StageName::as_str);
            report.found(node, path, "not a stage of this flag", one_of(name, names));
        }
        position
    }
}

fn names_with_off(stages: &[StageDefinition]) -> impl Iterator<Item = &StageName> + Clone {
    std::iter::once(&StageName::OFF).chain(stages.iter().map(StageDefinition::name))
}

/// Returns the position of a stage by its name; 0 for `off`.
fn position_in(stages: &[StageDefinition], name: &str) -> Option<Position> {
    names_with_off(stages)
        .zip(0..)
        .find(|(stage, _)| ***stage == *name)
        .map(|(_, position)| position)
}
