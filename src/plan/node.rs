//! A document as a tree with places, whatever its notation.

use std::borrow::Cow;
use std::ops::Range;

/// A value and the bytes it stands at.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) span: Range<usize>,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Table(Vec<Entry<'a>>),
    Array(Vec<Node<'a>>),
    Text(Cow<'a, str>),
    /// Its text is the document's at the node's span, so no digit of it is lost.
    Number,
    /// A boolean, a date, a null: nothing that a plan has a use for.
    Other,
}

/// A key and its value; no two of a table have the same key.
#[derive(Debug)]
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

    /// The number of its entries or items; `None` of anything else.
    pub(super) fn len(&self) -> Option<usize> {
        match &self.value {
            Value::Table(entries) => Some(entries.len()),
            Value::Array(items) => Some(items.len()),
            Value::Text(_) | Value::Number | Value::Other => None,
        }
    }
}
