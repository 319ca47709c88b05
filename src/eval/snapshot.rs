//! Snapshots: immutable versions of all flags.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::evaluation::{Evaluation, Reason};
use super::flag::Flag;
use super::names::{ABSENT, Names};
use super::perfect_hash::PerfectHash;
use super::removed::Removed;
use super::user::AsUser;

/// One validated, immutable version of all flags.
#[derive(Debug)]
pub(crate) struct Snapshot {
    version: u64,
    /// Unique in the process. A snapshot has a higher token than the snapshot that it was made from.
    token: u64,
    /// The token of the first snapshot of the same document.
    document: u64,
    /// A copy of the number of `names`, which saves a load.
    index: u32,
    names: Arc<Names>,
    /// In order of their keys.
    flags: Vec<Flag>,
    removed: Removed,
}

/// The result of a lookup by name, to be remembered: the index that was searched, and the slot of the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    index: u32,
    /// `ABSENT` if the index does not have the name.
    slot: u32,
}

impl Slot {
    /// Returns both numbers in one word.
    #[inline]
    pub(crate) fn to_word(self) -> u64 {
        (u64::from(self.index) << 32) | u64::from(self.slot)
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "takes the two halves apart")]
    pub(crate) fn from_word(word: u64) -> Slot {
        Slot { index: (word >> 32) as u32, slot: word as u32 }
    }
}

impl Snapshot {
    /// Creates a snapshot of these flags, which must have different names. Shares the index of `previous` if the names
    /// are the same.
    pub(crate) fn new(version: u64, mut flags: Vec<Flag>, previous: Option<&Snapshot>) -> Snapshot {
        flags.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        let names = match previous {
            Some(previous) if same_names(&previous.flags, &flags) => Arc::clone(&previous.names),
            _ => Arc::new(Names::new(&flags)),
        };
        let removed = match previous {
            None => Removed::default(),
            Some(previous) if Arc::ptr_eq(&previous.names, &names) => previous.removed.clone(),
            Some(previous) => previous.removed.after(version, &previous.flags, &flags),
        };
        Snapshot::of(version, None, names, flags, removed)
    }

    fn of(
        version: u64,
        document: Option<u64>,
        names: Arc<Names>,
        flags: Vec<Flag>,
        removed: Removed,
    ) -> Snapshot {
        // Relaxed: each call gets a unique number. It is higher than the token of the previous snapshot, which this
        // thread has read.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        let document = document.unwrap_or(token);
        Snapshot { version, token, document, index: names.id(), names, flags, removed }
    }

    /// Returns the next version, in which each flag replaces the flag in its slot. Both must have the same key.
    pub(crate) fn with(&self, replaced: impl IntoIterator<Item = (usize, Flag)>) -> Snapshot {
        let mut flags = self.flags.clone();
        for (slot, flag) in replaced {
            if let Some(place) = flags.get_mut(slot) {
                *place = flag;
            }
        }
        let (names, removed) = (Arc::clone(&self.names), self.removed.clone());
        Snapshot::of(self.version + 1, Some(self.document), names, flags, removed)
    }

    /// Returns a removed flag as it was before the removal, without listed users.
    pub(crate) fn removed(&self, key: &str) -> Option<&Flag> {
        self.removed.flag(key)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Returns a number that is unique in the process. A snapshot has a higher one than the snapshot that it was made
    /// from.
    #[inline]
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Returns a number that snapshots with the same definitions of flags share.
    pub(crate) fn document(&self) -> u64 {
        self.document
    }

    pub(crate) fn perfect_hash(&self) -> &PerfectHash {
        self.names.hash()
    }

    /// Returns every flag, in order of the keys.
    pub(crate) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Returns the flag with this key or further name.
    #[inline(always)]
    pub(crate) fn flag(&self, name: &str) -> Option<&Flag> {
        self.find(name).map(|(_, flag)| flag)
    }

    /// Returns the flag with this key or further name, and its index in [`flags`](Self::flags).
    #[inline(always)]
    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Flag)> {
        let slot = self.names.slot(name, &self.flags)? as usize;
        Some((slot, self.flags.get(slot)?))
    }

    /// Returns the flag with this key, and its index in [`flags`](Self::flags). Ignores further names.
    pub(crate) fn find_key(&self, key: &str) -> Option<(usize, &Flag)> {
        self.find(key).filter(|(_, flag)| flag.key().as_str() == key)
    }

    /// Returns the slot of a name, to be remembered for [`at`](Self::at).
    pub(crate) fn slot(&self, name: &str) -> Slot {
        let slot = self.names.slot(name, &self.flags).unwrap_or(ABSENT);
        Slot { index: self.index, slot }
    }

    /// Returns the flag at a remembered slot. Fails if the slot belongs to another index.
    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> Result<Option<&Flag>, OtherIndex> {
        if slot.index == self.index {
            Ok(self.flags.get(slot.slot as usize))
        } else {
            Err(OtherIndex)
        }
    }

    /// Returns whether the user has the flag. An unknown flag is off.
    #[inline(always)]
    pub(crate) fn is_enabled(&self, flag: &str, user: &impl AsUser) -> bool {
        self.flag(flag).is_some_and(|flag| flag.is_enabled(user, self))
    }

    #[inline(always)]
    pub(crate) fn evaluate(&self, flag: Option<&Flag>, user: &impl AsUser) -> Evaluation {
        match flag {
            Some(flag) => flag.evaluate(user, self),
            None => Evaluation {
                enabled: false,
                reason: Reason::FlagNotFound,
                stage: None,
                cohort: None,
                bucket: None,
                version: self.version,
            },
        }
    }
}

/// The error of a slot that belongs to another index.
#[derive(Debug)]
pub(crate) struct OtherIndex;

fn same_names(a: &[Flag], b: &[Flag]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.names().eq(b.names()))
}
