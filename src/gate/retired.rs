//! Snapshots that are no longer in force.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::eval::Snapshot;

/// Keeps what was replaced until no reader has it: so that memory is given back by updates, which
/// may take their time, and never by a question that happens to be the last of its version.
///
/// Holds the snapshots that readers still hold, and one more until the next update.
#[derive(Default)]
pub(super) struct Retired(Mutex<Vec<Arc<Snapshot>>>);

impl Retired {
    pub(super) fn add(&self, snapshot: Arc<Snapshot>) {
        // Nothing panics while the lock is held, so a poisoned one has sound content.
        let mut retired = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody can take a retired snapshot up again but from a reader who has it: once this is
        // the only owner, it stays so.
        let (kept, dropped) = std::mem::take(&mut *retired)
            .into_iter()
            .partition::<Vec<_>, _>(|snapshot| Arc::strong_count(snapshot) > 1);
        *retired = kept;
        retired.push(snapshot);
        drop(retired);
        drop(dropped);
    }
}

impl fmt::Debug for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retired").finish_non_exhaustive()
    }
}
