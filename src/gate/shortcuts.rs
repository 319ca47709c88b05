//! The shortcuts of a gate's handles, kept in step with its snapshots.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::shortcut::Shortcut;
use crate::eval::{Quick, Slot, Snapshot};

/// The shortcuts of a gate. Whoever holds the lock may swap; questions never take it.
#[derive(Default)]
pub(super) struct Shortcuts(Mutex<Known>);

#[derive(Default)]
pub(super) struct Known {
    all: Vec<Entry>,
    /// How many make it worth while to look for those that no handle has any more.
    many: usize,
}

struct Entry {
    key: Arc<str>,
    slot: Slot,
    shortcut: Weak<Shortcut>,
}

/// Fewer are not worth the looking.
const FEW: usize = 64;

impl Shortcuts {
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        // A panic leaves shortcuts that ask the snapshot, at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// A new one, for the snapshot in force.
    pub(super) fn add(&mut self, key: &Arc<str>, snapshot: &Snapshot) -> Arc<Shortcut> {
        if self.all.len() >= self.many.max(FEW) {
            self.forget();
        }
        let slot = snapshot.slot(key);
        let shortcut = Arc::new(Shortcut::new(snapshot.at(slot).ok().flatten(), key));
        self.all.push(Entry { key: Arc::clone(key), slot, shortcut: Arc::downgrade(&shortcut) });
        shortcut
    }

    /// Has those that this snapshot will change ask, and returns how to set them once it is in force.
    pub(super) fn close(&mut self, next: &Snapshot) -> Vec<(Arc<Shortcut>, Quick)> {
        self.forget();
        let mut changed = Vec::new();
        for entry in &mut self.all {
            let Some(shortcut) = entry.shortcut.upgrade() else { continue };
            let flag = next.at(entry.slot).unwrap_or_else(|_| {
                entry.slot = next.slot(&entry.key);
                next.at(entry.slot).ok().flatten()
            });
            let quick = shortcut.of(flag);
            if !shortcut.is(quick) {
                shortcut.set(Quick::ASK);
                changed.push((shortcut, quick));
            }
        }
        changed
    }

    fn forget(&mut self) {
        self.all.retain(|entry| entry.shortcut.strong_count() > 0);
        self.many = self.all.len() * 2;
    }
}

/// After the swap.
pub(super) fn open(closed: Vec<(Arc<Shortcut>, Quick)>) {
    for (shortcut, quick) in closed {
        shortcut.set(quick);
    }
}

impl fmt::Debug for Shortcuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shortcuts").finish_non_exhaustive()
    }
}
