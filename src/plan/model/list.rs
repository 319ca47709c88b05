//! Lists, texts and optional fields of a plan's tables.

use crate::plan::fields::{Fields, Path, array, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::node::{Node, Value};
use crate::plan::report::Report;

/// The items of a list: at most [`MAX_ITEMS`], none where that is wrong.
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

/// A field that has to be there, with a text. `hint` says what to write.
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
    // What may be left out is told so; this may not.
    if matches!(&node.value, Value::Text(text) if text.trim().is_empty()) {
        report.found(node, &path, "an empty text", hint);
        return None;
    }
    text(node, &path, report)
}

/// A list of texts.
pub(super) fn texts<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Vec<Box<str>> {
    let items = read(node, path, "write a list of texts: [\"Watch the error log\"]", report);
    let read = |(index, item)| text(item, &path.index(index), report).map(Box::from);
    items.iter().enumerate().filter_map(read).collect()
}

/// An optional field that was read. `None`: the field is there, and its value is wrong.
pub(super) fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}
