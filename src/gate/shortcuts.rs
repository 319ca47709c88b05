//! The shortcuts of a gate, kept in step with its snapshots.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::by_name::{ByName, Name, Place};
use super::filter::Filter;
use super::shortcut::Shortcut;
use crate::eval::{Flag, Quick, Slot, Snapshot};

/// The shortcuts of a gate's handles. Whoever holds the lock may swap; questions never take it.
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
    /// A new one, for the snapshot in force; with the filter that the table of names has, if it has one.
    pub(super) fn add(
        &mut self,
        key: &Arc<str>,
        snapshot: &Snapshot,
        named: Option<&Shortcut>,
    ) -> Arc<Shortcut> {
        if self.all.len() >= self.many.max(FEW) {
            self.forget();
        }
        let slot = snapshot.slot(key);
        let flag = snapshot.at(slot).ok().flatten();
        let listed = flag.and_then(|flag| match named.and_then(|named| named.listed_of(flag)) {
            Some(listed) => Some(Arc::clone(listed)),
            None => filter(flag, usize::MAX),
        });
        let shortcut = Arc::new(Shortcut::new(flag, key, listed));
        self.all.push(Entry { key: Arc::clone(key), slot, shortcut: Arc::downgrade(&shortcut) });
        shortcut
    }

    /// Has those that this snapshot will change ask, and returns how to set them once it is in force.
    pub(super) fn close(&mut self, now: &Snapshot, next: &Snapshot) -> Vec<(Arc<Shortcut>, Quick)> {
        self.forget();
        let mut changed = Vec::new();
        for entry in &mut self.all {
            let Some(shortcut) = entry.shortcut.upgrade() else { continue };
            let flag = next.at(entry.slot).unwrap_or_else(|_| {
                entry.slot = next.slot(&entry.key);
                next.at(entry.slot).ok().flatten()
            });
            close(shortcut, now.flag(&entry.key), flag, &mut changed);
        }
        changed
    }

    fn forget(&mut self) {
        self.all.retain(|entry| entry.shortcut.strong_count() > 0);
        self.many = self.all.len() * 2;
    }
}

impl ByName {
    /// `None` for a snapshot without flags: there are none to come back to.
    pub(super) fn new(snapshot: &Snapshot) -> Option<ByName> {
        let flags = snapshot.flags();
        let places = flags.len() * 2;
        let empty = || Place { shortcut: Shortcut::new(None, "", None), name: Name::NONE };
        let mut by_name = ByName {
            places: std::iter::repeat_with(empty).take(places).collect(),
            others: Shortcut::new(None, "", None),
        };
        let mut room = MOST_LISTED;
        for flag in flags {
            let key = flag.key().as_str();
            let Some(name) = Name::of(key) else { continue };
            let mut at = ByName::begin(key, places);
            while by_name.places.get(at).is_some_and(|place| !place.name.is_none()) {
                at = ByName::after(at, places);
            }
            let listed = filter(flag, room);
            if listed.is_some() {
                room -= flag.most_listed().unwrap_or(0);
            }
            let shortcut = Shortcut::new(Some(flag), key, listed);
            *by_name.places.get_mut(at)? = Place { shortcut, name };
        }
        by_name.others.set(by_name.of_others(snapshot));
        (places > 0).then_some(by_name)
    }

    /// As [`Known::close`].
    pub(super) fn close(&self, now: &Snapshot, next: &Snapshot) -> Vec<(&Shortcut, Quick)> {
        let mut changed = Vec::new();
        if now.has_names_of(next) {
            // Of 100,000 flags mostly one has moved.
            let flags = now.flags().iter().zip(next.flags());
            for (flag, next) in flags.filter(|(now, next)| !now.is_like(next)) {
                if let Some(shortcut) = self.find(flag.key().as_str()) {
                    close(shortcut, Some(flag), Some(next), &mut changed);
                }
            }
        } else {
            for place in self.places.iter().filter(|place| !place.name.is_none()) {
                let flag = place.name.as_str();
                close(&place.shortcut, now.flag(flag), next.flag(flag), &mut changed);
            }
            let others = self.of_others(next);
            if !self.others.is(others) {
                self.others.set(Quick::ASK);
                changed.push((&self.others, others));
            }
        }
        changed
    }

    fn of_others(&self, snapshot: &Snapshot) -> Quick {
        let is_here = |flag: &Flag| self.find(flag.key().as_str()).is_some();
        if snapshot.flags().iter().all(is_here) { Quick::NOBODY } else { Quick::ASK }
    }
}

fn close<S: Deref<Target = Shortcut>>(
    shortcut: S,
    now: Option<&Flag>,
    next: Option<&Flag>,
    changed: &mut Vec<(S, Quick)>,
) {
    if let Some(next) = next.filter(|next| now.is_none_or(|now| !now.is_defined_like(next))) {
        shortcut.add_listed(next);
    }
    let quick = shortcut.of(next);
    if !shortcut.is(quick) {
        shortcut.set(Quick::ASK);
        changed.push((shortcut, quick));
    }
}

/// Users that the table of names has in its filters, of all flags together: 8 to 16 MiB, and as many hashes once. What is
/// beyond asks the snapshot. A handle has its flag's whatever they are, as somebody has made it for that flag.
const MOST_LISTED: usize = 1 << 22;

/// With the users that a flag lists, and room for half as many more at least; `None` where there are none, or more than that.
fn filter(flag: &Flag, most: usize) -> Option<Arc<Filter>> {
    let users = flag.most_listed().filter(|users| (1..=most).contains(users))?;
    let words = (users * 3 / 2).div_ceil(Filter::USERS_A_WORD).next_power_of_two();
    let words = std::iter::repeat_with(AtomicU64::default).take(words).collect();
    let filter = Filter { words };
    flag.listed().for_each(|bucket| filter.add(bucket));
    Some(Arc::new(filter))
}

/// After the swap.
pub(super) fn open<S: Deref<Target = Shortcut>>(closed: Vec<(S, Quick)>) {
    for (shortcut, quick) in closed {
        shortcut.set(quick);
    }
}

impl fmt::Debug for Shortcuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shortcuts").finish_non_exhaustive()
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByName").field("places", &self.places.len()).finish_non_exhaustive()
    }
}
