//! Lists and tables for a terminal.

use std::fmt;

use comfy_table::{Table, TableComponent, presets};

use crate::escape::terminal;

/// Returns names in backticks, separated by commas: `` `a`, `b` ``.
pub(crate) fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    let quoted = names.into_iter().map(|name| format!("`{}`", terminal(name)));
    quoted.collect::<Vec<_>>().join(", ")
}

/// A table with a header. Each column is as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Rows(Table);

impl Rows {
    pub(crate) fn new(head: &[&str]) -> Rows {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(head);
        for line in [TableComponent::HeaderLines, TableComponent::MiddleHeaderIntersections] {
            table.set_style(line, '─');
        }
        // `set_header` has created the columns.
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Rows(table)
    }

    /// Adds a row. The texts must already be escaped.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells);
    }
}

/// Writes the table without trailing white space, and with a line end after the last row.
impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

/// Returns the line above a table: the flag, its description and its owner.
pub(crate) fn heading(flag: &str, description: Option<&str>, owner: Option<&str>) -> String {
    let description = description.map(|text| format!(": {}", terminal(text))).unwrap_or_default();
    let owner = owner.map(|name| format!(" (owner: {})", terminal(name))).unwrap_or_default();
    format!("{flag}{description}{owner}\n")
}
