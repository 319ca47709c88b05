//! TOML, by the parser of the `toml` crate, which keeps places and the text of numbers.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::plan::error::Excerpt;
use crate::plan::fields::Path;
use crate::plan::node::{Entry, Node, Value};
use crate::plan::report::Report;

pub(super) fn parse<'a>(text: &'a str, report: &mut Report<'a>) -> Option<Node<'a>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let span = table.span();
    let root = Node { span, value: Value::Table(entries(table.into_inner())) };
    if errors.is_empty() {
        return Some(root);
    }
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let found = report.slice(&span);
        if error.message() == "duplicate key" {
            let message = format!("found {} a second time", Excerpt(found));
            report.problem(span, &Path::root(), message, "keep one of the two");
            continue;
        }
        let found = if found.is_empty() { "the end" } else { found };
        let message =
            format!("found {}, which is no TOML: {}", Excerpt(found.trim_end()), error.message());
        report.problem(span, &Path::root(), message, "mend the syntax here, or just before");
    }
    // What could be recovered is not the document: problems of it might be of our own making.
    None
}

fn entries<'a>(table: DeTable<'a>) -> Vec<Entry<'a>> {
    let entry = |(key, value): (Spanned<_>, Spanned<DeValue<'a>>)| {
        let key_span = key.span();
        Entry { key: key.into_inner(), key_span, node: node(value) }
    };
    table.into_iter().map(entry).collect()
}

fn node<'a>(value: Spanned<DeValue<'a>>) -> Node<'a> {
    let span: Range<usize> = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => Value::Table(entries(table)),
        DeValue::Array(items) => Value::Array(items.into_iter().map(node).collect()),
        DeValue::String(text) => Value::Text(text),
        DeValue::Integer(_) | DeValue::Float(_) => Value::Number,
        DeValue::Boolean(_) | DeValue::Datetime(_) => Value::Other,
    };
    Node { span, value }
}
