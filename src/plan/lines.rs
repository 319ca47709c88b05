//! Line and column of a byte in a text.

use std::ops::Range;

use super::error::Location;

/// A text and the byte at which each line begins.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// Finds the lines of a text.
    pub(super) fn of(text: &'a [u8]) -> Lines<'a> {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Lines { text, starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    /// Returns the line and column, both from 1, at which a span begins.
    pub(super) fn location_of(&self, span: &Range<usize>) -> Location {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied();
        let before = self.text.get(start.unwrap_or(0)..span.start).unwrap_or_default();
        // Count characters: skip the continuation bytes of UTF-8.
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        Location { line, column, span: span.clone() }
    }
}
