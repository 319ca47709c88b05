//! A document as a tree with places. TOML and JSON give the same tree.

use std::borrow::Cow;
use std::ops::Range;

/// A value, and the bytes of the document that contain it.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) span: Range<usize>,
    pub(super) value: Value<'a>,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Table(Vec<Entry<'a>>),
    Array(Vec<Node<'a>>),
    Text(Cow<'a, str>),
    /// A number. The node's span has its text, so no digit is lost.
    Number,
    /// A boolean, a date or a null.
    Other,
}

/// A key and its value. The keys of a table differ.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) key_span: Range<usize>,
    pub(super) node: Node<'a>,
}

impl<'a> Node<'a> {
    /// Returns the value of a field; `None` if this is no table or has no such field.
    pub(super) fn field(&self, name: &str) -> Option<&Node<'a>> {
        let Value::Table(entries) = &self.value else { return None };
        entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node)
    }

    /// Returns the text; `None` if this is no text.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items of an array; none if this is no array.
    pub(super) fn items(&self) -> &[Node<'a>] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self.value, Value::Number)
    }

    /// Returns the number of entries or items; `None` if this is neither a table nor an array.
    pub(super) fn len(&self) -> Option<usize> {
        match &self.value {
            Value::Table(entries) => Some(entries.len()),
            Value::Array(items) => Some(items.len()),
            Value::Text(_) | Value::Number | Value::Other => None,
        }
    }
}
