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
    for (index, error) in errors.into_iter().enumerate() {
        let span = error.span().unwrap_or(text.len()..text.len());
        let found = report.slice(&span);
        if error.message() == "duplicate key" {
            let first = if index < LOOK_UPS { first_of(&root, &span, text, report) } else { None };
            let first =
                first.map(|line| format!(", the first is on line {line}")).unwrap_or_default();
            let message = format!("found {} a second time{first}", Excerpt(found));
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

/// Doubled keys whose first place is looked for: each costs a walk over the document.
const LOOK_UPS: usize = 20;

/// The line of a doubled key's first place, where that is certain: the parser tells only the
/// second. A table's header stands there as the same text, any other key as the only one in the
/// tree.
fn first_of(
    root: &Node<'_>,
    again: &Range<usize>,
    text: &str,
    report: &Report<'_>,
) -> Option<usize> {
    let key = report.slice(again);
    let line = report.place(again).line;
    let header = text.lines().nth(line - 1).map(str::trim).filter(|line| line.starts_with('['));
    if let Some(header) = header {
        return text
            .lines()
            .take(line - 1)
            .position(|line| line.trim() == header)
            .map(|index| index + 1);
    }
    let mut starts = Vec::new();
    let mut unseen = vec![root];
    while let Some(node) = unseen.pop() {
        match &node.value {
            Value::Table(entries) => {
                let same = entries.iter().filter(|e| report.slice(&e.key_span) == key);
                starts.extend(same.map(|e| e.key_span.start).filter(|start| *start < again.start));
                unseen.extend(entries.iter().map(|entry| &entry.node));
            }
            Value::Array(items) => unseen.extend(items),
            Value::Text(_) | Value::Number | Value::Other => {}
        }
    }
    match starts[..] {
        [start] => Some(report.place(&(start..start)).line),
        _ => None,
    }
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
