//! Reading the lines of a journal in chunks. A journal may be too large for memory.

use std::io;

use crate::rollout::MAX_LINE_BYTES;
use crate::store::File;

/// The size of one read.
pub(super) const CHUNK: u64 = 1 << 20;

/// A position in the journal, at the start of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The number of lines before it.
    pub(super) lines: u64,
    /// The number of bytes before it.
    pub(super) offset: u64,
}

impl Cursor {
    /// Returns the position before this line, at the beginning of a file.
    pub(super) fn before(line: u64) -> Cursor {
        Cursor { lines: line.saturating_sub(1), offset: 0 }
    }

    /// Reads the next lines before `end` and moves behind them. Returns no bytes at the end.
    ///
    /// A line that is too long for a record is returned without its end.
    pub(super) fn read_on(&mut self, file: &mut dyn File, end: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let from = self.offset + bytes.len() as u64;
            let more = file.read_at(from, CHUNK.min(end.saturating_sub(from)))?;
            let (is_end, is_first) = (more.is_empty(), bytes.is_empty());
            let whole = memchr::memrchr(b'\n', &more).map(|end| bytes.len() + end + 1);
            match is_first {
                true => bytes = more,
                false => bytes.extend(more),
            }
            if let Some(whole) = whole {
                bytes.truncate(whole);
            } else if is_end {
                bytes.clear();
            } else if bytes.len() <= MAX_LINE_BYTES {
                continue;
            }
            let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
            self.lines = self.lines.saturating_add(lines);
            self.offset += bytes.len() as u64;
            return Ok(bytes);
        }
    }

    /// Moves to the last whole line before `end`.
    pub(super) fn skip_to(&mut self, file: &mut dyn File, end: u64) -> io::Result<()> {
        while !self.read_on(file, end)?.is_empty() {}
        Ok(())
    }

    /// Reads as [`read_on`](Cursor::read_on) does, from this line on. The file begins with line `begin`.
    pub(super) fn read_from(
        &mut self,
        begin: u64,
        line: u64,
        file: &mut dyn File,
        end: u64,
    ) -> io::Result<Vec<u8>> {
        let before = line.max(begin).saturating_sub(1);
        if before < self.lines {
            *self = Cursor::before(begin);
        }
        loop {
            let skipped = usize::try_from(before - self.lines).unwrap_or(usize::MAX);
            let mut bytes = self.read_on(file, end)?;
            let is_line = bytes.ends_with(b"\n");
            if !is_line || before < self.lines {
                let end = memchr::memchr_iter(b'\n', &bytes).take(skipped).last();
                bytes.drain(..end.map_or(0, |end| end + 1));
                return Ok(bytes);
            }
        }
    }
}
