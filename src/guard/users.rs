//! A set of users in bounded memory.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for the last digits of a user's bucket. The first ones say who has the flag, so that users
/// who share a bit are as many in both arms: what one of them keeps out, is kept out of both alike.
#[derive(Debug)]
pub(super) struct Users(Box<[AtomicU64]>);

/// 8 KiB. Of the users who come after `n` others, `n / 65,536` share a bit with one of them.
const BITS: u64 = 1 << 16;

impl Users {
    pub(super) const BYTES: usize = 1 << 13;

    pub(super) fn new() -> Users {
        Users((0..BITS / 64).map(|_| AtomicU64::new(0)).collect())
    }

    fn place(&self, bucket: u64) -> Option<(&AtomicU64, u64)> {
        let bit = bucket % BITS;
        let word = self.0.get(usize::try_from(bit / 64).ok()?)?;
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
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}
