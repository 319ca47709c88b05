//! `[groups.NAME]`: users by key, by file, by attributes and by other groups.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::conditions;
use super::document::Document;
use super::error::Excerpt;
use super::fields::{Fields, array, boolean, named, one_of, text};
use super::limits::{MAX_GROUPS, MAX_INCLUDED_GROUPS};
use super::lint::list::LookAlikes;
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::reach::{Endless, reach};
use super::report::Report;
use super::users::{read_users, read_users_file};
use crate::eval::{Condition, Group, UserSet};
use crate::key::Key;

/// The groups of a document.
#[derive(Default)]
pub(super) struct Groups {
    /// `None` for an invalid group, so that a stage that names it is not a second problem.
    by_name: BTreeMap<Key, Option<Arc<Group>>>,
    /// The groups with an empty `users_file` and without `may_be_empty`, each with the span of the file's name.
    pub(super) empty_lists: Vec<(Arc<Group>, Range<usize>)>,
}

impl Groups {
    /// Returns the group with this name. Reports a problem at `wrong_at` if the document has no such group.
    pub(super) fn find<'a>(
        &self,
        name: &str,
        wrong_at: &Node<'a>,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Option<Arc<Group>> {
        if let Some(group) = self.by_name.get(name) {
            return group.clone();
        }
        let names = self.by_name.keys().map(Key::as_str);
        report.found(wrong_at, path, "not a group of this document", one_of(name, names));
        None
    }

    /// Like [`find`](Groups::find), for a name that is a key of a table.
    pub(super) fn find_key(
        &self,
        entry: &Entry<'_>,
        path: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Option<Arc<Group>> {
        if let Some(group) = self.by_name.get(&*entry.key) {
            return group.clone();
        }
        let hint = one_of(&entry.key, self.by_name.keys().map(Key::as_str));
        let message = format!("found `{}`, not a group of this document", Excerpt(&entry.key));
        report.problem(entry.key_span.clone(), path, message, hint);
        None
    }
}

pub(super) fn read<'a>(
    node: Option<&Node<'a>>,
    root: &Path<'_>,
    document: &Document,
    report: &mut Report<'a>,
) -> Groups {
    let Some(node) = node else { return Groups::default() };
    let path = root.field("groups");
    let mut parsed = Vec::new();
    for (key, entry) in named(node, &path, MAX_GROUPS, report) {
        let group = read_group(&key, &entry.node, &path.field(&entry.key), document, report);
        parsed.push((key, group));
    }
    parsed.sort_by(|(a, _), (b, _)| a.cmp(b));
    include(parsed, &path, report)
}

/// A group without the groups that it includes.
struct ParsedGroup<'n, 'a> {
    group: Group,
    /// The items of `any` that name a group, each with its index.
    includes: Vec<(usize, &'n Node<'a>)>,
    /// The span of `users_file`, if the file is empty and may not be.
    empty_at: Option<Range<usize>>,
}

fn read_group<'n, 'a>(
    name: &Key,
    node: &'n Node<'a>,
    path: &Path<'_>,
    document: &Document,
    report: &mut Report<'a>,
) -> Option<ParsedGroup<'n, 'a>> {
    let mut fields = Fields::open(node, path, report)?;
    let (listed, file, all) =
        (fields.take("users"), fields.take("users_file"), fields.take("where"));
    let values_of = fields.take("values_of");
    fields.know(&["any"]);
    let any = node.field("any");
    let may_be_empty = fields.take("may_be_empty");
    fields.finish(report);
    let may_be_empty = read_may_be_empty(may_be_empty, file, &path.field("may_be_empty"), report);
    if [listed, file, all, any].iter().all(Option::is_none) {
        let hint = "write `users`, `users_file`, `where` or `any`";
        report.problem(node.span.clone(), path, "found a group without users".to_owned(), hint);
        return None;
    }
    let values_of = values_of.and_then(|node| {
        let path = path.field("values_of");
        if listed.is_none() && file.is_none() {
            let hint = "list values in `users` or `users_file`, or leave it out";
            report.found(node, &path, "but the group lists nothing", hint);
        }
        text(node, &path, report).map(Box::from)
    });
    let (mut users, mut look_alikes) = (UserSet::default(), LookAlikes::default());
    if let Some(node) = listed {
        read_users(node, &path.field("users"), &mut users, &mut look_alikes, report);
    }
    let by_file = file.and_then(|node| {
        let path = path.field("users_file");
        read_users_file(node, &path, document, &mut users, &mut look_alikes, report)
    });
    users.shrink();
    let mut alternatives = Vec::new();
    alternatives.extend(all.map(|node| conditions::read(node, &path.field("where"), report)));
    let mut includes = Vec::new();
    if let Some(node) = any {
        read_any(node, &path.field("any"), &mut alternatives, &mut includes, report);
    }
    let empty = file.filter(|_| by_file == Some(0) && !may_be_empty);
    if let Some(node) = empty {
        let name = report.slice(&node.span);
        let message = format!("found {}, a file that lists no users", Excerpt(name));
        let hint = "write `may_be_empty = true` beside it if that is meant";
        report.warning(node.span.clone(), &path.field("users_file"), message, hint);
    }
    // An alternative whose conditions are all wrong is in the report. It must not match every user.
    alternatives.retain(|conditions| !conditions.is_empty());
    let group = Group {
        name: name.clone(),
        users,
        values_of,
        alternatives: alternatives.into(),
        includes: Box::default(),
        by_file,
    };
    Some(ParsedGroup { group, includes, empty_at: empty.map(|node| node.span.clone()) })
}

