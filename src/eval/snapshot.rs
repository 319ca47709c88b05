//! One validated, immutable state of all flags.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::evaluation::{Evaluation, Reason};
use super::flag::Flag;
use super::names::Names;
use super::places::{ABSENT, Places};
use super::removed::Removed;
use super::user::AsUser;

/// Every flag of one version.
#[derive(Debug)]
pub(crate) struct Snapshot {
    version: u64,
    token: u64,
    /// That of `names`, at hand.
    index: u32,
    names: Arc<Names>,
    /// In order of their keys.
    flags: Vec<Flag>,
    removed: Removed,
}

/// Where a key's flag stood when last looked up: the index asked and the slot found in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    index: u32,
    /// `ABSENT` where the index has no such key.
    slot: u32,
}

impl Slot {
    /// Both halves in one word.
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
    /// A snapshot of these flags, each key at most once. Takes over the index of `previous` when
    /// the keys are the same.
    pub(crate) fn new(version: u64, mut flags: Vec<Flag>, previous: Option<&Snapshot>) -> Snapshot {
        flags.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        let names = match previous {
            Some(previous) if same_keys(&previous.flags, &flags) => Arc::clone(&previous.names),
            _ => Arc::new(Names::new(&flags)),
        };
        let removed = match previous {
            None => Removed::default(),
            Some(previous) if Arc::ptr_eq(&previous.names, &names) => previous.removed.clone(),
            Some(previous) => previous.removed.after(version, &previous.flags, &flags),
        };
        Snapshot::of(version, names, flags, removed)
    }

    fn of(version: u64, names: Arc<Names>, flags: Vec<Flag>, removed: Removed) -> Snapshot {
        // Relaxed: all that counts is that each call gets a number, higher than that of the
        // snapshot it was made from, which its thread has seen.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let token = NEXT.fetch_add(1, Ordering::Relaxed);
        Snapshot { version, token, index: names.index(), names, flags, removed }
    }

    /// The next version, with one flag replaced by one of the same key.
    pub(crate) fn with(&self, slot: usize, flag: Flag) -> Snapshot {
        let mut flags = self.flags.clone();
        if let Some(place) = flags.get_mut(slot) {
            *place = flag;
        }
        let (names, removed) = (Arc::clone(&self.names), self.removed.clone());
        Snapshot::of(self.version + 1, names, flags, removed)
    }

    /// The flag of that key as it was when it was removed, without listed users.
    pub(crate) fn removed(&self, key: &str) -> Option<&Flag> {
        self.removed.flag(key)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// No two snapshots of the process have the same, and one made from another has a higher one.
    #[inline]
    pub(crate) fn token(&self) -> u64 {
        self.token
    }

    /// Whether both have the same flags, each at the same place.
    pub(crate) fn has_names_of(&self, other: &Snapshot) -> bool {
        self.index == other.index
    }

    /// Where the names of the flags are, and which flag is at each place.
    pub(crate) fn places(&self) -> (&Places, &[u32]) {
        self.names.places()
    }

    /// Every flag, in order of their keys.
    pub(crate) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    #[inline(always)]
    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.find(key).map(|(_, flag)| flag)
    }

    /// The flag with that key, and its place in [`flags`](Self::flags).
    #[inline(always)]
    pub(crate) fn find(&self, key: &str) -> Option<(usize, &Flag)> {
        let slot = self.names.slot(key, &self.flags)? as usize;
        Some((slot, self.flags.get(slot)?))
    }

    /// What to remember of a key, for [`at`](Self::at).
    pub(crate) fn slot(&self, key: &str) -> Slot {
        let slot = self.names.slot(key, &self.flags).unwrap_or(ABSENT);
        Slot { index: self.index, slot }
    }

    /// The flag at a remembered slot; `Err` when the slot is of another index.
    #[inline]
    pub(crate) fn at(&self, slot: Slot) -> Result<Option<&Flag>, OtherIndex> {
        if slot.index == self.index {
            Ok(self.flags.get(slot.slot as usize))
        } else {
            Err(OtherIndex)
        }
    }

    pub(crate) fn evaluate(&self, flag: Option<&Flag>, user: &impl AsUser) -> Evaluation {
        match flag {
            Some(flag) => flag.evaluate(user, self.version),
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

/// A slot remembered from another index.
#[derive(Debug)]
pub(crate) struct OtherIndex;

fn same_keys(a: &[Flag], b: &[Flag]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key() == b.key())
}
