//! Who may be on a list.

use super::sync::{AtomicU64, Ordering};

/// Says of a bucket that no listed user has it, or that one may: a Bloom filter in words (Putze, Sanders, Singler, *Cache-,
/// hash- and space-efficient Bloom filters*, 2007), so that asking is one load. Nothing is ever taken out: a user who is no
/// longer listed is one of whom the snapshot is asked in vain.
#[derive(Debug)]
pub(super) struct Filter {
    /// A power of two of them.
    pub(super) words: Box<[AtomicU64]>,
}

impl Filter {
    /// Sixteen bits a user: 0.8% of those who are not listed may be, with users spread over the words as by Poisson.
    pub(super) const USERS_A_WORD: usize = 4;

    #[inline]
    pub(super) fn may_have(&self, bucket: u64) -> bool {
        let bits = Filter::bits(bucket);
        // Relaxed: whoever was told of an update by an acquire has the bits that were set before it.
        self.word(bucket).is_none_or(|word| word.load(Ordering::Relaxed) & bits == bits)
    }

    pub(super) fn add(&self, bucket: u64) {
        if let Some(word) = self.word(bucket) {
            word.fetch_or(Filter::bits(bucket), Ordering::Relaxed);
        }
    }

    /// By the lowest bits. Whether a threshold is above the bucket is a matter of the highest ones.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
    fn word(&self, bucket: u64) -> Option<&AtomicU64> {
        self.words.get(bucket as usize & (self.words.len() - 1))
    }

    #[inline]
    fn bits(bucket: u64) -> u64 {
        (1 << (bucket >> 32 & 63)) | (1 << (bucket >> 38 & 63)) | (1 << (bucket >> 44 & 63))
    }
}
