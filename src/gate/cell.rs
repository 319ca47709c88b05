//! The one place that swaps.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use crate::eval::Snapshot;

/// The snapshot in force.
#[derive(Debug)]
pub(super) struct Cell(ArcSwap<Snapshot>);

/// A snapshot that stays as it is while this lives, also across swaps.
pub(super) type Loaded = Guard<Arc<Snapshot>>;

impl Cell {
    pub(super) fn new(snapshot: Snapshot) -> Cell {
        Cell(ArcSwap::from_pointee(snapshot))
    }

    /// Lock-free, without touching a counter that other threads touch.
    #[inline]
    pub(super) fn load(&self) -> Loaded {
        self.0.load()
    }

    /// Puts in force what `next` makes of the snapshot in force, and returns both with what `next`
    /// had to say. When another thread was first, `next` is asked again with that thread's
    /// snapshot: no update is lost.
    pub(super) fn update<T, E>(
        &self,
        mut next: impl FnMut(&Snapshot) -> Result<(Snapshot, T), E>,
    ) -> Result<(u64, T), E> {
        let mut current = self.0.load();
        loop {
            let (snapshot, told) = next(&current)?;
            let version = snapshot.version();
            let before = self.0.compare_and_swap(&*current, Arc::new(snapshot));
            // The snapshot compared with is kept alive by `current`, so no other can have its address.
            if Arc::ptr_eq(&before, &current) {
                return Ok((version, told));
            }
            current = before;
        }
    }
}
