//! Readers of lists, required texts and optional fields.

use crate::plan::fields::{Fields, Path, array, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::node::{Node, Value};
use crate::plan::report::Report;

/// Returns the items of a list; reports a list of more than [`MAX_ITEMS`] and returns none.
pub(super) fn read<'n, 'a>(
    node: &'n Node<'a>,
    path: &Path<'_>,
    hint: &str,
    report: &mut Report<'a>,
) -> &'n [Node<'a>] {
    let items = array(node, path, hint, report).unwrap_or_default();
    if items.len() > MAX_ITEMS {
        let message = format!("found {} entries, more than {MAX_ITEMS}", items.len());
        report.problem(node.span.clone(), path, message, "leave some out");
        return &[];
    }
    items
}

/// Returns the text of a required field; reports a missing field and an empty text. `hint` says what to write.
pub(super) fn required_text<'n, 'a>(
    fields: &Fields<'_, 'a>,
    name: &'static str,
    node: Option<&'n Node<'a>>,
    hint: &str,
    report: &mut Report<'a>,
) -> Option<&'n str> {
    let Some(node) = node else {
        fields.missing(name, hint, report);
        return None;
    };
    let path = fields.path().field(name);
    // `text` would suggest to leave the field out.
    if matches!(&node.value, Value::Text(text) if text.trim().is_empty()) {
        report.found(node, &path, "an empty text", hint);
        return None;
    }
    text(node, &path, report)
}

/// Reads a list of texts.
pub(super) fn texts<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Vec<Box<str>> {
    let items = read(node, path, "write a list of texts: [\"Watch the error log\"]", report);
    let read = |(index, item)| text(item, &path.index(index), report).map(Box::from);
    items.iter().enumerate().filter_map(read).collect()
}

/// Turns the result of an optional field inside out. `None`: the document has the field, and its value is wrong.
pub(super) fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
