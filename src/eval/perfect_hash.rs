//! A perfect hash function over a fixed set of names.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// Maps each name of a fixed set to an index of its own, and every other name to one of these indices (Belazzougui,
/// Botelho, Dietzfelbinger, *Hash, Displace, and Compress*, 2009).
///
/// Names fall into groups of three on average. Each group has a pilot, a number that sends all its names to free
/// indices. So a lookup never probes, and a tenth of the indices are vacant.
#[derive(Clone, Debug)]
pub(crate) struct PerfectHash {
    /// One per group.
    pilots: Arc<[u16]>,
    shape: Shape,
}

/// The size of a perfect hash function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// One less than the number of groups, a power of two.
    group_mask: u32,
    indices: u32,
}

/// The hash of a name. The names come from reviewed documents, not from users, so the hash is not keyed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHash(u64);

impl NameHash {
    #[inline(always)]
    pub(crate) fn new(name: &str) -> NameHash {
        NameHash(xxh3_64(name.as_bytes()))
    }
}

/// An index without a name.
pub(super) const VACANT: u32 = u32::MAX;

impl PerfectHash {
    /// The largest group. By chance, fewer than one group in 10^18 is larger.
    const MAX_GROUP: usize = 32;

    /// Builds the function for names with these hashes. Also returns which name each index has, or `VACANT`.
    ///
    /// Leaves out names with equal hashes, and names that somebody has chosen so that they fall into one group.
    pub(super) fn new(hashes: &[NameHash]) -> (PerfectHash, Box<[u32]>) {
        // Larger groups and fewer indices take less memory, and far longer to build.
        let mut pilots = vec![0; PerfectHash::groups(hashes.len())];
        let mut at = vec![VACANT; hashes.len() + hashes.len() / 9 + 1];
        let shape = Shape::new(pilots.len(), at.len());

        // Sort the members by group. At first `ends[g]` is where group g begins, in the end where it ends.
        let groups = pilots.len();
        let group = |hash: &NameHash| shape.group(*hash);
        let mut ends = vec![0; groups + 1];
        hashes.iter().for_each(|hash| ends[group(hash) + 1] += 1);
        (1..=groups).for_each(|group| ends[group] += ends[group - 1]);
        let mut members = vec![(NameHash(0), 0); hashes.len()];
        for (hash, name) in hashes.iter().zip(0_u32..) {
            let end = &mut ends[group(hash)];
            members[*end] = (*hash, name);
            *end += 1;
        }

        // Largest groups first: the more indices are taken, the harder it is to place a large group.
        let range =
            |group: usize| group.checked_sub(1).map_or(0, |before| ends[before])..ends[group];
        for size in (1..=PerfectHash::MAX_GROUP).rev() {
            for group in (0..groups).filter(|group| range(*group).len() == size) {
                pilots[group] = place(&members[range(group)], shape, &mut at);
            }
        }
        (PerfectHash { pilots: pilots.into(), shape }, at.into())
    }

    /// Returns the number of groups for this many names.
    pub(crate) fn groups(names: usize) -> usize {
        (names / 3 + 1).next_power_of_two()
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the only index that this name can have.
    #[inline(always)]
    pub(super) fn index(&self, name: NameHash) -> usize {
        self.shape.index(name, self.pilot(name))
    }

    /// Returns the pilot of a name's group.
    #[inline(always)]
    pub(crate) fn pilot(&self, name: NameHash) -> u16 {
        self.pilots.get(self.shape.group(name)).copied().unwrap_or_default()
    }
}

impl Shape {
    fn new(groups: usize, indices: usize) -> Shape {
        let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Shape { group_mask: word(groups - 1), indices: word(indices) }
    }

    pub(crate) fn indices(self) -> usize {
        self.indices as usize
    }

