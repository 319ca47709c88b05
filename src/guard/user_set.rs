//! A set of users in 8 KiB.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A set of users, one bit for the last 16 bits of a bucket.
///
/// The first bits of a bucket decide who has the flag. The last bits are independent of them, so users who share a
/// bit are equally frequent in both arms.
#[derive(Debug)]
pub(super) struct UserSet {
    words: Box<[AtomicU64]>,
    /// Number of bits set.
    len: AtomicU32,
}

/// 8 KiB of bits. A new user shares a bit with one of `n` others with a probability of about `n / 65,536`.
const BITS: u64 = 1 << 16;

/// Half of the bits. A set with more is cleared, so it wrongly contains at most half of the other users.
const MAX_BITS_SET: u32 = 1 << 15;

impl UserSet {
    pub(super) const BYTES: usize = 1 << 13;

    pub(super) fn new() -> UserSet {
        UserSet {
            words: (0..BITS / 64).map(|_| AtomicU64::new(0)).collect(),
            len: AtomicU32::new(0),
        }
    }

    fn bit(&self, bucket: u64) -> Option<(&AtomicU64, u64)> {
        let bit = bucket % BITS;
        let word = self.words.get(usize::try_from(bit / 64).ok()?)?;
        Some((word, 1 << (bit % 64)))
    }

    /// Returns whether the set contains the user.
    ///
    /// Relaxed, like all orderings here. A read may miss a user that another thread has just inserted. Then one
    /// request of that user counts too many.
    pub(super) fn contains(&self, bucket: u64) -> bool {
        self.bit(bucket).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Inserts a user. Returns whether the user is new.
    pub(super) fn insert(&self, bucket: u64) -> bool {
        let Some((word, bit)) = self.bit(bucket) else { return false };
        // Most users are in the set already. A load leaves the cache line shared, a write does not.
        let is_new = word.load(Ordering::Relaxed) & bit == 0
            && word.fetch_or(bit, Ordering::Relaxed) & bit == 0;
        if is_new {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
        is_new
    }

    pub(super) fn clear(&self) {
        self.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        self.len.store(0, Ordering::Relaxed);
    }

    /// Clears the set if it is too full to tell users apart.
    pub(super) fn clear_if_crowded(&self) {
        if self.len.load(Ordering::Relaxed) > MAX_BITS_SET {
            self.clear();
        }
    }
}
