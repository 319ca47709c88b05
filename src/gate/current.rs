//! The snapshot in force: how checks read it and updates replace it.
//!
//! # Protocol
//!
//! Each snapshot has a token, a number that is unique in the process and grows with every update of a gate. `newest` is
//! the token of the newest snapshot that any thread may use:
//!
//! 1. A thread that replaces the snapshot, or loads a newer one, raises `newest` before it does anything else with the
//!    snapshot.
//! 2. A check compares a copy that it has at hand with `newest`. If the tokens are equal, the copy answers. Otherwise
//!    the check loads the snapshot, by rule 1, and replaces the copy.
//!
//! So no thread answers by an older version than one that it has seen, or was told of by a thread that has seen it.
//! Each thread keeps the snapshot that it used last (this file). Each handle keeps the threshold, the salt and the list
//! filter of its flag (`fast_path.rs`), and each gate keeps them by name (`by_name.rs`). An update does not look at
//! handles or threads. A new document copies the list filters by name, after it is in force.

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::by_name::ByName;
use super::replaced::Replaced;
use super::swap::{Loaded, Swap};
use super::sync::{AtomicU64, Ordering, thread_static};
use crate::eval::{AsUser, Snapshot};

/// The snapshot in force, and the thread-local copies of it.
///
/// A check writes nothing that another thread reads. The price: a thread that stops checking keeps its last snapshot
/// until it ends.
#[derive(Debug)]
pub(super) struct Current {
    swap: Swap,
    /// The token of the newest snapshot that any thread may use.
    newest: AtomicU64,
    /// The index of this gate in the thread-local copies.
    index: usize,
    by_name: ByName,
    replaced: Replaced,
}

/// Gates of which a thread keeps the snapshot. Of two gates with the same index, the one used last has the copy, and
/// the next check of the other one loads its snapshot.
const GATES: usize = 4;

thread_static! {
    /// The snapshots that this thread used last, by the index of the gate.
    static COPIES: [RefCell<Option<Rc<Copied>>>; GATES] =
        const { [const { RefCell::new(None) }; GATES] };
}

/// A thread's copy of the snapshot in force.
struct Copied {
    token: u64,
    snapshot: Arc<Snapshot>,
}

/// A thread's copy, while a check uses it. Its count is not shared with other threads.
pub(super) struct CopyInUse(Rc<Copied>);

impl Deref for CopyInUse {
    type Target = Snapshot;

    #[inline(always)]
    fn deref(&self) -> &Snapshot {
        &self.0.snapshot
    }
}

impl Current {
    pub(super) fn new(snapshot: Snapshot) -> Current {
        // Relaxed: only the spread of the numbers matters.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let current = Current {
            newest: AtomicU64::new(snapshot.token()),
            index: NEXT.fetch_add(1, Ordering::Relaxed) % GATES,
            by_name: ByName::default(),
            swap: Swap::new(snapshot),
            replaced: Replaced::default(),
        };
        let snapshot = current.load();
        current.by_name.reserve(&snapshot);
        current.by_name.renew_rules(&snapshot);
        drop(snapshot);
        current
    }

    /// Returns whether the user has the flag of this name; `None` if the snapshot must answer.
    #[inline(always)]
    pub(super) fn is_enabled(&self, user: &impl AsUser, flag: &str) -> Option<bool> {
        self.by_name.is_enabled(self.newest(), user, flag)
    }

    /// Lets the snapshot answer, and renews the fast path of the name.
    pub(super) fn is_enabled_by_snapshot(&self, user: &impl AsUser, flag: &str) -> bool {
        let snapshot = self.get();
        let name = flag;
        let Some(flag) = snapshot.flag(name) else { return false };
        self.by_name.renew(&snapshot, name, flag);
        flag.is_enabled(user, &snapshot)
    }

    /// Returns the token that a copy must have to answer.
    #[inline(always)]
    pub(super) fn newest(&self) -> u64 {
        // Acquire: pairs with the release in `note`. The reader of this token finds this snapshot, or a later one, in
        // `swap`.
        self.newest.load(Ordering::Acquire)
    }

    /// Returns the snapshot in force, from the thread's copy where that is the newest.
    #[inline(always)]
    pub(super) fn get(&self) -> CopyInUse {
        // A thread that is ending has no copies any more.
        let copy = COPIES.try_with(|copies| {
            let copy = copies[self.index % GATES].try_borrow().ok()?;
            // Another token means another version, another gate, or the thread's first check.
            copy.as_ref().filter(|copy| copy.token == self.newest()).cloned()
        });
        match copy {
            Ok(Some(copy)) => CopyInUse(copy),
            _ => self.renew_copy(),
        }
    }

    /// Loads the snapshot in force and keeps a copy for the thread. Allocates for the thread's first copy, and where a
    /// user type makes a check within another one.
    #[cold]
    #[inline(never)]
    fn renew_copy(&self) -> CopyInUse {
        let snapshot = Arc::clone(&self.load());
        let mut copied = Copied { token: snapshot.token(), snapshot };
        let reused = COPIES.try_with(|copies| {
            let mut copy = copies[self.index % GATES].try_borrow_mut().ok()?;
            let copy = copy.as_mut()?;
            std::mem::swap(Rc::get_mut(copy)?, &mut copied);
            Some(Rc::clone(copy))
        });
        if let Ok(Some(copy)) = reused {
            return CopyInUse(copy);
        }
        let copy = Rc::new(copied);
        let _ = COPIES.try_with(|copies| {
            *copies[self.index % GATES].try_borrow_mut().ok()? = Some(Rc::clone(&copy));
            Some(())
        });
        CopyInUse(copy)
    }

    /// Loads the snapshot in force, without a lock or a counter that threads share.
    pub(super) fn load(&self) -> Loaded {
        let loaded = self.swap.load();
        self.note(&loaded);
        loaded
    }

    /// Puts in force what `next` makes of the snapshot in force. Returns its version and the report of `next`.
    ///
    /// If another thread was first, `next` runs again on that thread's snapshot, so no update is lost.
    pub(super) fn update<T, E>(
        &self,
        mut next: impl FnMut(&Snapshot) -> Result<(Snapshot, T), E>,
    ) -> Result<(u64, T), E> {
        loop {
            let current = self.load();
            let (snapshot, report) = next(&current)?;
            let snapshot = Arc::new(snapshot);
            if self.swap.replace(&current, &snapshot) {
                self.by_name.reserve(&snapshot);
                self.note(&snapshot);
                if snapshot.document() != current.document() {
                    self.by_name.renew_rules(&snapshot);
                }
                let replaced = Arc::clone(&current);
                drop(current);
                self.replaced.add(replaced, &snapshot);
                return Ok((snapshot.version(), report));
            }
        }
    }

    /// Makes every thread use this snapshot or a newer one from now on.
    #[inline]
    fn note(&self, snapshot: &Snapshot) {
        let token = snapshot.token();
        // Acquire: a thread that finds the token noted may rely on what was written before.
        if self.newest.load(Ordering::Acquire) < token {
            // Release: pairs with the acquire in `newest`.
            self.newest.fetch_max(token, Ordering::AcqRel);
        }
    }
}
