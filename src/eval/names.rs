//! The index of a snapshot's flags by name.

use std::sync::atomic::{AtomicU32, Ordering};

use super::flag::Flag;
pub(super) use super::perfect_hash::VACANT as ABSENT;
use super::perfect_hash::{NameHash, PerfectHash};

/// The slot of each flag by its name. Versions with the same keys share it.
#[derive(Debug)]
pub(crate) struct Names {
    /// Unique in the process. It says whether a remembered slot belongs to this index.
    id: u32,
    hash: PerfectHash,
    /// The slot at each index, or `ABSENT`.
    slots: Box<[u32]>,
    /// Whether every key has an index.
    is_complete: bool,
}

impl Names {
    /// Indexes flags that are sorted by key.
    pub(super) fn new(flags: &[Flag]) -> Names {
        // Relaxed: only the uniqueness of the number matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let hashes: Vec<_> = flags.iter().map(|flag| NameHash::new(flag.key().as_str())).collect();
        let (hash, slots) = PerfectHash::new(&hashes);
        let is_complete = slots.iter().filter(|slot| **slot != ABSENT).count() == flags.len();
        Names { id, hash, slots, is_complete }
    }

    pub(super) fn hash(&self) -> &PerfectHash {
        &self.hash
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Returns the slot of the flag with this key. `flags` are those of a snapshot with this index.
    #[inline(always)]
    pub(super) fn slot(&self, key: &str, flags: &[Flag]) -> Option<u32> {
        let slot = *self.slots.get(self.hash.index(NameHash::new(key)))?;
        if flags.get(slot as usize).is_some_and(|flag| flag.key().as_str() == key) {
            return Some(slot);
        }
        if self.is_complete { None } else { search(key, flags) }
    }
}

/// Finds a key without an index.
#[cold]
fn search(key: &str, flags: &[Flag]) -> Option<u32> {
    let slot = flags.binary_search_by(|flag| flag.key().as_str().cmp(key)).ok()?;
    u32::try_from(slot).ok()
}

#[cfg(test)]
#[cfg(feature = "toml")]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn flags_without_an_index_are_found_too() {
        let document: String = (0..100).map(|n| format!("[flags.f{n}]\n")).collect();
        let plan = Plan::parse(format!("schema = 1\n{document}")).expect("a plan");
        let snapshot = plan.compile();
        let flags = snapshot.flags();
        let mut names = Names::new(flags);
        assert!(names.is_complete);
        for _ in [true, false] {
            for (flag, slot) in flags.iter().zip(0..) {
                assert_eq!(names.slot(flag.key().as_str(), flags), Some(slot));
            }
            assert_eq!(names.slot("f100", flags), None);
            // As if the hash had left out every other key.
            names.slots.iter_mut().filter(|slot| **slot % 2 == 0).for_each(|slot| *slot = ABSENT);
            names.is_complete = false;
        }
    }

    #[test]
    fn keys_of_every_length_are_told_apart() {
        let keys: Vec<String> = (1..=64).map(|len| "k".repeat(len)).collect();
        let document: String = keys.iter().map(|key| format!("[flags.{key}]\n")).collect();
        let plan = Plan::parse(format!("schema = 1\n{document}")).expect("a plan");
        let snapshot = plan.compile();
        for key in &keys {
            assert_eq!(snapshot.flag(key).expect("it is there").key().as_str(), key);
            let other = format!("{}x", &key[1..]);
            assert!(snapshot.flag(&other).is_none(), "{other}");
        }
    }
}
