//! Appending to a journal, and removing the leftovers of failed writes.

use std::io;

use super::cursor::Cursor;
use crate::store::File;

/// The lock that gives the directory to this process until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(pub(super) Box<dyn File>);

impl Drop for Lock {
    fn drop(&mut self) {
        // If this fails, closing the file releases the lock a moment later.
        let _ = self.0.unlock();
    }
}

/// A journal that this process writes.
#[derive(Debug)]
pub(super) struct JournalWriter {
    pub(super) journal: Box<dyn File>,
    /// Held until the writer is dropped.
    pub(super) _lock: Lock,
    /// The number of bytes of the durable lines.
    pub(super) len: u64,
    /// The number of durable lines. `None` until the journal was read.
    pub(super) lines: Option<u64>,
    /// Whether a failed write may have left bytes beyond `len`.
    pub(super) may_have_leftover: bool,
}

impl JournalWriter {
    /// Returns the number of durable lines.
    pub(super) fn lines(&mut self, mut cursor: Cursor) -> io::Result<u64> {
        if let Some(lines) = self.lines {
            return Ok(lines);
        }
        while !cursor.read_on(&mut *self.journal, self.len)?.is_empty() {}
        self.lines = Some(cursor.lines);
        Ok(cursor.lines)
    }

    /// Returns whether the last durable line is this one. Then this process wrote it.
    pub(super) fn ends_with(&mut self, line: &[u8]) -> io::Result<bool> {
        let len = line.len() as u64;
        let Some(before) = self.len.checked_sub(len + 1) else {
            return Ok(self.len == len && self.journal.read_at(0, len)? == line);
        };
        // Include the line end before it.
        let last = self.journal.read_at(before, len + 1)?;
        Ok(last.strip_prefix(b"\n") == Some(line))
    }

    /// Appends a line and syncs it.
    ///
    /// `is_there` opens the journal by its name and checks that the line is at this offset. If the file was moved or
    /// replaced, the next process that opens the store would not find the line.
    pub(super) fn append(
        &mut self,
        line: &[u8],
        is_there: impl FnOnce(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.remove_leftover()?;
        self.may_have_leftover = true;
        let len = self.len;
        if let Err(error) = self.write(line).and_then(|()| is_there(len)) {
            // The line was not acknowledged, so no reader may find it. Remove it if the disk still works.
            let _ = self.remove_leftover();
            return Err(error);
        }
        self.may_have_leftover = false;
        self.len += line.len() as u64;
        self.lines = self.lines.map(|lines| lines + 1);
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.journal.write_at(self.len, line)?;
        self.journal.sync()
    }

    /// Removes the bytes that a failed write may have left.
    ///
    /// After a failed sync, the content of the disk is unknown, and a second sync may succeed without writing the data.
    fn remove_leftover(&mut self) -> io::Result<()> {
        if self.may_have_leftover {
            self.journal.truncate(self.len)?;
            self.journal.sync()?;
            self.may_have_leftover = false;
        }
        Ok(())
    }
}

/// Tries once more to remove an unacknowledged line.
impl Drop for JournalWriter {
    fn drop(&mut self) {
        let _ = self.remove_leftover();
    }
}
