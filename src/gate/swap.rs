//! The pointer to the snapshot in force, and the thread-local copies.

#![expect(clippy::disallowed_types, reason = "the only file that names `arc_swap`")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::current::{Copied, GATES};
use crate::eval::Snapshot;

thread_local! {
    /// The snapshots that this thread used last, by the index of the gate.
    pub(super) static COPIES: [RefCell<Option<Rc<Copied>>>; GATES] =
        const { [const { RefCell::new(None) }; GATES] };
}

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
