//! The shortcuts of a gate, kept in step with its snapshots.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use super::by_name::{ByName, Name, Place};
use super::filter::Filter;
use super::shortcut::{Shortcut, State};
use super::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::eval::{Flag, Slot, Snapshot, Stage};

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
    resolved: Weak<Resolved>,
}

/// What a handle and its clones answer by.
pub(super) struct Resolved {
    pub(super) shortcut: Shortcut,
    pub(super) stages: Arc<[Stage]>,
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
    ) -> Arc<Resolved> {
        if self.all.len() >= self.many.max(FEW) {
            self.forget();
        }
        let slot = snapshot.slot(key);
        let flag = snapshot.at(slot).ok().flatten();
        let listed = flag.and_then(|flag| match named.and_then(|named| named.listed_of(flag)) {
            Some(listed) => Some(Arc::clone(listed)),
            None => filter(flag, usize::MAX),
        });
        let stages = flag.map_or_else(Arc::default, |flag| Arc::clone(flag.stages()));
        let shortcut = Shortcut::new(flag, key, 0, listed);
        let resolved = Arc::new(Resolved { shortcut, stages });
        self.all.push(Entry { key: Arc::clone(key), slot, resolved: Arc::downgrade(&resolved) });
        resolved
    }

    /// Has those that this snapshot will change ask, and returns how to set them once it is in force.
    pub(super) fn close(&mut self, now: &Snapshot, next: &Snapshot) -> Vec<(Arc<Resolved>, State)> {
        self.forget();
        let mut changed = Vec::new();
        for entry in &mut self.all {
            let Some(resolved) = entry.resolved.upgrade() else { continue };
            let flag = next.at(entry.slot).unwrap_or_else(|_| {
                entry.slot = next.slot(&entry.key);
                next.at(entry.slot).ok().flatten()
            });
            let state = close(&resolved.shortcut, &resolved.stages, now.flag(&entry.key), flag);
            changed.extend(state.map(|state| (resolved, state)));
        }
        changed
    }

    fn forget(&mut self) {
        self.all.retain(|entry| entry.resolved.strong_count() > 0);
        self.many = self.all.len() * 2;
    }
}

impl ByName {
    /// `None` for a snapshot without flags: there are none to come back to.
    pub(super) fn new(snapshot: &Snapshot) -> Option<ByName> {
        let flags = snapshot.flags();
        let (of, slots) = snapshot.places();
        let empty = || Place { shortcut: Shortcut::new(None, "", 0, None), name: Name::None };
        let mut places: Box<[Place]> = std::iter::repeat_with(empty).take(slots.len()).collect();
        let (mut plans, mut known) = (Vec::new(), HashMap::new());
        let (mut plan, mut room, mut placed) = (None, MOST_LISTED, 0);
        for (flag, slot) in flags.iter().zip(0..) {
            let key = flag.key();
            let at = of.of(key.as_str());
            let Some(place) = places.get_mut(at).filter(|_| slots.get(at) == Some(&slot)) else {
                continue;
            };
            let listed = filter(flag, room);
            if listed.is_some() {
                room -= flag.most_listed().unwrap_or(0);
            }
            // Mostly that of the flag before.
            let stages = Arc::as_ptr(flag.stages());
            let nth = match plan {
                Some((last, nth)) if std::ptr::eq(last, stages) => nth,
                _ => *known.entry(stages).or_insert_with(|| {
                    plans.push(Arc::clone(flag.stages()));
                    u32::try_from(plans.len() - 1).unwrap_or(u32::MAX)
                }),
            };
            plan = Some((stages, nth));
            let shortcut = Shortcut::new(Some(flag), key.as_str(), nth, listed);
            let taken = std::mem::replace(place, Place { shortcut, name: Name::of(key) });
            // An empty one has nothing to drop; to look would wait for memory, of 100,000 flags 4 ms.
            std::mem::forget(taken);
            placed += 1;
        }
        let others = AtomicBool::new(placed < flags.len());
        (!flags.is_empty()).then(|| ByName { of: of.clone(), places, others, plans })
    }

    /// As [`Known::close`].
    pub(super) fn close(&self, now: &Snapshot, next: &Snapshot) -> Vec<(&Shortcut, State)> {
        let mut changed = Vec::new();
        if now.has_names_of(next) {
            // Of 100,000 flags mostly one has moved.
            let flags = now.flags().iter().zip(next.flags());
            for (flag, next) in flags.filter(|(now, next)| !now.is_like(next)) {
                if let Some(shortcut) = self.find(flag.key().as_str()) {
                    let state = close(shortcut, self.stages(shortcut), Some(flag), Some(next));
                    changed.extend(state.map(|state| (shortcut, state)));
                }
            }
        } else {
            for Place { shortcut, name } in &self.places {
                let Some(flag) = name.as_str() else { continue };
                let stages = self.stages(shortcut);
                let state = close(shortcut, stages, now.flag(flag), next.flag(flag));
                changed.extend(state.map(|state| (shortcut, state)));
            }
            // Release: as for shortcuts.
            self.others.store(true, Ordering::Release);
        }
        changed
    }

    /// Once the next snapshot is in force.
    pub(super) fn open(&self, closed: &[(&Shortcut, State)], now: &Snapshot, next: &Snapshot) {
        closed.iter().for_each(|(shortcut, state)| shortcut.set(*state));
        if !now.has_names_of(next) {
            self.others.store(self.lacks_one_of(next), Ordering::Release);
        }
    }

    fn lacks_one_of(&self, snapshot: &Snapshot) -> bool {
        snapshot.flags().iter().any(|flag| self.find(flag.key().as_str()).is_none())
    }
}

/// Has a shortcut ask, and returns how to set it once the next snapshot is in force; `None` where that changes nothing.
fn close(
    shortcut: &Shortcut,
    stages: &[Stage],
    now: Option<&Flag>,
    next: Option<&Flag>,
) -> Option<State> {
    if let Some(next) = next.filter(|next| now.is_none_or(|now| !now.is_defined_like(next))) {
        shortcut.add_listed(next);
    }
    let state = shortcut.of(next, stages);
    if shortcut.is(state) {
        return None;
    }
    shortcut.set(State::ASK);
    Some(state)
}

/// Users that the table of names has in its filters, of all flags together: 12 to 24 MiB, and as many hashes once. What is
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
