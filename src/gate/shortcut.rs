//! What a handle answers by without looking at a snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::eval::{AsUser, Flag, Quick, Salt};

/// One flag of a gate, for all its handles: the salt and the threshold that the snapshot in force has for it, next to each
/// other. Most flags most of the time need no more.
///
/// # How it stays in step with the snapshots
///
/// An update first sets all shortcuts that it changes to [`Quick::ASK`], then swaps the snapshot, then gives each its new
/// threshold. Whoever asks in between asks the snapshots, of which there is one in force at any moment. So the swap is when
/// an update happens, for handles too: a thread that was answered by the new version, in whatever way, has what was done
/// before the swap behind it, and finds no threshold of the old version any more.
#[derive(Debug)]
pub(super) struct Shortcut {
    /// Never another: a flag whose salt is changed while the gate lives is looked up in the snapshot by the handles that are
    /// there already.
    salt: Salt,
    quick: AtomicU64,
}

impl Shortcut {
    /// The answer, if the snapshot is not to be asked.
    #[inline]
    pub(super) fn is_enabled(&self, user: &impl AsUser) -> Option<bool> {
        // Acquire: pairs with the release in `set`. What was done before this was set, a swap too, is done for this thread.
        let quick = Quick::from_word(self.quick.load(Ordering::Acquire));
        quick.is_enabled(|| self.salt.bucket_of(user.key().as_bytes()))
    }

    pub(super) fn new(flag: Option<&Flag>, key: &str) -> Shortcut {
        // A flag that comes later has the salt that its key makes, unless its document says otherwise.
        let salt = flag.map_or_else(|| Salt::new(key), Flag::salt);
        Shortcut { salt, quick: AtomicU64::new(flag.map_or(Quick::NOBODY, Flag::quick).to_word()) }
    }

    /// What it is to be where this is the flag.
    pub(super) fn of(&self, flag: Option<&Flag>) -> Quick {
        match flag {
            None => Quick::NOBODY,
            Some(flag) if flag.salt() == self.salt => flag.quick(),
            Some(_) => Quick::ASK,
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
