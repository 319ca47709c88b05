//! `requires` of a flag: the flags that a user must have, too.

use std::sync::Arc;

use super::error::Excerpt;
use super::fields::{one_of, table};
use super::flags::PlannedFlag;
use super::limits::MAX_REQUIRED_FLAGS;
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::reach::reach;
use super::report::Report;
use crate::eval::{Prerequisite, StageDefinition, StageName};
use crate::key::Key;

/// Reads `requires` of every flag. `flags` is sorted by key, and lacks flags with a problem. `node` and `path` are those
/// of the table of flags.
pub(super) fn read<'a>(
    flags: &mut [PlannedFlag],
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let mut direct: Vec<Vec<Prerequisite>> = vec![Vec::new(); flags.len()];
    let mut has_any = false;
    let entries = table(node, path, report).unwrap_or_default();
    for entry in entries {
        let Some(required) = entry.node.field("requires") else { continue };
        let path = path.field(&entry.key);
        let path = path.field("requires");
        let mut found = Vec::new();
        let Value::Table(listed) = &required.value else {
            let hint =
                "write each flag with the stage it must have reached: { new-api = \"pilot\" }";
            report.found(required, &path, "not a table of flags", hint);
            continue;
        };
        for required in listed {
            found.extend(read_one(required, flags, (entries, &entry.key), &path, report));
        }
        has_any = true;
        if let Some(mine) = index_of(flags, &entry.key).and_then(|index| direct.get_mut(index)) {
            *mine = found;
        }
    }
    if has_any {
        resolve(flags, &direct, node, path, report);
        warn_of_unreached(flags, path, report);
    }
}

/// Warns of a flag that is on in the document, while a flag that it requires is below its stage.
fn warn_of_unreached(flags: &[PlannedFlag], path: &Path<'_>, report: &mut Report<'_>) {
    for flag in flags.iter().filter(|flag| flag.declared > 0) {
        let required = flag.definition.requires().iter();
        let missing = required.filter_map(|required| {
            let other = flags.get(index_of(flags, required.flag.as_str())?)?;
            let stage = other.definition.stage_name(other.declared)?;
            (other.declared < required.position).then_some((required, stage))
        });
        for (required, stage) in missing {
            let key = flag.definition.key.as_str();
            let name = required.flag.as_str();
            let message = format!(
                "found {}, but `{name}` is at \"{stage}\", so no user has `{key}`",
                report.slice(&flag.declared_at)
            );
            let hint = format!(
                "write `stage = \"off\"` here, or `stage = \"{}\"` for `{name}`",
                required.stage
            );
            let path = path.field(key);
            report.warning(flag.declared_at.clone(), &path.field("stage"), message, hint);
        }
    }
}

fn index_of(flags: &[PlannedFlag], key: &str) -> Option<usize> {
    flags.binary_search_by(|flag| flag.definition.key.as_str().cmp(key)).ok()
}

/// Reads an entry: the key of a flag, and the stage that this flag must have reached. `all`: the flags of the document,
/// and the key of the flag that requires.
fn read_one<'a>(
    entry: &Entry<'a>,
    flags: &[PlannedFlag],
    all: (&[Entry<'a>], &str),
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Prerequisite> {
    let path = path.field(&entry.key);
    let Some(flag) = index_of(flags, &entry.key).and_then(|index| flags.get(index)) else {
        // A flag with a problem is in the report.
        let (entries, own) = all;
        if entries.iter().all(|flag| flag.key != entry.key) {
            let names = entries.iter().map(|flag| &*flag.key).filter(|key| *key != own);
            let message = format!("found `{}`, not a flag of this document", Excerpt(&entry.key));
            let hint = one_of(&entry.key, names);
            report.problem(entry.key_span.clone(), &path, message, hint);
        }
        return None;
    };
    let stages = || flag.definition.stages.iter().map(StageDefinition::name);
    let stage = entry.node.text().unwrap_or_default();
    let found = stages().zip(1..).find(|(name, _)| ***name == *stage);
    let Some((name, position)) = found else {
        let hint = one_of(stage, stages().map(StageName::as_str));
        let wrong = match StageName::OFF == *stage {
            true => "which requires nothing".to_owned(),
            false => format!("not a stage of `{}`", entry.key),
        };
        report.found(&entry.node, &path, wrong, hint);
        return None;
    };
    Some(Prerequisite { flag: flag.definition.key.clone(), stage: *name, position })
}

/// Gives each flag its prerequisites, and those of its prerequisites.
fn resolve<'a>(
    flags: &mut [PlannedFlag],
    direct: &[Vec<Prerequisite>],
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let index = |required: &Prerequisite| index_of(flags, required.flag.as_str());
    let edges: Vec<Vec<usize>> =
        direct.iter().map(|required| required.iter().filter_map(index).collect()).collect();
    let reached = reach(&edges, MAX_REQUIRED_FLAGS);
    let keys: Vec<_> = flags.iter().map(|flag| flag.definition.key.clone()).collect();
    for ((mine, reached), flag) in reached.into_iter().enumerate().zip(flags) {
        let Some(requires) = direct.get(mine).filter(|requires| !requires.is_empty()) else {
            continue;
        };
        match reached {
            Ok(reached) => {
                let of = |index: &usize| direct.get(*index).into_iter().flatten();
                let all = requires.iter().chain(reached.iter().flat_map(of));
                // Only this function has seen the definition, so nothing shares it.
                let definition = Arc::get_mut(&mut flag.definition);
                if let Some(targeting) =
                    definition.and_then(|it| it.extras.as_mut()?.targeting.as_mut())
                {
                    targeting.all_required = highest_of_each(all);
                    targeting.requires = requires.as_slice().into();
                }
            }
            Err(endless) => {
                let name = |index: usize| keys.get(index).map_or("", Key::as_str);
                let key = flag.definition.key.as_str();
                let required = node.field(key).and_then(|flag| flag.field("requires"));
                let wrong = endless.explain(name, ("flag", "require"));
                if let Some((node, wrong)) = required.zip(wrong) {
                    report_endless(wrong, node, &path.field(key).field("requires"), report);
                }
            }
        }
    }
}

fn report_endless<'a>(
    (first, wrong, hint): (Option<&str>, String, String),
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let entries = table(node, path, report).unwrap_or_default();
    let is_first = |entry: &&Entry<'a>| first.is_none_or(|first| entry.key == *first);
    if let Some(entry) = entries.iter().find(is_first) {
        let message = format!("found `{}`, {wrong}", entry.key);
        report.problem(entry.key_span.clone(), &path.field(&entry.key), message, hint);
    }
}

/// Returns each required flag once, with the highest stage that is required.
fn highest_of_each<'r>(all: impl Iterator<Item = &'r Prerequisite>) -> Box<[Prerequisite]> {
    let mut all: Vec<Prerequisite> = all.cloned().collect();
    all.sort_by(|a, b| a.flag.cmp(&b.flag).then(b.position.cmp(&a.position)));
    all.dedup_by(|later, kept| later.flag == kept.flag);
    all.into()
}
