//! What the grammar allows and TOML does not.

use std::ops::Range;

use crate::plan::error::Excerpt;
use crate::plan::limits::MAX_DEPTH;
use crate::plan::node::{Entry, Value};
use crate::plan::report::Report;

/// A key or value that cannot stand where it does.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) span: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// The key stands already, there.
    Twice {
        first: usize,
    },
    /// Something is added to what stands there and is no table that can be added to.
    NoTable {
        first: usize,
        what: &'static str,
    },
    TooDeep,
}

impl Mistake {
    pub(super) fn twice(span: Range<usize>, first: usize) -> Mistake {
        Mistake { span, kind: Kind::Twice { first } }
    }

    pub(super) fn no_table(span: Range<usize>, first: &Entry<'_>) -> Mistake {
        let what = match first.node.value {
            Value::Table(_) => "a table in braces",
            Value::Array(_) => "an array in brackets",
            Value::Text(_) | Value::Number | Value::Other => "a plain value",
        };
        Mistake { span, kind: Kind::NoTable { first: first.key_span.start, what } }
    }

    pub(super) fn too_deep(span: Range<usize>) -> Mistake {
        Mistake { span, kind: Kind::TooDeep }
    }

    /// What was found, and what to do about it.
    pub(super) fn describe(&self, report: &Report<'_>) -> (String, &'static str) {
        let found = Excerpt(report.slice(&self.span));
        let line = |at: usize| report.place(&(at..at)).line;
        match self.kind {
            Kind::Twice { first } => {
                let line = line(first);
                let message = format!("found {found} a second time, the first is on line {line}");
                (message, "keep one of the two")
            }
            Kind::NoTable { first, what } => {
                let line = line(first);
                let message = format!("found {found} with fields, it is {what} on line {line}");
                (message, "keep one of the two")
            }
            Kind::TooDeep => {
                let message =
                    format!("found more than {MAX_DEPTH} tables and arrays inside one another");
                (message, "a plan needs no more than six")
            }
        }
    }
}
