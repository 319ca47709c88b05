//! Writing the file of intents, so that it holds the pending rollbacks.

use std::sync::{MutexGuard, PoisonError, TryLockError};

use super::Shared;
use super::intents::{Intent, Intents};
use super::live_state::LiveState;

impl Shared {
    /// Writes the pending rollbacks to the file if they have changed. If another thread is writing, that thread checks
    /// for changes again.
    pub(super) fn save_intents(&self) {
        let Some(intents) = &self.intents else { return };
        let try_lock_file = || -> Option<MutexGuard<'_, Intents>> {
            match intents.try_lock() {
                Ok(file) => Some(file),
                Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
                Err(TryLockError::WouldBlock) => None,
            }
        };
        while !self.lock_live().intents_are_saved() {
            let Some(file) = try_lock_file() else { return };
            let (ids, list) = {
                let live = self.lock_live();
                (live.pending_ids(), live.pending.iter().map(Intent::of).collect::<Vec<_>>())
            };
            let written = file.write(&list);
            let mut live = self.lock_live();
            live.saved_intents = written.is_ok().then_some(ids);
            live.intents_error = written.err();
            if live.intents_error.is_some() {
                return;
            }
        }
    }
}

impl LiveState {
    fn intents_are_saved(&self) -> bool {
        self.saved_intents.as_ref().is_some_and(|saved| *saved == self.pending_ids())
    }

    /// Identifies the current pending rollbacks, to detect changes.
    fn pending_ids(&self) -> Vec<(u64, usize)> {
        self.pending.iter().map(|pending| (pending.number, pending.facts.len())).collect()
    }
}