    /// Both numbers in one word.
    pub(crate) fn to_word(self) -> u64 {
        (u64::from(self.indices) << 32) | u64::from(self.group_mask)
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    pub(crate) fn from_word(word: u64) -> Shape {
        Shape { group_mask: word as u32, indices: (word >> 32) as u32 }
    }

    /// Returns the group of a name, by the lowest bits of its hash.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are used")]
    pub(crate) fn group(self, name: NameHash) -> usize {
        (name.0 as u32 & self.group_mask) as usize
    }

    /// Returns an index.
    ///
    /// Each pilot makes another odd multiplier (near 2^64 divided by the golden ratio). It carries the lower bits of
    /// the hash to the upper ones, and the uppermost choose the index.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "less than `indices`")]
    pub(crate) fn index(self, name: NameHash, pilot: u16) -> usize {
        let spread = name.0.wrapping_mul(0x9e37_79b9_7f4a_7c15 + 2 * u64::from(pilot));
        ((u128::from(spread) * u128::from(self.indices)) >> 64) as usize
    }
}

/// Puts the members of a group at vacant indices and returns the group's pilot.
fn place(members: &[(NameHash, u32)], shape: Shape, at: &mut [u32]) -> u16 {
    let is_twice = |nth: usize| members[..nth].iter().any(|other| other.0.0 == members[nth].0.0);
    if (0..members.len()).any(is_twice) {
        return 0;
    }
    let mut wanted = [0; PerfectHash::MAX_GROUP];
    let mut fits = |pilot: &u16| {
        members.iter().enumerate().all(|(nth, (hash, _))| {
            wanted[nth] = shape.index(*hash, *pilot);
            at[wanted[nth]] == VACANT && !wanted[..nth].contains(&wanted[nth])
        })
    };
    let Some(pilot) = (0..=u16::MAX).find(|pilot| fits(pilot)) else { return 0 };
    for (hash, name) in members {
        at[shape.index(*hash, pilot)] = *name;
    }
    pilot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("flag-{n}")).collect()
    }

    fn hashes(names: &[String]) -> Vec<NameHash> {
        names.iter().map(|name| NameHash::new(name)).collect()
    }

    #[test]
    fn every_name_has_an_index_of_its_own() {
        for count in (0..200).chain([1_000, 100_000]) {
            let names = names(count);
            let (hash, at) = PerfectHash::new(&hashes(&names));
            for (name, nth) in names.iter().zip(0..) {
                assert_eq!(at[hash.index(NameHash::new(name))], nth, "{name} of {count}");
            }
            assert_eq!(at.iter().filter(|name| **name == VACANT).count(), count / 9 + 1);
        }
    }

    #[test]
    fn other_names_have_some_index() {
        let (hash, at) = PerfectHash::new(&hashes(&names(1_000)));
        for other in
            ["", "flag", "flag-1000", "flag-01"].map(str::to_owned).into_iter().chain(names(5_000))
        {
            assert!(hash.index(NameHash::new(&other)) < at.len());
        }
    }

    /// Such names don't occur by chance. The author of a document can search for them.
    #[test]
    fn equal_hashes_and_crowded_groups_are_left_out_and_harm_no_other_name() {
        let names = names(1_000);
        let mut hashes = hashes(&names);
        // Two names with one hash, and forty names of one group.
        hashes.extend([7, 7].map(NameHash));
        hashes.extend((1..=40).map(|upper| NameHash(upper << 32 | 0x8000_0000)));
        let (hash, at) = PerfectHash::new(&hashes);
        let is_left_out = |nth: usize| !at.iter().any(|name| *name as usize == nth);
        assert!((1_000..1_002).all(is_left_out) && (1_002..1_042).all(is_left_out));
        // The few names that share a group with them are left out, too.
        let found = names
            .iter()
            .zip(0..)
            .filter(|(name, nth)| at[hash.index(NameHash::new(name))] == *nth)
            .count();
        assert!((980..1_000).contains(&found), "{found} of 1,000 are found");
    }
}
