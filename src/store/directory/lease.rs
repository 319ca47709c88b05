//! The leader lease of a directory: a file that the leader keeps locked.

use std::time::Duration;

use crate::rollout::{LeaderLease, StoreError};
use crate::store::File;

/// The leader lease of a directory, which at most one process holds.
#[derive(Debug)]
pub(super) struct DirectoryLease {
    pub(super) file: Box<dyn File>,
    pub(super) holds: bool,
}

/// The term that a holder reports. The system releases the lock when the process ends, so it never runs out.
const TERM: Duration = Duration::from_secs(60);

impl LeaderLease for DirectoryLease {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        if !self.holds {
            let locked = self.file.try_lock();
            self.holds = locked.map_err(|error| StoreError::io(error.to_string()))?;
        }
        Ok(self.holds.then_some(TERM))
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.holds) {
            let _ = self.file.unlock();
        }
    }
}
