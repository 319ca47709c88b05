//! The JSON reader: `serde_json`, one level at a time as raw text.
//!
//! Raw text keeps the digits of numbers and the position of each value, and shows duplicate keys.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::plan::error::Excerpt;
use crate::plan::limits::MAX_DEPTH;
use crate::plan::node::{Entry, Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

pub(super) fn parse<'a>(text: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    let mut reader = Reader { text, report, is_valid: true };
    let raw = reader.decode::<&RawValue>(text)?;
    let root = reader.node(raw, 0)?;
    reader.is_valid.then_some(root)
}

struct Reader<'r, 'a> {
    text: &'a str,
    report: &'r mut Report<'a>,
    /// Whether no problem was found so far.
    is_valid: bool,
}

impl<'a> Reader<'_, 'a> {
    fn node(&mut self, raw: &'a RawValue, depth: usize) -> Option<Node<'a>> {
        let json = raw.get();
        let span = self.span(json);
        if depth > MAX_DEPTH {
            let message = format!("found more than {MAX_DEPTH} nested tables and arrays");
            return self.problem(span, message, "a plan needs at most six levels");
        }
        let value = match json.as_bytes().first() {
            Some(b'{') => Value::Table(self.entries(json, depth)?),
            Some(b'[') => {
                let items = self.decode::<Vec<&RawValue>>(json)?;
                Value::Array(
                    items.into_iter().filter_map(|item| self.node(item, depth + 1)).collect(),
                )
            }
            Some(b'"') => Value::Text(self.string(json)?),
            Some(b'-' | b'0'..=b'9') => Value::Number,
            _ => Value::Other,
        };
        Some(Node { span, value })
    }

    fn entries(&mut self, json: &'a str, depth: usize) -> Option<Vec<Entry<'a>>> {
        let RawObject(pairs) = self.decode::<RawObject<'a>>(json)?;
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(pairs.len());
        let mut index = KeyIndex::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key_span = self.span(key.get());
            let Some(key) = self.string(key.get()) else { continue };
            if let Some(first) = index.find(&key, &entries) {
                let line = self.report.location_of(&first.key_span).line;
                let message = format!(
                    "found \"{}\" a second time, the first is on line {line}",
                    Excerpt(&key)
                );
                self.problem::<()>(key_span, message, "keep one of the two");
                continue;
            }
            if let Some(node) = self.node(value, depth + 1) {
                index.insert(key.clone(), entries.len());
                entries.push(Entry { key, key_span, node });
            }
        }
        Some(entries)
    }

    /// Returns the text of a string literal, which includes its quotes.
    fn string(&mut self, json: &'a str) -> Option<Cow<'a, str>> {
        let plain = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match plain {
            Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
            _ => self.decode::<String>(json).map(Cow::Owned),
        }
    }

    /// Reads `json`, a part of the text. Reports a problem if it is not valid JSON.
    fn decode<T: Deserialize<'a>>(&mut self, json: &'a str) -> Option<T> {
        let error = match serde_json::from_str(json) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        // The error has a line and a column in bytes, both from 1 and relative to `json`.
        let line_start = json
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum::<usize>();
        let offset = (line_start + error.column().saturating_sub(1)).min(json.len());
        let at = self.span(json).start + offset;
        let end =
            at + self.text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        let text = error.to_string();
        let wrong = text.rsplit_once(" at line ").map_or(text.as_str(), |(wrong, _)| wrong);
        let found = self.report.slice(&(at..end));
        let place = if error.is_eof() || found.is_empty() {
            "the end of the document".to_owned()
        } else {
            format!("`{}`", Excerpt(found))
        };
        let message = format!("invalid JSON at {place}: {wrong}");
        self.problem(at..end, message, "fix the syntax here or just before")
    }

    fn problem<T>(&mut self, span: Range<usize>, message: String, hint: &str) -> Option<T> {
        self.is_valid = false;
        self.report.problem(span, &Path::root(), message, hint);
        None
    }

    /// Returns the bytes of the text that `part`, a slice of the text, is at.
    fn span(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        start..start + part.len()
    }
}

/// Finds the entry with a given key.
enum KeyIndex<'a> {
    /// For few entries, the common case: compares each key.
    Linear,
    /// Indexes of entries by key.
    Hashed(HashMap<Cow<'a, str>, usize>),
}

impl<'a> KeyIndex<'a> {
    fn with_capacity(entries: usize) -> KeyIndex<'a> {
        if entries <= 16 {
            KeyIndex::Linear
        } else {
            KeyIndex::Hashed(HashMap::with_capacity(entries))
        }
    }

    fn find<'e>(&self, key: &str, entries: &'e [Entry<'a>]) -> Option<&'e Entry<'a>> {
        match self {
            KeyIndex::Linear => entries.iter().find(|entry| entry.key == key),
            KeyIndex::Hashed(indexes) => entries.get(*indexes.get(key)?),
        }
    }

    fn insert(&mut self, key: Cow<'a, str>, index: usize) {
        if let KeyIndex::Hashed(indexes) = self {
            indexes.insert(key, index);
        }
    }
}

/// The pairs of an object in their order, including duplicate keys.
struct RawObject<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for RawObject<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawObjectVisitor(PhantomData))
    }
}

struct RawObjectVisitor<'a>(PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for RawObjectVisitor<'a> {
    type Value = RawObject<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'a>, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(RawObject(pairs))
    }
}
