//! The place of the snapshot in force, and what each thread has seen of it.

#![expect(clippy::disallowed_types, reason = "the only file that names `arc_swap`")]

use std::cell::RefCell;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::cell::PLACES;
use crate::eval::Snapshot;

thread_local! {
    /// The snapshots that this thread saw last, each in the place of its cell.
    pub(super) static SEEN: [RefCell<Option<Arc<Snapshot>>>; PLACES] =
        const { [const { RefCell::new(None) }; PLACES] };
}

/// A snapshot that readers take and updates replace, without a lock. `.ci/loom` replaces it by `model/swap.rs`.
#[derive(Debug)]
pub(super) struct Swap(ArcSwap<Snapshot>);

/// A snapshot that stays as it is while this lives, also across swaps.
pub(super) type Loaded = Guard<Arc<Snapshot>>;

impl Swap {
    pub(super) fn new(snapshot: Snapshot) -> Swap {
        Swap(ArcSwap::from_pointee(snapshot))
    }

    #[inline]
    pub(super) fn load(&self) -> Loaded {
        self.0.load()
    }

    #[inline]
    pub(super) fn store(&self, snapshot: Arc<Snapshot>) {
        self.0.store(snapshot);
    }
}
