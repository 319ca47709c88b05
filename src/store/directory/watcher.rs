//! Waiting for lines that other processes append.

use std::time::Duration;

use super::cursor::Cursor;
use crate::background::Signal;
use crate::clock::monotonic;
use crate::rollout::{StoreError, Watcher};
use crate::store::File;

/// How often the size of the journal is read. That takes microseconds and works on every file system.
const INTERVAL: Duration = Duration::from_millis(20);

/// Reports lines that other processes append to a journal.
#[derive(Debug)]
pub(super) struct DirectoryWatcher {
    pub(super) journal: Box<dyn File>,
    /// The lines that are already counted.
    pub(super) counted: Cursor,
}

impl Watcher for DirectoryWatcher {
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError> {
        let begun = monotonic();
        loop {
            let size = self.journal.size().map_err(|error| StoreError::io(error.to_string()))?;
            if size < self.counted.offset {
                // The journal was shortened. The next read says so.
                self.counted = Cursor::default();
                return Ok(false);
            }
            self.counted
                .skip_to(&mut *self.journal, size)
                .map_err(|error| StoreError::io(error.to_string()))?;
            let left = time.saturating_sub(monotonic().saturating_sub(begun));
            if self.counted.lines > beyond || left.is_zero() {
                return Ok(self.counted.lines > beyond);
            }
            let _ = Signal::default().wait(left.min(INTERVAL));
        }
    }
}
