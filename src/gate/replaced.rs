//! Replaced snapshots, until they can be freed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::eval::Snapshot;

/// Snapshots that an update has replaced, kept until no reader has them.
///
/// So updates free memory, and checks never do. Freeing a document with a million listed users takes tens of
/// milliseconds. So an update that moves a flag frees only snapshots that share their definitions with the one in
/// force, and leaves all others to the next document.
#[derive(Default)]
pub(super) struct Replaced(Mutex<Vec<Arc<Snapshot>>>);

impl Replaced {
    /// Adds a snapshot that `next` has replaced, and frees what may be freed now.
    pub(super) fn add(&self, snapshot: Arc<Snapshot>, next: &Snapshot) {
        let is_new_document = snapshot.document() != next.document();
        // No code panics while it holds the lock, so the content of a poisoned lock is valid.
        let mut replaced = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.push(snapshot);
        // Only a reader who has a replaced snapshot can copy it. So once this is its only owner, it stays the only
        // owner.
        let (freed, kept) = std::mem::take(&mut *replaced).into_iter().partition(|snapshot| {
            let is_cheap = snapshot.document() == next.document();
            (is_new_document || is_cheap) && Arc::strong_count(snapshot) == 1
        });
        *replaced = kept;
        drop(replaced);
        drop::<Vec<_>>(freed);
    }
}

impl fmt::Debug for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replaced").finish_non_exhaustive()
    }
}