/// Reads `any`: names of groups, and tables of conditions.
fn read_any<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    alternatives: &mut Vec<Box<[Condition]>>,
    includes: &mut Vec<(usize, &'n Node<'a>)>,
    report: &mut Report<'a>,
) {
    let hint = "write a list of groups and conditions: [\"team\", { region = [\"eu\"] }]";
    let items = array(node, path, hint, report).unwrap_or_default();
    if node.len() == Some(0) {
        report.found(node, path, "which matches nobody", hint);
    }
    for (index, item) in items.iter().enumerate() {
        match &item.value {
            Value::Text(_) => includes.push((index, item)),
            Value::Table(_) => {
                alternatives.push(conditions::read(item, &path.index(index), report));
            }
            _ => report.found(item, &path.index(index), "neither a group nor conditions", hint),
        }
    }
}

/// Resolves the groups that each group includes. `parsed` is sorted by name.
fn include<'a>(
    parsed: Vec<(Key, Option<ParsedGroup<'_, 'a>>)>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Groups {
    let names: Vec<Key> = parsed.iter().map(|(name, _)| name.clone()).collect();
    let mut edges = Vec::with_capacity(parsed.len());
    for (name, group) in &parsed {
        let path = path.field(name.as_str());
        let path = path.field("any");
        let items = group.iter().flat_map(|group| &group.includes);
        let find = |(index, item): &(usize, &Node<'a>)| {
            let other = item.text()?;
            let found = names.binary_search_by(|name| name.as_str().cmp(other)).ok();
            if found.is_none() {
                let others = names.iter().filter(|one| *one != name).map(Key::as_str);
                let hint = one_of(other, others);
                let path = path.index(*index);
                report.found(item, &path, "not a group of this document", hint);
            }
            found
        };
        edges.push(items.filter_map(find).collect::<Vec<usize>>());
    }
    let reached = reach(&edges, MAX_INCLUDED_GROUPS);
    let mut groups: Vec<_> = parsed.into_iter().zip(reached).enumerate().collect();
    // A group reaches more groups than each group that it includes.
    groups.sort_by_key(|(_, (_, reached))| reached.as_ref().map_or(0, Vec::len));
    let mut finished = Groups::default();
    for (_, ((name, parsed), reached)) in groups {
        let group = parsed.map(|ParsedGroup { mut group, includes, empty_at }| {
            let path = path.field(name.as_str());
            match reached {
                Ok(reached) => {
                    let included = reached.iter().filter_map(|index| names.get(*index));
                    let find = |name: &Key| finished.by_name.get(name).cloned().flatten();
                    group.includes = included.filter_map(find).collect();
                }
                Err(endless) => report_endless(&endless, &names, &includes, &path, report),
            }
            let group = Arc::new(group);
            finished.empty_lists.extend(empty_at.map(|at| (Arc::clone(&group), at)));
            group
        });
        finished.by_name.insert(name, group);
    }
    finished
}

fn report_endless<'a>(
    endless: &Endless,
    names: &[Key],
    items: &[(usize, &Node<'a>)],
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let path = path.field("any");
    let name = |index| names.get(index).map_or("", Key::as_str);
    let Some((first, wrong, hint)) = endless.explain(name, ("group", "include")) else { return };
    let is_first = |(_, item): &&(usize, &Node<'a>)| first.is_none() || item.text() == first;
    if let Some((index, item)) = items.iter().find(is_first) {
        report.found(item, &path.index(*index), wrong, hint);
    }
}

/// Reads `may_be_empty`. Reports a problem in a group without a `users_file`.
fn read_may_be_empty<'a>(
    node: Option<&Node<'a>>,
    file: Option<&Node<'a>>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> bool {
    let Some(node) = node else { return false };
    if file.is_none() {
        let hint = "leave it out: it is for groups with a `users_file`";
        report.found(node, path, "but the group has no `users_file`", hint);
        return false;
    }
    boolean(node, path, report).unwrap_or_default()
}
