//! The pointer to the snapshot in force.

#![expect(clippy::disallowed_types, reason = "the only file that names `arc_swap`")]

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::eval::Snapshot;

/// An atomic pointer to a snapshot. `.ci/loom` replaces it by `model/swap.rs`.
#[derive(Debug)]
pub(super) struct Swap(ArcSwap<Snapshot>);

/// A loaded snapshot, kept in memory while this lives.
pub(super) type Loaded = Guard<Arc<Snapshot>>;

impl Swap {
    pub(super) fn new(snapshot: Snapshot) -> Swap {
        Swap(ArcSwap::from_pointee(snapshot))
    }

    #[inline]
    pub(super) fn load(&self) -> Loaded {
        self.0.load()
    }

    /// Puts `next` in force if `current` still is. Returns whether it was.
    pub(super) fn replace(&self, current: &Loaded, next: &Arc<Snapshot>) -> bool {
        let previous = self.0.compare_and_swap(current, Arc::clone(next));
        Arc::ptr_eq(&previous, current)
    }
}
