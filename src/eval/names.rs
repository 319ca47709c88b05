//! Where the flag of a name stands.

use std::sync::atomic::{AtomicU32, Ordering};

use super::flag::Flag;
use super::places::{ABSENT, Places, hash};

/// Where each key's flag stands in a snapshot. Shared by versions that have the same keys.
#[derive(Debug)]
pub(crate) struct Names {
    /// No two of the process have the same, so it says whether a remembered slot holds.
    index: u32,
    places: Places,
    /// By place; `ABSENT` where there is no flag.
    slots: Box<[u32]>,
    /// Whether every key has a place.
    is_whole: bool,
}

impl Names {
    /// Of flags in order of their keys.
    pub(super) fn new(flags: &[Flag]) -> Names {
        // Relaxed: all that counts is that no two calls get the same number.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let index = NEXT.fetch_add(1, Ordering::Relaxed);
        let hashes: Vec<u64> = flags.iter().map(|flag| hash(flag.key().as_str())).collect();
        let (places, slots) = Places::new(&hashes);
        let is_whole = slots.iter().filter(|&&slot| slot != ABSENT).count() == flags.len();
        Names { index, places, slots, is_whole }
    }

    pub(super) fn index(&self) -> u32 {
        self.index
    }

    pub(super) fn places(&self) -> (&Places, &[u32]) {
        (&self.places, &self.slots)
    }

    /// The slot of the flag with that key, among the flags of a snapshot that has these names.
    #[inline(always)]
    pub(super) fn slot(&self, key: &str, flags: &[Flag]) -> Option<u32> {
        let slot = *self.slots.get(self.places.of(key))?;
        if flags.get(slot as usize).is_some_and(|flag| flag.key().as_str() == key) {
            return Some(slot);
        }
        if self.is_whole { None } else { self.search(key, flags) }
    }

    /// The same where not every key has its place.
    #[cold]
    fn search(&self, key: &str, flags: &[Flag]) -> Option<u32> {
        let slot = flags.binary_search_by(|flag| flag.key().as_str().cmp(key)).ok()?;
        u32::try_from(slot).ok()
    }
}

#[cfg(test)]
#[cfg(feature = "toml")]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn flags_without_a_place_are_found_all_the_same() {
        let document: String = (0..100).map(|n| format!("[flags.f{n}]\n")).collect();
        let plan = Plan::parse(format!("schema = 1\n{document}")).expect("a plan");
        let snapshot = plan.compile();
        let flags = snapshot.flags();
        let mut names = Names::new(flags);
        assert!(names.is_whole);
        for is_whole in [true, false] {
            for (flag, slot) in flags.iter().zip(0..) {
                assert_eq!(names.slot(flag.key().as_str(), flags), Some(slot));
            }
            assert_eq!(names.slot("f100", flags), None);
            // As if every other had been left out.
            let slots = names.slots.iter().map(|slot| if slot % 2 == 0 { ABSENT } else { *slot });
            names.slots = slots.collect();
            names.is_whole = !is_whole;
        }
    }
}
