//! Adding to a journal what is durable, and taking off what may not be.

use std::io;

use super::reading::Place;
use crate::store::File;

/// What has the directory for this process, until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(pub(super) Box<dyn File>);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where that fails, closing it will do, in a moment.
        let _ = self.0.unlock();
    }
}

/// A journal that this process writes.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) journal: Box<dyn File>,
    /// Held, not used.
    pub(super) _lock: Lock,
    /// The bytes of the lines that are durable.
    pub(super) len: u64,
    /// Their number, once somebody has read them.
    pub(super) lines: Option<u64>,
    /// Whether there may be something beyond `len`, left by a write that failed.
    pub(super) is_unsure: bool,
}

impl Writing {
    /// The number of the lines that are durable.
    pub(super) fn lines(&mut self, mut read: Place) -> io::Result<u64> {
        if let Some(lines) = self.lines {
            return Ok(lines);
        }
        while !read.read_on(&mut *self.journal, self.len)?.is_empty() {}
        self.lines = Some(read.lines);
        Ok(read.lines)
    }

    /// Whether the last line that is durable is this one. None but this process has written it.
    pub(super) fn ends_with(&mut self, line: &[u8]) -> io::Result<bool> {
        let len = line.len() as u64;
        let Some(before) = self.len.checked_sub(len + 1) else {
            return Ok(self.len == len && self.journal.read_at(0, len)? == line);
        };
        // With the line end before it.
        let last = self.journal.read_at(before, len + 1)?;
        Ok(last.strip_prefix(b"\n") == Some(line))
    }

    /// Writes a line after those that are durable. `is_there` says whether a file by the journal's name has the line at
    /// this place: where it was moved away or replaced, nobody who opens the store will find the line.
    pub(super) fn append(
        &mut self,
        line: &[u8],
        is_there: impl FnOnce(u64) -> io::Result<()>,
    ) -> io::Result<()> {
        self.settle()?;
        self.is_unsure = true;
        let len = self.len;
        if let Err(error) = self.write(line).and_then(|()| is_there(len)) {
            // Nobody was told of it, so nobody shall find it: as far as the disk still does anything.
            let _ = self.settle();
            return Err(error);
        }
        self.is_unsure = false;
        self.len += line.len() as u64;
        self.lines = self.lines.map(|lines| lines + 1);
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.journal.write_at(self.len, line)?;
        self.journal.sync()
    }

    /// Takes off what a write that failed may have left. After a failed sync nobody knows what is on
    /// the disk, and a second sync would lie.
    fn settle(&mut self) -> io::Result<()> {
        if self.is_unsure {
            self.journal.truncate(self.len)?;
            self.journal.sync()?;
            self.is_unsure = false;
        }
        Ok(())
    }
}

/// The last chance to take off what nobody was told of.
impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.settle();
    }
}
