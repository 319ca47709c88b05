//! A filter that rules out most users who are on no list.

use std::sync::atomic::{AtomicU64, Ordering};

/// A Bloom filter over the buckets of the users that a flag's groups list.
///
/// All bits of a user are in one word, so a lookup is one load (Putze, Sanders, Singler, *Cache-, Hash- and
/// Space-Efficient Bloom Filters*, 2007).
#[derive(Debug)]
pub(crate) struct ListFilter {
    /// A power of two.
    words: Box<[u64]>,
    id: u64,
}

impl ListFilter {
    /// The number of different sizes: each power of two up to the filter of `MAX_FILTERED_USERS`.
    pub(crate) const SIZES: usize = 21;

    /// Gives each user 16 to 32 bits. With 16 bits, 0.8% of all other users pass, if the words fill like a Poisson
    /// process.
    const USERS_PER_WORD: usize = 4;

    /// Creates the filter over `users` buckets.
    pub(super) fn new(users: usize, buckets: impl Iterator<Item = u64>) -> ListFilter {
        // Relaxed: only the uniqueness of the number matters.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let words = users.div_ceil(ListFilter::USERS_PER_WORD).next_power_of_two();
        let mut words = vec![0; words].into_boxed_slice();
        for bucket in buckets {
            let index = ListFilter::index(bucket, words.len());
            if let Some(word) = words.get_mut(index) {
                *word |= ListFilter::bits(bucket);
            }
        }
        ListFilter { words, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Returns a number that no other filter of the process has.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Returns `false` only if no listed user has this bucket.
    #[inline(always)]
    pub(super) fn may_contain(&self, bucket: u64) -> bool {
        let word = self.words.get(ListFilter::index(bucket, self.words.len()));
        word.is_none_or(|word| ListFilter::is_match(*word, bucket))
    }

    /// Returns the word of a bucket. Uses the lowest bits: the comparison with a threshold depends on the highest ones.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are used")]
    pub(crate) fn index(bucket: u64, words: usize) -> usize {
        bucket as usize & (words - 1)
    }

    /// Returns whether a word has all bits of a bucket.
    #[inline(always)]
    pub(crate) fn is_match(word: u64, bucket: u64) -> bool {
        let bits = ListFilter::bits(bucket);
        word & bits == bits
    }

    #[inline(always)]
    fn bits(bucket: u64) -> u64 {
        (1 << (bucket >> 32 & 63)) | (1 << (bucket >> 38 & 63)) | (1 << (bucket >> 44 & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::Salt;

    fn buckets(users: std::ops::Range<u32>) -> impl Iterator<Item = u64> {
        users.map(|user| Salt::new("new-checkout").bucket(user))
    }

    #[test]
    fn no_listed_user_is_ruled_out_and_few_others_pass() {
        for users in [1, 3, 4, 5, 1_000, 100_000] {
            let filter = ListFilter::new(users as usize, buckets(0..users));
            assert!(buckets(0..users).all(|bucket| filter.may_contain(bucket)));
            let others = buckets(1_000_000..1_100_000);
            let passed = others.filter(|bucket| filter.may_contain(*bucket)).count();
            assert!(passed < 1_000, "{passed} of 100,000 other users pass a filter of {users}");
        }
    }
}
