//! Waiting for lines that other processes append.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::cursor::Cursor;
use super::segments;
use crate::background::Signal;
use crate::clock::monotonic;
use crate::rollout::{StoreError, Watcher};
use crate::store::{File, Files};

/// How often the size of the journal is read. That takes microseconds and works on every file system.
const INTERVAL: Duration = Duration::from_millis(20);

/// Reports lines that other processes append to a journal.
#[derive(Debug)]
pub(super) struct DirectoryWatcher {
    pub(super) directory: PathBuf,
    pub(super) files: Box<dyn Files>,
    /// The last segment that is known.
    pub(super) journal: Box<dyn File>,
    /// The lines that are already counted.
    pub(super) counted: Cursor,
}

impl Watcher for DirectoryWatcher {
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError> {
        let begun = monotonic();
        loop {
            if !self.count().map_err(|error| StoreError::io(error.to_string()))? {
                return Ok(false);
            }
            let left = time.saturating_sub(monotonic().saturating_sub(begun));
            if self.counted.lines > beyond || left.is_zero() {
                return Ok(self.counted.lines > beyond);
            }
            let _ = Signal::default().wait(left.min(INTERVAL));
        }
    }
}

impl DirectoryWatcher {
    /// Counts the new lines. Returns `false` if the segment was shortened. The next read says so.
    fn count(&mut self) -> io::Result<bool> {
        loop {
            let size = self.journal.size()?;
            if size < self.counted.offset {
                self.counted.offset = 0;
                return Ok(false);
            }
            self.counted.skip_to(&mut *self.journal, size)?;
            // While this segment has no line, the next one has no name.
            let next = self.counted.lines.checked_add(1).filter(|_| self.counted.offset > 0);
            let Some(next) = next else { return Ok(true) };
            match self.files.open_to_read(&segments::path_of(&self.directory, next)) {
                Ok(segment) => {
                    (self.journal, self.counted.offset) = (segment, 0);
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => return Ok(true),
            }
        }
    }
}
