//! Buckets of users: the algorithm `xxh3-ppm-1`, specified in `docs/bucketing.md`.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::user::AsUser;
use crate::percent::{PPM, Percent};

/// The text that spreads a flag's users over buckets, hashed: the flag's `salt`, or its key if the plan has no salt.
///
/// Two flags with the same salt put each user into the same bucket. With different salts, an early user of one flag is
/// no likelier to be early for the other.
///
/// # Example
///
/// ```
/// use stagegate::{Percent, Salt};
///
/// let salt = Salt::new("new-checkout");
/// let bucket = salt.bucket("user-42");
/// assert_eq!(bucket, 11_971_452_755_194_587_121);
/// // 1.197e19 of 2^64 = 1.845e19 is 64.9%: in at 65%, not yet in at 64%.
/// assert!(Percent::from_ppm(650_000).is_some_and(|share| share.contains(bucket)));
/// assert!(Percent::from_ppm(640_000).is_some_and(|share| !share.contains(bucket)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Salt {
    seed: u64,
}

impl Salt {
    /// Creates a salt from its text. An empty text is a salt like any other.
    #[must_use]
    pub fn new(text: &str) -> Salt {
        Salt { seed: xxh3_64(text.as_bytes()) }
    }

    /// Returns the user's bucket: `XXH3_64_withSeed(key bytes, XXH3_64(salt bytes))`.
    ///
    /// It depends only on the salt and the user's key.
    ///
    /// # Complexity
    ///
    /// One hash of the key: no allocation, no lock.
    #[inline]
    #[must_use]
    pub fn bucket(self, user: impl AsUser) -> u64 {
        self.bucket_of(user.key().as_bytes())
    }

    pub(crate) fn to_seed(self) -> u64 {
        self.seed
    }

    #[inline(always)]
    pub(crate) fn from_seed(seed: u64) -> Salt {
        Salt { seed }
    }

    #[inline(always)]
    pub(crate) fn bucket_of(self, key: &[u8]) -> u64 {
        // The branch keeps the code small that is inlined at every call site.
        if key.len() <= 16 { xxh3_64_with_seed(key, self.seed) } else { self.bucket_of_long(key) }
    }

    #[inline(never)]
    fn bucket_of_long(self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.seed)
    }
}

impl Percent {
    /// Returns whether this percentage admits a bucket: `bucket * 10^6 / 2^64 < ppm`.
    ///
    /// 0% admits no bucket, and 100% admits every bucket including the last.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Percent;
    ///
    /// assert!(!Percent::NONE.contains(0));
    /// assert!(Percent::ALL.contains(u64::MAX));
    /// ```
    #[must_use]
    pub fn contains(self, bucket: u64) -> bool {
        Threshold::of(self).admits(bucket)
    }
}

/// A percentage compiled for comparison: the first bucket that it does not admit.
///
/// 100% would be 2^64, one more than fits. It is stored as `u64::MAX`, which no other percentage reaches: 999,999 parts
/// per million are 18 * 10^12 below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold(u64);

impl Threshold {
    #[inline(always)]
    pub(crate) fn from_word(word: u64) -> Threshold {
        Threshold(word)
    }

    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    pub(crate) const NOBODY: Threshold = Threshold(0);
    const EVERYONE: Threshold = Threshold(u64::MAX);

    /// `ceil(ppm * 2^64 / 10^6)`.
    pub(crate) fn of(percent: Percent) -> Threshold {
        let below = (u128::from(percent.ppm()) << 64).div_ceil(u128::from(PPM));
        u64::try_from(below).map_or(Threshold::EVERYONE, Threshold)
    }

    #[inline]
    pub(crate) fn admits(self, bucket: u64) -> bool {
        bucket < self.0 || self.is_everyone()
    }

    /// Clamps a bucket to `u64::MAX - 1`, so that [`is_above`](Self::is_above) also covers 100%.
    #[inline]
    pub(crate) fn below_everyone(bucket: u64) -> u64 {
        bucket.min(u64::MAX - 1)
    }

    /// Same as [`admits`](Self::admits) in one comparison, for a clamped bucket.
    #[inline]
    pub(crate) fn is_above(self, below_everyone: u64) -> bool {
        below_everyone < self.0
    }

    /// Returns whether every bucket is admitted.
    #[inline]
    pub(crate) fn is_everyone(self) -> bool {
        self == Threshold::EVERYONE
    }

    /// Returns whether no bucket is admitted.
    #[inline]
    pub(crate) fn is_nobody(self) -> bool {
        self == Threshold::NOBODY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula of the specification, word for word.
    fn specified(bucket: u64, ppm: u32) -> bool {
        ((u128::from(bucket) * 1_000_000) >> 64) < u128::from(ppm)
    }

    #[test]
    fn threshold_is_the_formula_at_every_edge() {
        for ppm in 0..=PPM {
            let threshold = Threshold::of(Percent::from_ppm(ppm).expect("in range"));
            let edge = threshold.0;
            for bucket in [0, edge.saturating_sub(1), edge, edge.saturating_add(1), u64::MAX] {
                assert_eq!(
                    threshold.admits(bucket),
                    specified(bucket, ppm),
                    "bucket {bucket} at {ppm} ppm"
                );
                assert_eq!(
                    threshold.is_above(Threshold::below_everyone(bucket)),
                    specified(bucket, ppm),
                    "bucket {bucket} at {ppm} ppm"
                );
            }
        }
    }
}
