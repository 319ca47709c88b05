//! The one place that swaps.

use std::cell::RefCell;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};

use super::by_name::ByName;
use super::retired::Retired;
use super::shortcut::InForce;
use super::shortcuts::{Resolved, Shortcuts};
use super::swap::{Loaded, SEEN, Swap};
use super::sync::{AtomicU64, Ordering};
use crate::eval::{AsUser, Snapshot, Stage, Unlisted};

/// The snapshot in force.
///
/// Each thread keeps the snapshot it saw last, and a question asks only whether that one is still
/// in force: one load of a word that only updates write. So readers share nothing that any of them
/// writes, at the price that a thread which asks no more keeps its last snapshot until it ends.
#[derive(Debug)]
pub(super) struct Cell {
    swap: Swap,
    /// The token of the newest snapshot that anybody has taken out of `swap` or put into it.
    ///
    /// Raised by whoever sees a newer one, before they use it: so no thread, nor any that it tells,
    /// is answered by an older version afterwards.
    newest: AtomicU64,
    /// Which of a thread's places is this cell's.
    place: usize,
    shortcuts: Shortcuts,
    pub(super) in_force: InForce,
    /// Empty until there is a flag.
    by_name: OnceLock<ByName>,
    retired: Retired,
}

/// Gates that a thread remembers at once. Of two gates that share a place, the one asked last has
/// it, and the next question to the other takes the longer way.
pub(super) const PLACES: usize = 4;

impl Cell {
    pub(super) fn new(snapshot: Snapshot) -> Cell {
        // Relaxed: any spread over the places will do.
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let in_force = InForce::new(snapshot.version());
        Cell {
            by_name: ByName::new(&snapshot).map(OnceLock::from).unwrap_or_default(),
            newest: AtomicU64::new(snapshot.token()),
            swap: Swap::new(snapshot),
            place: NEXT.fetch_add(1, Ordering::Relaxed) % PLACES,
            shortcuts: Shortcuts::default(),
            in_force,
            retired: Retired::default(),
        }
    }

    /// What `ask` says of the snapshot in force.
    #[inline]
    pub(super) fn read<T>(&self, ask: impl Fn(&Snapshot) -> T) -> T {
        let answer = SEEN.try_with(|seen| {
            if let Some(Ok(seen)) = seen.get(self.place).map(RefCell::try_borrow) {
                // Acquire: pairs with the release in `note`. A token that is not the newest's means
                // another version, another gate, or a thread that has not asked yet.
                let newest = self.newest.load(Ordering::Acquire);
                if let Some(snapshot) = seen.as_ref().filter(|seen| seen.token() == newest) {
                    return ask(snapshot);
                }
            }
            self.read_anew(&ask)
        });
        // A thread that is ending has no snapshot any more.
        answer.unwrap_or_else(|_| ask(&self.load()))
    }

    /// The same for a thread that has not seen the snapshot in force yet; also where a user type
    /// asks another question from within its own `AsUser`.
    #[cold]
    fn read_anew<T>(&self, ask: &impl Fn(&Snapshot) -> T) -> T {
        let loaded = self.load();
        let _ = SEEN.try_with(|seen| {
            let place = seen.get(self.place)?;
            *place.try_borrow_mut().ok()? = Some(Arc::clone(&loaded));
            Some(())
        });
        ask(&loaded)
    }

    /// Whether the user has the flag of this name, if no snapshot is to be asked for it.
    #[inline(always)]
    pub(super) fn is_enabled(&self, user: &impl AsUser, flag: &str) -> Option<bool> {
        self.by_name.get()?.is_enabled(user, flag)
    }

    /// The user, and by which stages they are to be placed, if no snapshot is to be asked for it.
    #[inline(always)]
    pub(super) fn unlisted(&self, user: &impl AsUser, flag: &str) -> Option<(Unlisted, &[Stage])> {
        self.by_name.get()?.unlisted(user, flag, &self.in_force)
    }

    /// Lock-free, without touching a counter that other threads touch.
    pub(super) fn load(&self) -> Loaded {
        let loaded = self.swap.load();
        self.note(&loaded);
        loaded
    }

    /// What a handle to this flag answers by.
    pub(super) fn shortcut(&self, key: &Arc<str>) -> Arc<Resolved> {
        // Locked first: so it is of the snapshot in force, and the next update finds it.
        let mut known = self.shortcuts.lock();
        let named = self.by_name.get().and_then(|names| names.find(key));
        known.add(key, &self.load(), named)
    }

    /// Puts in force what `next` makes of the snapshot in force, and returns its version with what
    /// `next` had to say. When another thread was first, `next` is asked again with that thread's
    /// snapshot: no update is lost.
    pub(super) fn update<T, E>(
        &self,
        mut next: impl FnMut(&Snapshot) -> Result<(Snapshot, T), E>,
    ) -> Result<(u64, T), E> {
        loop {
            let current = self.load();
            let (snapshot, told) = next(&current)?;
            let snapshot = Arc::new(snapshot);
            let mut known = self.shortcuts.lock();
            // What is compared with is kept alive by `current`: no other has its address.
            if Arc::ptr_eq(&self.swap.load(), &current) {
                let by_name = self.by_name.get();
                let by_name = by_name.map(|names| (names, names.close(&current, &snapshot)));
                let handles = known.close(&current, &snapshot);
                self.in_force.close();
                self.swap.store(Arc::clone(&snapshot));
                self.note(&snapshot);
                handles.iter().for_each(|(handle, state)| handle.shortcut.set(*state));
                match by_name {
                    Some((names, closed)) => names.open(&closed, &current, &snapshot),
                    None => drop(ByName::new(&snapshot).map(|names| self.by_name.set(names))),
                }
                self.in_force.open(snapshot.version());
                drop(known);
                self.retired.add(Arc::clone(&current));
                return Ok((snapshot.version(), told));
            }
        }
    }

    /// Has every thread look for this snapshot, or a newer one, from now on.
    #[inline]
    fn note(&self, snapshot: &Snapshot) {
        let token = snapshot.token();
        // Acquire: whoever finds the token noted may rely on what was noted with it.
        if self.newest.load(Ordering::Acquire) < token {
            // Release: pairs with the acquire in `read`. Who reads this token, or a later one,
            // finds this snapshot or a later one in `swap`.
            self.newest.fetch_max(token, Ordering::AcqRel);
        }
    }
}
