//! From bytes of a text to line and column.

use std::ops::Range;

use super::error::Place;

/// A text, and where each line of it begins.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Lines<'a> {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Lines { text, starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied();
        let before = self.text.get(start.unwrap_or(0)..span.start).unwrap_or_default();
        // Bytes that continue a character are none of their own.
        let column = before.iter().filter(|byte| **byte & 0xc0 != 0x80).count() + 1;
        Place { line, column, span: span.clone() }
    }
}
