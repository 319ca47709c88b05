//! `[groups.NAME]`: users by key, by file and by attributes.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::document::Document;
use super::fields::{Fields, array, named, one_of, table, text};
use super::limits::{MAX_GROUPS, MAX_TEXT_BYTES};
use super::lint::list::LookAlikes;
use super::node::Node;
use super::path::Path;
use super::report::Report;
use super::users::{read_users, read_users_file};
use crate::eval::{AttributeRule, Group, UserSet};
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
        entry: &super::node::Entry<'_>,
        path: &Path<'_>,
        report: &mut Report<'_>,
    ) -> Option<Arc<Group>> {
        if let Some(group) = self.by_name.get(&*entry.key) {
            return group.clone();
        }
        let hint = one_of(&entry.key, self.by_name.keys().map(Key::as_str));
        let message =
            format!("found `{}`, not a group of this document", super::error::Excerpt(&entry.key));
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
    let mut groups = Groups::default();
    for (key, entry) in named(node, &path, MAX_GROUPS, report) {
        let read = read_group(&key, &entry.node, &path.field(&entry.key), document, report);
        let group = read.map(|(group, empty_at)| {
            let group = Arc::new(group);
            groups.empty_lists.extend(empty_at.map(|at| (Arc::clone(&group), at)));
            group
        });
        groups.by_name.insert(key, group);
    }
    groups
}

/// Reads a group. Also returns the span of its `users_file` if the file is empty and may not be.
fn read_group<'a>(
    name: &Key,
    node: &Node<'a>,
    path: &Path<'_>,
    document: &Document,
    report: &mut Report<'a>,
) -> Option<(Group, Option<Range<usize>>)> {
    let mut fields = Fields::open(node, path, report)?;
    let (listed, file, rules) =
        (fields.take("users"), fields.take("users_file"), fields.take("where"));
    let may_be_empty = fields.take("may_be_empty");
    fields.finish(report);
    let may_be_empty = read_may_be_empty(may_be_empty, file, &path.field("may_be_empty"), report);
    if listed.is_none() && file.is_none() && rules.is_none() {
        let hint = "write `users`, `users_file` or `where`";
        report.problem(node.span.clone(), path, "found a group without users".to_owned(), hint);
        return None;
    }
    let (mut users, mut look_alikes) = (UserSet::default(), LookAlikes::default());
    if let Some(node) = listed {
        read_users(node, &path.field("users"), &mut users, &mut look_alikes, report);
    }
    let by_file = file.and_then(|node| {
        let path = path.field("users_file");
        read_users_file(node, &path, document, &mut users, &mut look_alikes, report)
    });
    users.shrink();
    let rules = rules.map(|node| read_rules(node, &path.field("where"), report));
    let empty = file.filter(|_| by_file == Some(0) && !may_be_empty);
    if let Some(node) = empty {
        let name = report.slice(&node.span);
        let message = format!("found {}, a file that lists no users", super::error::Excerpt(name));
        let hint = "write `may_be_empty = true` beside it if that is meant";
        report.warning(node.span.clone(), &path.field("users_file"), message, hint);
    }
    let group = Group { name: name.clone(), users, rules: rules.unwrap_or_default(), by_file };
    Some((group, empty.map(|node| node.span.clone())))
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
    match report.slice(&node.span) {
        "true" => true,
        "false" => false,
        _ => {
            report.found(node, path, "neither true nor false", "write `true` or `false`");
            false
        }
    }
}

fn read_rules<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Box<[AttributeRule]> {
    let entries = table(node, path, report);
    if entries.is_some_and(<[_]>::is_empty) {
        report.found(
            node,
            path,
            "which matches nobody",
            "write at least one attribute: { region = [\"eu\"] }",
        );
    }
    let mut rules = Vec::new();
    for entry in entries.unwrap_or_default() {
        let path = path.field(&entry.key);
        if entry.key.trim().is_empty() || entry.key.len() > MAX_TEXT_BYTES {
            let message = format!("found an attribute name of {} bytes", entry.key.len());
            let hint = format!("write 1 to {MAX_TEXT_BYTES} bytes");
            report.problem(entry.key_span.clone(), &path, message, hint);
        }
        let hint = "write a list of values: [\"eu-west\", \"eu-north\"]";
        let Some(items) = array(&entry.node, &path, hint, report) else { continue };
        if items.is_empty() {
            report.found(&entry.node, &path, "which matches nobody", hint);
        }
        let values = items.iter().enumerate();
        let values = values.filter_map(|(index, item)| text(item, &path.index(index), report));
        let values = values.map(Box::from).collect();
        rules.push(AttributeRule { name: (*entry.key).into(), values });
    }
    rules.into()
}
