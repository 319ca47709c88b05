//! Readers of a table's fields. Every problem is reported, and no problem hides another.

use std::borrow::Cow;
use std::fmt;

use super::limits::MAX_TEXT_BYTES;
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;
use crate::key::{Key, KeyError};

/// A table whose fields are taken by name.
///
/// [`finish`](Fields::finish) reports each field that was not taken.
pub(super) struct Fields<'n, 'a> {
    node: &'n Node<'a>,
    entries: &'n [Entry<'a>],
    path: &'n Path<'n>,
    known: Vec<&'static str>,
}

impl<'n, 'a> Fields<'n, 'a> {
    /// Opens a table; reports any other value.
    pub(super) fn open(
        node: &'n Node<'a>,
        path: &'n Path<'n>,
        report: &mut Report<'a>,
    ) -> Option<Self> {
        let entries = table(node, path, report)?;
        Some(Fields { node, entries, path, known: Vec::with_capacity(16) })
    }

    pub(super) fn path(&self) -> &'n Path<'n> {
        self.path
    }

    /// Takes these fields, to be read after [`finish`](Fields::finish).
    pub(super) fn know(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    /// Returns the field's value, if the table has the field.
    pub(super) fn take(&mut self, name: &'static str) -> Option<&'n Node<'a>> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node)
    }

    /// Reads the field, if the table has it.
    pub(super) fn read<T>(
        &mut self,
        name: &'static str,
        report: &mut Report<'a>,
        read: impl FnOnce(&'n Node<'a>, &Path<'_>, &mut Report<'a>) -> T,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(read(node, &self.path.field(name), report))
    }

    /// Reads a field that the table may have. `None`: the table has the field, and its value is wrong.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        report: &mut Report<'a>,
        read: impl FnOnce(&'n Node<'a>, &Path<'_>, &mut Report<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.read(name, report, read) {
            None => Some(None),
            Some(read) => read.map(Some),
        }
    }

    /// Reads a field that the table must have. `hint` says what to write if it is missing.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        hint: impl fmt::Display,
        report: &mut Report<'a>,
        read: impl FnOnce(&'n Node<'a>, &Path<'_>, &mut Report<'a>) -> Option<T>,
    ) -> Option<T> {
        if self.take(name).is_none() {
            self.missing(name, hint, report);
        }
        self.read(name, report, read)?
    }

    /// Reads the text of a field that the table must have. `hint` says what to write if it is missing or empty.
    pub(super) fn required_text(
        &mut self,
        name: &'static str,
        hint: &str,
        report: &mut Report<'a>,
    ) -> Option<&'n str> {
        self.required(name, hint, report, |node, path, report| {
            // `text` would suggest to leave the field out.
            if matches!(&node.value, Value::Text(text) if text.trim().is_empty()) {
                report.found(node, path, "an empty text", hint);
                return None;
            }
            text(node, path, report)
        })
    }

    /// Returns the field's text; reports a blank text and one of more than `MAX_TEXT_BYTES`.
    pub(super) fn take_text(
        &mut self,
        name: &'static str,
        report: &mut Report<'a>,
    ) -> Option<&'n str> {
        let node = self.take(name)?;
        text(node, &self.path.field(name), report)
    }

    /// Reports that a required field is missing.
    pub(super) fn missing(
        &self,
        name: &'static str,
        hint: impl fmt::Display,
        report: &mut Report<'a>,
    ) {
        let message = format!("found no `{name}`");
        report.problem(self.node.span.start..self.node.span.start, self.path, message, hint);
    }

    /// Returns whether every field of the table was taken.
    pub(super) fn are_known(&self) -> bool {
        self.entries.iter().all(|entry| self.known.contains(&&*entry.key))
    }

    /// Reports each field that was not taken.
    pub(super) fn finish(&self, report: &mut Report<'a>) {
        for entry in self.entries {
            if !self.known.contains(&&*entry.key) && !report.count_if_full() {
                // List every name: the reader of the error may have no other documentation at hand.
                let known = self.known.iter().copied();
                // The table cannot have a field twice, so a field that it has is not meant.
                let is_free = |name: &&str| self.entries.iter().all(|entry| entry.key != *name);
                let near = nearest(&entry.key, known.clone().filter(is_free));
                let hint = hint_of(near, known, usize::MAX);
                let path = self.path.field(&entry.key);
                report.problem(entry.key_span.clone(), &path, "unknown field".to_owned(), hint);
            }
        }
    }
}

