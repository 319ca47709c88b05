//! The pointer to the snapshot in force, for loom, which cannot look into arc-swap.

use std::sync::{Arc, Mutex};

use loom::sync::atomic::{AtomicUsize, Ordering};

use crate::eval::Snapshot;

/// An atomic pointer to a snapshot, with the orderings that arc-swap promises.
#[derive(Debug)]
pub(in crate::gate) struct Swap {
    /// The index of the snapshot in force.
    in_force: AtomicUsize,
    /// All snapshots that were ever put in force, or were to be. No thread holds this lock while loom runs another one.
    all: Mutex<Vec<Arc<Snapshot>>>,
}

/// A loaded snapshot. Boxed, so that it dereferences as arc-swap's does.
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

    pub(in crate::gate) fn replace(&self, current: &Loaded, next: &Arc<Snapshot>) -> bool {
        let (from, to) = {
            let mut all = self.all.lock().expect("no thread panics here");
            let from = all.iter().position(|snapshot| Arc::ptr_eq(snapshot, current));
            all.push(Arc::clone(next));
            (from.expect("it was loaded from here"), all.len() - 1)
        };
        self.in_force.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
