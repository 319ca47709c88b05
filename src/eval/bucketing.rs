//! Where a user falls: the algorithm `xxh3-ppm-1`, specified in `docs/bucketing.md`.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::user::AsUser;
use crate::percent::{PPM, Percent};

/// What spreads users over buckets: a flag's `salt`, or its key where the plan gives none.
///
/// Two flags with the same salt put every user into the same bucket; with different salts, being
/// early for one says nothing about the other.
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
    /// The salt with this text; the empty one is as good as any other.
    #[must_use]
    pub fn new(text: &str) -> Salt {
        Salt { seed: xxh3_64(text.as_bytes()) }
    }

    /// The user's bucket: `XXH3_64_withSeed(key bytes, XXH3_64(salt bytes))`.
    ///
    /// Depends on nothing but the salt and the user's key.
    ///
    /// # Complexity
    ///
    /// One hash of the key: no allocation, no lock.
    #[inline]
    #[must_use]
    pub fn bucket(self, user: impl AsUser) -> u64 {
        self.bucket_of(user.key().as_bytes())
    }

    #[inline(always)]
    pub(crate) fn bucket_of(self, key: &[u8]) -> u64 {
        // The branch leaves little to be inlined into those who ask.
        if key.len() <= 16 { xxh3_64_with_seed(key, self.seed) } else { self.bucket_of_long(key) }
    }

    #[inline(never)]
    fn bucket_of_long(self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.seed)
    }
}

impl Percent {
    /// Whether a user in this bucket is among this percentage: `bucket * 10^6 / 2^64 < ppm`.
    ///
    /// Nobody is in 0% and everybody in 100%, at the first and the last bucket too.
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

/// A percentage prepared for comparing: the first bucket that is not among it.
///
/// 100% would be 2^64, one more than fits. It is `u64::MAX`, which no other percentage comes to: 999,999 parts are 18 * 10^12
/// below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Threshold(u64);

impl Threshold {
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

    /// A bucket as [`is_above`](Self::is_above) wants it: none is among 100% alone, so which of the last two it is does not matter.
    #[inline]
    pub(crate) fn below_everyone(bucket: u64) -> u64 {
        bucket.min(u64::MAX - 1)
    }

    /// [`admits`](Self::admits) in one comparison, for asking many about one bucket.
    #[inline]
    pub(crate) fn is_above(self, below_everyone: u64) -> bool {
        below_everyone < self.0
    }

    /// Whether every bucket is admitted.
    #[inline]
    pub(crate) fn is_everyone(self) -> bool {
        self == Threshold::EVERYONE
    }

    /// Whether no bucket is admitted.
    #[inline]
    pub(crate) fn is_nobody(self) -> bool {
        self == Threshold::NOBODY
    }
}

/// A threshold as one word, or that it takes more than a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quick(u64);

impl Quick {
    pub(crate) const NOBODY: Quick = Quick(Threshold::NOBODY.0);
    /// No percentage comes to this one either: see [`Threshold`].
    pub(crate) const ASK: Quick = Quick(u64::MAX - 1);

    #[inline]
    pub(crate) fn from_word(word: u64) -> Quick {
        Quick(word)
    }

    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn is_ask(self) -> bool {
        self == Quick::ASK
    }

    /// Whether it takes no bucket to answer: it is to be asked, or everybody has it.
    #[inline]
    pub(crate) fn is_for_all(self) -> bool {
        self.0 >= Quick::ASK.0
    }

    /// The answer for a bucket, where it is not to be asked.
    #[inline]
    pub(crate) fn admits(self, bucket: u64) -> bool {
        Threshold(self.0).is_above(Threshold::below_everyone(bucket))
    }
}

impl From<Threshold> for Quick {
    fn from(threshold: Threshold) -> Quick {
        Quick(threshold.0)
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
