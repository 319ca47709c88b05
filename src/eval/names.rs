//! The index of a snapshot's flags by name: by key, and by the further names of `asked_as`.

use std::sync::atomic::{AtomicU32, Ordering};

use super::flag::Flag;
pub(super) use super::perfect_hash::VACANT as ABSENT;
use super::perfect_hash::{NameHash, PerfectHash};

/// The slot of each flag by each of its names. Versions with the same names share it.
#[derive(Debug)]
pub(crate) struct Names {
    /// Unique in the process. It says whether a remembered slot belongs to this index.
    id: u32,
    hash: PerfectHash,
    /// The slot at each index, or `ABSENT`.
    slots: Box<[u32]>,
    /// The names without an index, sorted, each with its slot.
    left_out: Box<[(Box<str>, u32)]>,
    /// Whether a flag has a name that is not its key, or a name has no index.
    has_further: bool,
}

impl Names {
    /// Indexes flags that are sorted by key.
    pub(super) fn new(flags: &[Flag]) -> Names {
        // Relaxed: only the uniqueness of the number matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let each_name = |(flag, slot)| Flag::names(flag).map(move |name| (name, slot));
        let names: Vec<(&str, u32)> = flags.iter().zip(0..).flat_map(each_name).collect();
        let hashes: Vec<_> = names.iter().map(|(name, _)| NameHash::new(name)).collect();
        let (hash, mut slots) = PerfectHash::new(&hashes);
        let mut is_left_out = vec![true; names.len()];
        for slot in &mut slots {
            let name = *slot as usize;
            *slot = names.get(name).map_or(ABSENT, |(_, slot)| *slot);
            is_left_out.get_mut(name).into_iter().for_each(|is_left_out| *is_left_out = false);
        }
        let left_out = names.iter().zip(is_left_out).filter(|(_, is_left_out)| *is_left_out);
        let mut left_out: Box<[_]> =
            left_out.map(|((name, slot), _)| (Box::from(*name), *slot)).collect();
        left_out.sort_unstable();
        let has_further = names.len() > flags.len() || !left_out.is_empty();
        Names { id, hash, slots, left_out, has_further }
    }

    pub(super) fn hash(&self) -> &PerfectHash {
        &self.hash
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Returns the slot of the flag with this name. `flags` are those of a snapshot with this index.
    #[inline(always)]
    pub(super) fn slot(&self, name: &str, flags: &[Flag]) -> Option<u32> {
        let slot = *self.slots.get(self.hash.index(NameHash::new(name)))?;
        let flag = flags.get(slot as usize);
        if flag.is_some_and(|flag| flag.key().as_str() == name) {
            return Some(slot);
        }
        if self.has_further { self.slot_of_further_name(name, flag, slot) } else { None }
    }

    /// Returns the slot of a name that is no key with an index. `flag` is the flag at the name's index.
    #[inline(never)]
    fn slot_of_further_name(&self, name: &str, flag: Option<&Flag>, slot: u32) -> Option<u32> {
        if flag.is_some_and(|flag| flag.definition().asked_as().iter().any(|it| **it == *name)) {
            return Some(slot);
        }
        let left_out = self.left_out.binary_search_by(|(left_out, _)| (**left_out).cmp(name));
        self.left_out.get(left_out.ok()?).map(|(_, slot)| *slot)
    }
}

#[cfg(test)]
#[cfg(feature = "toml")]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn flags_without_an_index_are_found_too() {
        let flag = |n| format!("[flags.f{n}]\nasked_as = \"name of f{n}\"\n");
        let document: String = (0..100).map(flag).collect();
        let plan = Plan::parse(format!("schema = 1\n{document}")).expect("a plan");
        let snapshot = plan.compile();
        let flags = snapshot.flags();
        let mut names = Names::new(flags);
        assert!(names.left_out.is_empty());
        for _ in [true, false] {
            for (flag, slot) in flags.iter().zip(0..) {
                for name in flag.names() {
                    assert_eq!(names.slot(name, flags), Some(slot), "{name}");
                }
            }
            assert_eq!(names.slot("f100", flags), None);
            assert_eq!(names.slot("name of f100", flags), None);
            // As if the hash had left out the names of every other flag.
            names.slots.iter_mut().filter(|slot| **slot % 2 == 0).for_each(|slot| *slot = ABSENT);
            let others = flags.iter().zip(0..).filter(|(_, slot)| slot % 2 == 0);
            let left_out = others.flat_map(|(flag, slot)| flag.names().map(move |it| (it, slot)));
            names.left_out = left_out.map(|(name, slot)| (name.into(), slot)).collect();
            names.left_out.sort_unstable();
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
