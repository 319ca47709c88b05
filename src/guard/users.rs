//! A set of users in bounded memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A bit for the last digits of a user's bucket. The first ones say who has the flag, so that users
/// who share a bit are as many in both arms: what one of them keeps out, is kept out of both alike.
#[derive(Debug)]
pub(super) struct Users {
    words: Box<[AtomicU64]>,
    /// How many bits are set.
    len: AtomicU32,
}

/// 8 KiB. Of the users who come after `n` others, `n / 65,536` share a bit with one of them.
const BITS: u64 = 1 << 16;

/// With more than this many it is emptied: so it keeps out at most half of the users who are not in it.
const MOST: u32 = 1 << 15;

impl Users {
    pub(super) const BYTES: usize = 1 << 13;

    pub(super) fn new() -> Users {
        Users { words: (0..BITS / 64).map(|_| AtomicU64::new(0)).collect(), len: AtomicU32::new(0) }
    }

    fn place(&self, bucket: u64) -> Option<(&AtomicU64, u64)> {
        let bit = bucket % BITS;
        let word = self.words.get(usize::try_from(bit / 64).ok()?)?;
        Some((word, 1 << (bit % 64)))
    }

    /// Relaxed, as all here: what another thread has just put in may be missed, which counts one
    /// request of a user more.
    pub(super) fn has(&self, bucket: u64) -> bool {
        self.place(bucket).is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Puts a user in; whether they were not.
    pub(super) fn insert(&self, bucket: u64) -> bool {
        let Some((word, bit)) = self.place(bucket) else { return false };
        // Most are in already: a load shares the line, a write does not.
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

    /// Empties it where it has become too full to tell users apart.
    pub(super) fn renew(&self) {
        if self.len.load(Ordering::Relaxed) > MOST {
            self.clear();
        }
    }
}
