//! A place for each of a set of names.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

/// A place of its own for each of a set of names, and one of those for every other: a perfect hash function (Belazzougui,
/// Botelho, Dietzfelbinger, *Hash, displace, and compress*, 2009). Names fall into buckets, of three at most on average, and each bucket has
/// a pilot that takes all its names to places where no other is. So there is nothing to search, and hardly a place is empty.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// One a bucket: a power of two of them.
    pilots: Arc<[u16]>,
    count: usize,
}

/// No name.
pub(super) const ABSENT: u32 = u32::MAX;

/// Of a name. Names come from documents that were reviewed, not from users: it need not withstand those who choose them.
#[inline(always)]
pub(super) fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

impl Places {
    /// Names a bucket may have: of buckets that are filled by chance, not one in 10^18 has more.
    const MOST: usize = 32;

    /// Of names with these hashes; and which of them is at each place, `ABSENT` where none is. Names that have the same hash, or that
    /// somebody has made for falling into one bucket, are left out.
    pub(super) fn new(hashes: &[u64]) -> (Places, Box<[u32]>) {
        // Fuller buckets and fewer places would take less memory, and far longer to fill.
        let mut pilots = vec![0; (hashes.len() / 3 + 1).next_power_of_two()];
        let mut at = vec![ABSENT; hashes.len() + hashes.len() / 9 + 1];

        // All members of a bucket next to each other: `ends[b]` is where those of b begin, then where they end.
        let buckets = pilots.len();
        let mut ends = vec![0; buckets + 1];
        hashes.iter().for_each(|hash| ends[bucket(*hash, buckets) + 1] += 1);
        (1..=buckets).for_each(|bucket| ends[bucket] += ends[bucket - 1]);
        let mut members = vec![(0, 0); hashes.len()];
        for (hash, name) in hashes.iter().zip(0_u32..) {
            let end = &mut ends[bucket(*hash, buckets)];
            members[*end] = (*hash, name);
            *end += 1;
        }

        // The fullest first: the more places are taken, the fewer of them are found free at once.
        let of_bucket =
            |bucket: usize| bucket.checked_sub(1).map_or(0, |before| ends[before])..ends[bucket];
        for size in (1..=Places::MOST).rev() {
            for bucket in (0..buckets).filter(|bucket| of_bucket(*bucket).len() == size) {
                pilots[bucket] = settle(&members[of_bucket(bucket)], &mut at);
            }
        }
        (Places { pilots: pilots.into(), count: at.len() }, at.into())
    }

    /// The one place at which something of that name may be.
    #[inline(always)]
    pub(crate) fn of(&self, name: &str) -> usize {
        let hash = hash(name);
        let pilot = self.pilots.get(bucket(hash, self.pilots.len())).copied().unwrap_or_default();
        place(hash, pilot, self.count)
    }
}

/// Brings the members of a bucket to free places, by the pilot that is returned.
fn settle(members: &[(u64, u32)], at: &mut [u32]) -> u16 {
    let places = at.len();
    let is_twice = |index: usize| members[..index].iter().any(|other| other.0 == members[index].0);
    if (0..members.len()).any(is_twice) {
        return 0;
    }
    let mut wanted = [0; Places::MOST];
    let mut fits = |pilot: &u16| {
        members.iter().enumerate().all(|(index, (hash, _))| {
            wanted[index] = place(*hash, *pilot, places);
            at[wanted[index]] == ABSENT && !wanted[..index].contains(&wanted[index])
        })
    };
    let Some(pilot) = (0..=u16::MAX).find(|pilot| fits(pilot)) else { return 0 };
    for (hash, name) in members {
        at[place(*hash, pilot, places)] = *name;
    }
    pilot
}

/// One of so many, a power of two, by the lowest bits of the hash.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits")]
fn bucket(hash: u64, buckets: usize) -> usize {
    hash as usize & (buckets - 1)
}

/// One of so many. The pilot spreads its bucket anew: each makes another odd multiplier (of the golden ratio), which takes the lower
/// bits to the upper ones, and the uppermost choose.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "less than `places`")]
fn place(hash: u64, pilot: u16, places: usize) -> usize {
    let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15 + 2 * u64::from(pilot));
    ((u128::from(spread) * places as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("flag-{n}")).collect()
    }

    fn hashes(names: &[String]) -> Vec<u64> {
        names.iter().map(|name| hash(name)).collect()
    }

    #[test]
    fn every_name_has_a_place_of_its_own() {
        for count in (0..200).chain([1_000, 100_000]) {
            let names = names(count);
            let (places, at) = Places::new(&hashes(&names));
            for (name, nth) in names.iter().zip(0..) {
                assert_eq!(at[places.of(name)], nth, "{name} of {count}");
            }
            assert_eq!(at.iter().filter(|name| **name == ABSENT).count(), count / 9 + 1);
        }
    }

    #[test]
    fn other_names_have_some_place() {
        let (places, at) = Places::new(&hashes(&names(1_000)));
        for other in
            ["", "flag", "flag-1000", "flag-01"].map(str::to_owned).into_iter().chain(names(5_000))
        {
            assert!(places.of(&other) < at.len());
        }
    }

    /// Who writes a document may look for such names; nobody comes by them by chance.
    #[test]
    fn the_same_hashes_and_crowds_are_left_out_and_harm_nobody_else() {
        let names = names(1_000);
        let mut hashes = hashes(&names);
        // Two of one hash, and forty of one bucket, as the lowest bits say which.
        hashes.extend([7, 7]);
        hashes.extend((1..=40).map(|upper| upper << 32 | 0x8000_0000));
        let (places, at) = Places::new(&hashes);
        let is_left_out = |nth: usize| !at.iter().any(|name| *name as usize == nth);
        assert!((1_000..1_002).all(is_left_out) && (1_002..1_042).all(is_left_out));
        // With them go those that chance has put into their buckets: some three each.
        let found = names.iter().zip(0..).filter(|(name, nth)| at[places.of(name)] == *nth).count();
        assert!((980..1_000).contains(&found), "{found} of 1,000 are found");
    }
}
