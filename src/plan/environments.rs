//! `[environments.NAME]`: values that an environment has in place of the document's.

use super::fields::{Fields, named, one_of, table};
use super::limits::MAX_ENVIRONMENTS;
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;
use crate::key::Key;

/// An environment, and the document with the values of the environment.
pub(super) struct Environment<'a> {
    pub(super) name: Key,
    pub(super) root: Node<'a>,
}

/// Removes `environments` from the root of a document.
pub(super) fn take<'a>(root: &mut Node<'a>) -> Option<Entry<'a>> {
    let Value::Table(entries) = &mut root.value else { return None };
    let index = entries.iter().position(|entry| entry.key == "environments")?;
    Some(entries.remove(index))
}

/// Lays each environment over the document. Reports values that no environment may have.
pub(super) fn read<'a>(
    entry: &Entry<'a>,
    base: &Node<'a>,
    report: &mut Report<'a>,
) -> Vec<Environment<'a>> {
    let root = Path::root();
    let path = root.field("environments");
    let mut environments = Vec::new();
    for (name, entry) in named(&entry.node, &path, MAX_ENVIRONMENTS, report) {
        let path = path.field(&entry.key);
        let mut root = base.clone();
        overlay(&mut root, &entry.node, &path, report);
        environments.push(Environment { name, root });
    }
    environments
}

/// Puts the values of an environment in the place of the document's.
fn overlay<'a>(root: &mut Node<'a>, node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) {
    let Some(mut fields) = Fields::open(node, path, report) else { return };
    let (flags, groups) = (fields.take("flags"), fields.take("groups"));
    let (channels, limits) = (fields.take("channels"), fields.take("limits"));
    let metrics = fields.take("metrics");
    fields.finish(report);
    if let Some((node, to)) = flags.zip(node_mut(root, "flags")) {
        overlay_flags(to, node, &path.field("flags"), report);
    }
    if let Some(node) = groups
        && let Some(to) = field_mut(root, node, "groups")
    {
        // Replaces groups whole. Otherwise a group would list the users of the document's `users_file`, too.
        merge(to, node, &path.field("groups"), report);
    }
    if let Some(node) = metrics
        && let Some(to) = field_mut(root, node, "metrics")
    {
        let path = path.field("metrics");
        for entry in table(node, &path, report).unwrap_or_default() {
            merge_entry(to, entry, &path, report);
        }
    }
    for (name, node) in [("channels", channels), ("limits", limits)] {
        if let Some(node) = node
            && let Some(to) = field_mut(root, node, name)
        {
            merge(to, node, &path.field(name), report);
        }
    }
}

fn overlay_flags<'a>(
    flags: &mut Node<'a>,
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let entries = table(node, path, report).unwrap_or_default();
    for entry in entries {
        if flags.field(&entry.key).is_none() {
            let names = match &flags.value {
                Value::Table(entries) => entries.as_slice(),
                _ => &[],
            };
            let is_free = |name: &&str| entries.iter().all(|given| given.key != *name);
            let names = names.iter().map(|entry| &*entry.key).filter(is_free);
            let hint = one_of(&entry.key, names);
            let message = format!(
                "found `{}`, not a flag of this document",
                super::error::Excerpt(&entry.key)
            );
            let path = path.field(&entry.key);
            report.problem(entry.key_span.clone(), &path, message, hint);
            continue;
        }
        // A flag has either stages or a plan, so either replaces both.
        let replaced = [("stages", "plan"), ("plan", "stages")];
        let replaced = replaced.into_iter().filter(|(given, _)| entry.node.field(given).is_some());
        if let Some(Node { value: Value::Table(fields), .. }) = node_mut(flags, &entry.key) {
            replaced.for_each(|(_, other)| fields.retain(|field| field.key != other));
        }
        merge_entry(flags, entry, path, report);
    }
}

/// Puts the fields of a table in place of the fields of the entry with its key.
fn merge_entry<'a>(to: &mut Node<'a>, entry: &Entry<'a>, path: &Path<'_>, report: &mut Report<'a>) {
    let Value::Table(entries) = &mut to.value else { return };
    match entries.iter_mut().find(|known| known.key == entry.key) {
        Some(known) => merge(&mut known.node, &entry.node, &path.field(&entry.key), report),
        None => entries.push(entry.clone()),
    }
}

/// Puts the fields of a table in place of the fields with the same names.
fn merge<'a>(to: &mut Node<'a>, from: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) {
    table(from, path, report).unwrap_or_default().iter().for_each(|entry| replace(to, entry));
}

fn replace<'a>(to: &mut Node<'a>, entry: &Entry<'a>) {
    let Value::Table(entries) = &mut to.value else { return };
    match entries.iter_mut().find(|known| known.key == entry.key) {
        Some(known) => *known = entry.clone(),
        None => entries.push(entry.clone()),
    }
}

/// Returns a table of the root, and adds an empty one if the root has none of this name.
fn field_mut<'n, 'a>(
    root: &'n mut Node<'a>,
    at: &Node<'a>,
    name: &'static str,
) -> Option<&'n mut Node<'a>> {
    let Value::Table(entries) = &mut root.value else { return None };
    if entries.iter().all(|entry| entry.key != name) {
        let node = Node { span: at.span.clone(), value: Value::Table(Vec::new()) };
        entries.push(Entry { key: name.into(), key_span: at.span.clone(), node });
    }
    node_mut(root, name)
}

fn node_mut<'n, 'a>(node: &'n mut Node<'a>, name: &str) -> Option<&'n mut Node<'a>> {
    let Value::Table(entries) = &mut node.value else { return None };
    entries.iter_mut().find(|entry| entry.key == name).map(|entry| &mut entry.node)
}
