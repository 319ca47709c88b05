//! `[flags.NAME]`: the flags, with all they refer to resolved.

use std::ops::Range;
use std::sync::Arc;

use super::fields::{Fields, Path, named, one_of, string, table};
use super::groups::Groups;
use super::limits::{MAX_FLAGS, MAX_TEXT_BYTES};
use super::node::{Entry, Node};
use super::report::Report;
use super::stages::{self, Plans};
use crate::eval::{FlagDefinition, HoldBack, Position, Salt, Stage, StageName};
use crate::key::Key;

/// A flag of a plan and where the document puts it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedFlag {
    pub(crate) definition: Arc<FlagDefinition>,
    pub(crate) declared: Position,
    /// The bytes at which the document says `stage`.
    pub(crate) declared_at: Range<usize>,
}

/// What flags may refer to.
pub(super) struct Context<'c> {
    pub(super) groups: &'c Groups,
    pub(super) plans: &'c Plans,
}

/// The flags of a document in order of their keys; what is `None` or left out has been told.
pub(super) fn read<'a>(
    node: &Node<'a>,
    root: &Path<'_>,
    context: &Context<'_>,
    report: &mut Report<'a>,
) -> Option<Vec<PlannedFlag>> {
    let path = root.field("flags");
    if table(node, &path, report)?.is_empty() {
        let hint = "write at least one; to turn a flag off write `stage = \"off\"`";
        report.problem(node.span.clone(), &path, "found no flag".to_owned(), hint);
        return None;
    }
    let built_in = stages::built_in();
    let mut named = named(node, &path, MAX_FLAGS, report);
    named.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let mut flags = Vec::with_capacity(named.len());
    for (key, entry) in named {
        let path = path.field(&entry.key);
        flags.extend(FlagReader { key, entry, path, context, built_in: &built_in }.read(report));
    }
    Some(flags)
}

struct FlagReader<'r, 'a> {
    key: Key,
    entry: &'r Entry<'a>,
    path: Path<'r>,
    context: &'r Context<'r>,
    built_in: &'r Arc<[Stage]>,
}

impl<'a> FlagReader<'_, 'a> {
    fn read(self, report: &mut Report<'a>) -> Option<PlannedFlag> {
        let mut fields = Fields::open(&self.entry.node, &self.path, report)?;
        let (stage, own, plan) = (fields.take("stage"), fields.take("stages"), fields.take("plan"));
        let (salt, hold_back) = (fields.take("salt"), fields.take("hold_back"));
        let owner = fields.take_text("owner", report).map(Box::from);
        let description = fields.take_text("description", report).map(Box::from);
        let skip_reason = fields.take_text("skip_reason", report).map(Box::from);
        fields.finish(report);

        let salt = match salt {
            Some(node) => self.salt(node, report),
            None => Some(Salt::new(self.key.as_str())),
        };
        let stages = self.stages(own, plan, report)?;
        let hold_back =
            hold_back.map(|node| self.hold_back(node, &stages, report)).unwrap_or_default();
        let declared = match stage {
            Some(node) => self.position(node, &self.path.field("stage"), &stages, report),
            None => Some(0),
        };
        let declared_at = stage.map_or(&self.entry.key_span, |node| &node.span).clone();
        let salt = salt?;
        let definition = FlagDefinition {
            key: self.key,
            salt,
            owner,
            description,
            skip_reason,
            stages,
            hold_back,
        };
        Some(PlannedFlag { definition: Arc::new(definition), declared: declared?, declared_at })
    }

    fn salt(&self, node: &Node<'a>, report: &mut Report<'a>) -> Option<Salt> {
        let path = self.path.field("salt");
        let text = string(node, &path, report)?;
        if text.is_empty() {
            report.found(node, &path, "an empty salt", "leave it out to use the flag's key");
        } else if text.len() > MAX_TEXT_BYTES {
            let wrong = format!("a salt of {} bytes, more than {MAX_TEXT_BYTES}", text.len());
            report.found(node, &path, wrong, "shorten it");
        } else {
            return Some(Salt::new(text));
        }
        None
    }

    fn stages(
        &self,
        own: Option<&Node<'a>>,
        plan: Option<&Node<'a>>,
        report: &mut Report<'a>,
    ) -> Option<Arc<[Stage]>> {
        let read_own = |node, report: &mut Report<'a>| {
            stages::read(node, &self.path.field("stages"), self.context.groups, report)
        };
        match (own, plan) {
            (None, None) => Some(Arc::clone(self.built_in)),
            (Some(node), None) => read_own(node, report),
            (None, Some(node)) => self.shared_stages(node, report),
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

    fn shared_stages(&self, node: &Node<'a>, report: &mut Report<'a>) -> Option<Arc<[Stage]>> {
        let path = self.path.field("plan");
        let name = string(node, &path, report)?;
        let plans = self.context.plans;
        if let Some(stages) = plans.get(&**name) {
            return stages.clone();
        }
        let hint = one_of(name, plans.keys().map(Key::as_str));
        report.found(node, &path, "not a plan of this document", hint);
        None
    }

    fn hold_back(
        &self,
        node: &Node<'a>,
        stages: &Arc<[Stage]>,
        report: &mut Report<'a>,
    ) -> Box<[HoldBack]> {
        let path = self.path.field("hold_back");
        let mut holds = Vec::new();
        for entry in table(node, &path, report).unwrap_or_default() {
            let path = path.field(&entry.key);
            let group = self.context.groups.find_key(entry, &path, report);
            let until = self.position(&entry.node, &path, stages, report);
            if until == Some(0) {
                let hint = "name the stage from which the group may have the flag";
                report.found(&entry.node, &path, "which holds nobody back", hint);
            } else if let (Some(group), Some(until)) = (group, until) {
                holds.push(HoldBack { group, until });
            }
        }
        holds.into()
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
        let names =
            || std::iter::once(&StageName::OFF).chain(stages.iter().map(|stage| &stage.name));
        let position = names().zip(0..).find(|(stage, _)| **stage == **name);
        if position.is_none() {
            let hint = one_of(name, names().map(StageName::as_str));
            report.found(node, path, "not a stage of this flag", hint);
        }
        position.map(|(_, position)| position)
    }
}
