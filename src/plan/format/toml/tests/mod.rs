//! Proves that a text is read here exactly as the `toml` crate reads it: the same texts refused, the
//! same tree, every key and value at the same place.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
mod made_up;
mod mistakes;

use std::collections::BTreeMap;
use std::ops::Range;

use ::toml::de::{DeTable, DeValue};

use super::{Errors, PIECE, read};
use crate::plan::node::{Entry, Node, Value};

/// A tree as both readers can be asked for it. Numbers are the text at their place.
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
            assert_eq!(table.len(), count, "a key stands twice: {table:?}");
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

/// What the `toml` crate finds wrong with keys that are there already, which is told in words of
/// our own and once a mistake.
fn is_mistake(message: &str) -> bool {
    message == "duplicate key" || message.starts_with("cannot extend value")
}

/// Reads the text both ways, and says whether it is TOML.
fn compare(text: &str) -> Result<bool, String> {
    let (table, their_errors) = DeTable::parse_recoverable(text);
    let theirs = theirs(table.span(), DeValue::Table(table.into_inner()));
    // As it is done, and with as many pieces as there can be.
    for piece in [PIECE, 1] {
        match (read(text, piece), their_errors.is_empty()) {
            (Ok(root), true) => {
                let ours = ours(root);
                if ours != theirs {
                    return Err(format!("{ours:#?}\nnot\n{theirs:#?}"));
                }
            }
            // Where brackets do not match, a piece ends where the parser would have read on.
            (Err(_), false) if piece == 1 => {}
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
    let told = |message: &str, span: Option<Range<usize>>| {
        ours.syntax.iter().any(|error| {
            message.starts_with(error.description())
                && error.unexpected().map(|at| at.start()..at.end()) == span
        })
    };
    match theirs.iter().find(|e| !is_mistake(e.message()) && !told(e.message(), e.span())) {
        Some(error) => Err(format!("{error:#?}\nis not told by\n{ours:#?}")),
        None => Ok(()),
    }
}
