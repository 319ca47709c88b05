//! Errors that TOML's grammar allows and its rules forbid: duplicate keys, fields of plain values, deep nesting.

use std::ops::Range;

use crate::plan::error::Excerpt;
use crate::plan::limits::MAX_DEPTH;
use crate::plan::node::{Entry, Value};
use crate::plan::report::Report;

/// A key or value that is not allowed in its place.
#[derive(Debug)]
pub(super) struct StructureError {
    pub(super) span: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The key exists already. `first` is the byte offset of its first definition.
    Duplicate {
        first: usize,
    },
    /// A key gets fields, but its value at the offset `first` is not a table that accepts them.
    NotATable {
        first: usize,
        what: &'static str,
    },
    TooDeep,
}

impl StructureError {
    pub(super) fn duplicate(span: Range<usize>, first: usize) -> StructureError {
        StructureError { span, kind: Kind::Duplicate { first } }
    }

    pub(super) fn not_a_table(span: Range<usize>, first: &Entry<'_>) -> StructureError {
        let what = match first.node.value {
            Value::Table(_) => "a table in braces",
            Value::Array(_) => "an array in brackets",
            Value::Text(_) | Value::Number | Value::Other => "a plain value",
        };
        StructureError { span, kind: Kind::NotATable { first: first.key_span.start, what } }
    }

    pub(super) fn too_deep(span: Range<usize>) -> StructureError {
        StructureError { span, kind: Kind::TooDeep }
    }

    /// Returns the message and the hint.
    pub(super) fn describe(&self, report: &Report<'_>) -> (String, &'static str) {
        let found = Excerpt(report.slice(&self.span));
        let line = |at: usize| report.location_of(&(at..at)).line;
        match self.kind {
            Kind::Duplicate { first } => {
                let line = line(first);
                let message = format!("found {found} a second time, the first is on line {line}");
                (message, "keep one of the two")
            }
            Kind::NotATable { first, what } => {
                let line = line(first);
                let message = format!("found {found} with fields, but it is {what} on line {line}");
                (message, "keep one of the two")
            }
            Kind::TooDeep => {
                let message = format!("found more than {MAX_DEPTH} nested tables and arrays");
                (message, "a plan needs at most six levels")
            }
        }
    }
}
