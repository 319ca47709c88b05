//! What a question is answered by without looking at a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::Filter;
use crate::eval::{AsUser, Flag, Quick, Salt};

/// One flag of a gate, for a handle and its clones, or for those who ask by name: the salt and the threshold that the snapshot in force has for it, next to each
/// other. Most flags most of the time need no more.
///
/// # How it stays in step with the snapshots
///
/// An update first sets all shortcuts that it changes to [`Quick::ASK`], then swaps the snapshot, then gives each its new
/// threshold. Whoever asks in between asks the snapshots, of which there is one in force at any moment. So the swap is when
/// an update happens, for shortcuts too: a thread that was answered by the new version, in whatever way, has what was done
/// before the swap behind it, and finds no threshold of the old version any more.
#[derive(Debug)]
pub(super) struct Shortcut {
    /// Never another: a flag whose salt is changed later is looked up in the snapshot.
    salt: Salt,
    quick: AtomicU64,
    /// Of whom the snapshot is asked although `quick` has a threshold. Flags whose groups are lists have one: most who ask are
    /// on none.
    listed: Option<Arc<Filter>>,
}

impl Shortcut {
    /// The answer, if the snapshot is not to be asked.
    #[inline]
    pub(super) fn is_enabled(&self, user: &impl AsUser) -> Option<bool> {
        // Acquire: pairs with the release in `set`. What was done before this was set, a swap too, is done for this thread.
        let quick = Quick::from_word(self.quick.load(Ordering::Acquire));
        let bucket = || self.salt.bucket_of(user.key().as_bytes());
        match &self.listed {
            None => quick.is_enabled(bucket),
            Some(listed) => {
                let bucket = bucket();
                if listed.may_have(bucket) { None } else { quick.is_enabled(|| bucket) }
            }
        }
    }

    pub(super) fn new(flag: Option<&Flag>, key: &str, listed: Option<Arc<Filter>>) -> Shortcut {
        // A flag that comes later has the salt that its key makes, unless its document says otherwise.
        let salt = flag.map_or_else(|| Salt::new(key), Flag::salt);
        let shortcut = Shortcut { salt, quick: AtomicU64::new(Quick::ASK.to_word()), listed };
        shortcut.set(shortcut.of(flag));
        shortcut
    }

    /// What it is to be where this is the flag.
    pub(super) fn of(&self, flag: Option<&Flag>) -> Quick {
        match flag {
            None => Quick::NOBODY,
            Some(flag) if flag.salt() != self.salt => Quick::ASK,
            Some(flag) if self.knows_lists_of(flag) => flag.quick_unless_listed(),
            Some(flag) => flag.quick(),
        }
    }

    fn knows_lists_of(&self, flag: &Flag) -> bool {
        let room =
            self.listed.as_ref().map_or(0, |listed| listed.words.len() * Filter::USERS_A_WORD);
        flag.most_listed().is_some_and(|users| users <= room)
    }

    /// The filter, for another shortcut to this flag.
    pub(super) fn listed_of(&self, flag: &Flag) -> Option<&Arc<Filter>> {
        self.listed.as_ref().filter(|_| flag.salt() == self.salt && self.knows_lists_of(flag))
    }

    /// To be done before the swap to a snapshot with this flag.
    pub(super) fn add_listed(&self, flag: &Flag) {
        if let Some(listed) = self.listed.as_ref().filter(|_| self.knows_lists_of(flag)) {
            flag.listed().for_each(|bucket| listed.add(bucket));
        }
    }

    pub(super) fn is(&self, quick: Quick) -> bool {
        // Relaxed: whoever sets it holds the lock.
        self.quick.load(Ordering::Relaxed) == quick.to_word()
    }

    pub(super) fn set(&self, quick: Quick) {
        // Release: pairs with the acquire in `is_enabled`.
        self.quick.store(quick.to_word(), Ordering::Release);
    }
}
