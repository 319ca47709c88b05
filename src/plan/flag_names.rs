//! The names of flags: their keys, and the further names of `asked_as`.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Range;

use super::error::Excerpt;
use super::fields::string;
use super::limits::{MAX_ASKED_AS, MAX_ASKED_AS_BYTES};
use super::node::{Entry, Node, Value};
use super::path::Path;
use super::report::Report;
use crate::key::Key;

/// The names of a document's flags. Each name belongs to one flag.
pub(super) struct FlagNames<'n, 'a> {
    /// Sorted by key.
    keys: &'n [(Key, &'n Entry<'a>)],
    /// Each further name, with the key of its flag and its place in the document.
    asked_as: BTreeMap<Box<str>, (Key, Range<usize>)>,
}

impl<'n, 'a> FlagNames<'n, 'a> {
    /// The names of flags with these keys, which are sorted.
    pub(super) fn of_keys(keys: &'n [(Key, &'n Entry<'a>)]) -> FlagNames<'n, 'a> {
        FlagNames { keys, asked_as: BTreeMap::new() }
    }

    /// Reads the `asked_as` of a flag: a name or a list of names. Reports names that another flag has.
    pub(super) fn read_asked_as(
        &mut self,
        key: &Key,
        node: &Node<'a>,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Box<[Box<str>]> {
        let Value::Array(items) = &node.value else {
            return self.read_name(key, node, path, report).into_iter().collect();
        };
        if items.len() > MAX_ASKED_AS {
            let wrong = format!("with {} names, more than {MAX_ASKED_AS}", items.len());
            report.found(node, path, wrong, "leave out the names that no check asks by");
            return Box::default();
        }
        let items = items.iter().enumerate();
        let read = |(index, item)| self.read_name(key, item, &path.index(index), report);
        items.filter_map(read).collect()
    }

    fn read_name(
        &mut self,
        key: &Key,
        node: &Node<'a>,
        path: &Path<'_>,
        report: &mut Report<'a>,
    ) -> Option<Box<str>> {
        if !matches!(node.value, Value::Text(_) | Value::Number) {
            let hint = "write the name in quotes: \"team/service/flag\"";
            report.found(node, path, "not a name", hint);
            return None;
        }
        let name: &str = string(node, path, report)?;
        let length = format!("write 1 to {MAX_ASKED_AS_BYTES} bytes");
        if name.is_empty() {
            report.found(node, path, "an empty name", length);
        } else if name.len() > MAX_ASKED_AS_BYTES {
            let wrong = format!("a name of {} bytes, more than {MAX_ASKED_AS_BYTES}", name.len());
            report.found(node, path, wrong, length);
        } else if let Some(character) = name.chars().find(|c| c.is_control()) {
            let wrong = format!("a name with `{}`", character.escape_debug());
            report.found(node, path, wrong, "leave out control characters");
        } else if name == key.as_str() {
            let hint = "leave it out: a flag always answers to its key";
            report.found(node, path, "the key of this flag", hint);
        } else if let Some(entry) = self.entry_of(name) {
            let line = report.location_of(&entry.key_span).line;
            let wrong = format!("the key of a flag on line {line}");
            report.found(node, path, wrong, "write a name that no other flag has");
        } else {
            match self.asked_as.entry(name.into()) {
                btree_map::Entry::Vacant(place) => {
                    place.insert((key.clone(), node.span.clone()));
                    return Some(name.into());
                }
                btree_map::Entry::Occupied(other) => {
                    let (other, span) = other.get();
                    let line = report.location_of(span).line;
                    let wrong = format!("also a name of flag `{}`, on line {line}", other.as_str());
                    report.found(node, path, wrong, "write a name that no other flag has");
                }
            }
        }
        None
    }

    fn entry_of(&self, key: &str) -> Option<&'n Entry<'a>> {
        let found = self.keys.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok()?;
        self.keys.get(found).map(|(_, entry)| *entry)
    }

    /// Warns about keys that differ only in upper and lower case.
    pub(super) fn warn_of_alike_keys(&self, path: &Path<'_>, report: &mut Report<'a>) {
        let has_capital = |key: &Key| key.as_str().bytes().any(|byte| byte.is_ascii_uppercase());
        if !self.keys.iter().any(|(key, _)| has_capital(key)) {
            return;
        }
        let mut by_position: Vec<_> = self.keys.iter().collect();
        by_position.sort_unstable_by_key(|(_, entry)| entry.key_span.start);
        let mut first: BTreeMap<String, &(Key, &Entry<'a>)> = BTreeMap::new();
        for this in by_position {
            let (key, entry) = this;
            let (other, before) = first.entry(key.as_str().to_ascii_lowercase()).or_insert(this);
            if other == key {
                continue;
            }
            let line = report.location_of(&before.key_span).line;
            let (key, other) = (Excerpt(key.as_str()), Excerpt(other.as_str()));
            let message =
                format!("found `{key}`, which differs only in case from `{other}` on line {line}");
            let hint = "rename one of them; `salt` and `asked_as` keep its users and its callers";
            report.warning(entry.key_span.clone(), &path.field(&entry.key), message, hint);
        }
    }
}
