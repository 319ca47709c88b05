//! The place of the snapshot in force, and what each thread has seen of it, for loom, which cannot look into arc-swap.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use loom::sync::atomic::{AtomicUsize, Ordering};

use super::cell::PLACES;
use crate::eval::Snapshot;

loom::thread_local! {
    pub(in crate::gate) static SEEN: [RefCell<Option<Arc<Snapshot>>>; PLACES] =
        [const { RefCell::new(None) }; PLACES];
}

/// As arc-swap's, with the orderings that arc-swap promises.
#[derive(Debug)]
pub(in crate::gate) struct Swap {
    /// The index of the snapshot in force.
    in_force: AtomicUsize,
    /// All that were ever in force. This lock is never held while loom runs another thread.
    all: Mutex<Vec<Arc<Snapshot>>>,
}

/// A snapshot. Boxed, so that it dereferences as arc-swap's does.
pub(in crate::gate) type Loaded = Box<Arc<Snapshot>>;

impl Swap {
    pub(in crate::gate) fn new(snapshot: Snapshot) -> Swap {
        Swap { in_force: AtomicUsize::new(0), all: Mutex::new(vec![Arc::new(snapshot)]) }
    }

    pub(in crate::gate) fn load(&self) -> Loaded {
        let index = self.in_force.load(Ordering::Acquire);
        let all = self.all.lock().expect("no thread panics here");
        Box::new(Arc::clone(all.get(index).expect("it was stored before its index")))
    }

    pub(in crate::gate) fn store(&self, snapshot: Arc<Snapshot>) {
        let index = {
            let mut all = self.all.lock().expect("no thread panics here");
            all.push(snapshot);
            all.len() - 1
        };
        self.in_force.store(index, Ordering::Release);
    }
}