/// Returns the entries of a table whose keys are names: flags, groups or plans.
///
/// Reports and omits entries with a wrong key. Reports a table with more than `max` entries and returns no entry.
pub(super) fn named<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    max: usize,
    report: &mut Report<'a>,
) -> Vec<(Key, &'n Entry<'a>)> {
    let entries = table(node, path, report).unwrap_or_default();
    if entries.len() > max {
        let message = format!("found {} entries, more than {max}", entries.len());
        report.problem(node.span.clone(), path, message, "split the document");
        return Vec::new();
    }
    let mut named = Vec::with_capacity(entries.len());
    for entry in entries {
        match Key::parse(&entry.key) {
            Ok(key) => named.push((key, entry)),
            Err(error) => bad_key(entry, &path.field(&entry.key), &error, report),
        }
    }
    named
}

fn bad_key(entry: &Entry<'_>, path: &Path<'_>, error: &KeyError, report: &mut Report<'_>) {
    report.problem(entry.key_span.clone(), path, format!("found {error}"), error.hint());
}

/// Returns the entries of a table; reports any other value.
pub(super) fn table<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<&'n [Entry<'a>]> {
    match &node.value {
        Value::Table(entries) => Some(entries),
        _ => {
            report.found(node, path, "not a table", "write its fields by name");
            None
        }
    }
}

/// Returns the items of an array; reports any other value with this hint.
pub(super) fn array<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    hint: &str,
    report: &mut Report<'a>,
) -> Option<&'n [Node<'a>]> {
    match &node.value {
        Value::Array(items) => Some(items),
        _ => {
            report.found(node, path, "not an array", hint);
            None
        }
    }
}

/// Returns a text; reports a blank text, one of more than `MAX_TEXT_BYTES`, and any other value.
pub(super) fn text<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<&'n str> {
    let text = string(node, path, report)?;
    if text.trim().is_empty() {
        report.found(node, path, "an empty text", "write something or leave the field out");
    } else if text.len() > MAX_TEXT_BYTES {
        let wrong = format!("a text of {} bytes, more than {MAX_TEXT_BYTES}", text.len());
        report.found(node, path, wrong, "shorten it");
    } else {
        return Some(text);
    }
    None
}

/// Returns a text, which may be empty; reports any other value.
pub(super) fn string<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<&'n Cow<'a, str>> {
    match &node.value {
        Value::Text(text) => Some(text),
        Value::Number => {
            let hint = format!(
                "put it in quotes: \"{}\"",
                super::error::Excerpt(report.slice(&node.span))
            );
            report.found(node, path, "not a text", hint);
            None
        }
        _ => {
            report.found(node, path, "not a text", "write a text in quotes");
            None
        }
    }
}

/// Returns `true` or `false`; reports any other value.
pub(super) fn boolean<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<bool> {
    match report.slice(&node.span) {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            report.found(node, path, "neither true nor false", "write `true` or `false`");
            None
        }
    }
}

/// Returns a hint that lists names, with the nearest name first: "did you mean `pilot`? write one of: off, pilot".
pub(crate) fn one_of<'s>(found: &str, names: impl Iterator<Item = &'s str> + Clone) -> String {
    hint_of(nearest(found, names.clone()), names, LISTED_NAMES)
}

/// Returns the hint of [`one_of`] with this nearest name and at most `listed` names.
fn hint_of<'s>(near: Option<&str>, names: impl Iterator<Item = &'s str>, listed: usize) -> String {
    let did_you_mean = near.map(|name| format!("did you mean `{name}`? ")).unwrap_or_default();
    let (mut list, mut more) = (Vec::new(), 0);
    for name in names {
        if list.len() < listed { list.push(name) } else { more += 1 }
    }
    match (list.is_empty(), more) {
        (true, _) => format!("{did_you_mean}there is none to choose from"),
        (false, 0) => format!("{did_you_mean}write one of: {}", list.join(", ")),
        (false, more) => format!("{did_you_mean}write one of: {} and {more} more", list.join(", ")),
    }
}

/// The number of names that a hint lists.
const LISTED_NAMES: usize = 12;

/// Returns the name that was probably meant.
///
/// At most a third of its letters differ from `found`, or one of the two begins with the other.
pub(crate) fn nearest<'s>(found: &str, names: impl Iterator<Item = &'s str>) -> Option<&'s str> {
    if found.len() > crate::key::MAX_KEY_BYTES {
        return None;
    }
    let near = names.filter_map(|name| {
        let distance = strsim::osa_distance(found, name);
        let begins = found.len().min(name.len()) >= 3
            && (found.starts_with(name) || name.starts_with(found));
        (begins || distance <= name.len().max(3) / 3).then_some((distance, name))
    });
    near.min().map(|(_, name)| name)
}
