//! Tests that compare this reader with the `toml` crate.
//!
//! Both must refuse the same texts, and return the same tree with every key and value at the same position.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
mod generated;
mod structure_errors;

use std::collections::BTreeMap;
use std::ops::Range;

use ::toml::de::{DeTable, DeValue};

use super::{Errors, MIN_CHUNK_TOKENS, read};
use crate::plan::node::{Entry, Node, Value};

/// The tree that the output of both readers is converted to. A number has no value: its span gives its text.
#[derive(Debug, PartialEq)]
struct Tree {
    span: Range<usize>,
    shape: Shape,
}

#[derive(Debug, PartialEq)]
enum Shape {
    Table(BTreeMap<String, (Range<usize>, Tree)>),
    Array(Vec<Tree>),
    Text(String),
    Number,
    Other,
}

fn ours(node: Node<'_>) -> Tree {
    let entry = |Entry { key, key_span, node }| (String::from(key), (key_span, ours(node)));
    let shape = match node.value {
        Value::Table(entries) => {
            let count = entries.len();
            let table: BTreeMap<_, _> = entries.into_iter().map(entry).collect();
            assert_eq!(table.len(), count, "duplicate key: {table:?}");
            Shape::Table(table)
        }
        Value::Array(items) => Shape::Array(items.into_iter().map(ours).collect()),
        Value::Text(text) => Shape::Text(text.into()),
        Value::Number => Shape::Number,
        Value::Other => Shape::Other,
    };
    Tree { span: node.span, shape }
}

fn theirs(span: Range<usize>, value: DeValue<'_>) -> Tree {
    let shape = match value {
        DeValue::Table(table) => Shape::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let tree = theirs(value.span(), value.into_inner());
                    (key.get_ref().to_string(), (key.span(), tree))
                })
                .collect(),
        ),
        DeValue::Array(items) => {
            Shape::Array(items.into_iter().map(|v| theirs(v.span(), v.into_inner())).collect())
        }
        DeValue::String(text) => Shape::Text(text.into()),
        DeValue::Integer(_) | DeValue::Float(_) => Shape::Number,
        DeValue::Boolean(_) | DeValue::Datetime(_) => Shape::Other,
    };
    Tree { span, shape }
}

/// Returns whether an error of the `toml` crate is about an existing key. This reader reports such an error in its own
/// words, and only once.
fn is_structure_error(message: &str) -> bool {
    message == "duplicate key" || message.starts_with("cannot extend value")
}

/// Reads the text with both readers. Returns whether it is valid TOML, or how the readers differ.
fn compare(text: &str) -> Result<bool, String> {
    let (table, their_errors) = DeTable::parse_recoverable(text);
    let theirs = theirs(table.span(), DeValue::Table(table.into_inner()));
    // With the usual chunks, and with the smallest possible chunks.
    for min_tokens in [MIN_CHUNK_TOKENS, 1] {
        match (read(text, min_tokens), their_errors.is_empty()) {
            (Ok(root), true) => {
                let ours = ours(root);
                if ours != theirs {
                    return Err(format!("{ours:#?}\nnot\n{theirs:#?}"));
                }
            }
            // If brackets do not match, a chunk may end while a bracket is open, so the errors differ.
            (Err(_), false) if min_tokens == 1 => {}
            (Err(errors), false) => compare_errors(&errors, &their_errors)?,
            (Ok(root), false) => {
                return Err(format!("{:#?}\nbut they have {their_errors:#?}", ours(root)));
            }
            (Err(errors), true) => return Err(format!("{errors:#?}\nbut they have none")),
        }
    }
    Ok(their_errors.is_empty())
}

fn compare_errors(ours: &Errors, theirs: &[::toml::de::Error]) -> Result<(), String> {
    let is_reported = |message: &str, span: Option<Range<usize>>| {
        ours.syntax.iter().any(|error| {
            message.starts_with(error.description())
                && error.unexpected().map(|at| at.start()..at.end()) == span
        })
    };
    match theirs
        .iter()
        .find(|e| !is_structure_error(e.message()) && !is_reported(e.message(), e.span()))
    {
        Some(error) => Err(format!("{error:#?}\nis not reported by\n{ours:#?}")),
        None => Ok(()),
    }
}
