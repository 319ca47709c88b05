//! Lists and tables for a terminal.

use std::fmt;

use comfy_table::{Table, TableComponent, presets};

use crate::escape::terminal;

/// Several of something by name: `` `a`, `b` ``.
pub(crate) fn quoted<'t>(names: impl IntoIterator<Item = &'t str>) -> String {
    let quoted = names.into_iter().map(|name| format!("`{}`", terminal(name)));
    quoted.collect::<Vec<_>>().join(", ")
}

/// Rows below a head, a column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Rows(Table);

impl Rows {
    pub(crate) fn new(head: &[&str]) -> Rows {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(head);
        for line in [TableComponent::HeaderLines, TableComponent::MiddleHeaderIntersections] {
            table.set_style(line, '─');
        }
        // The header has made the columns.
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        Rows(table)
    }

    /// A row of texts that are already escaped.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells);
    }
}

/// The table with its last line end, without white space at the ends of lines.
impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lines().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

/// What stands above: the flag, what it is and whose.
pub(crate) fn heading(flag: &str, description: Option<&str>, owner: Option<&str>) -> String {
    let description = description.map(|text| format!(": {}", terminal(text))).unwrap_or_default();
    let owner = owner.map(|name| format!(" (owner: {})", terminal(name))).unwrap_or_default();
    format!("{flag}{description}{owner}\n")
}
