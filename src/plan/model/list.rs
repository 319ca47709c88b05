//! Readers of lists.

use crate::plan::fields::{array, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::node::Node;
use crate::plan::path::Path;
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
