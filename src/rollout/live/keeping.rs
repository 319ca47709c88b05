//! Keeping the file of intents as the rollbacks are that wait.

use std::sync::{MutexGuard, PoisonError, TryLockError};

use super::Shared;
use super::front::Front;
use super::intents::{Intent, Intents};

impl Shared {
    /// Has the file say what is in force and not recorded. While another thread is at it, that one looks once more.
    pub(super) fn keep_intents(&self) {
        let Some(intents) = &self.intents else { return };
        let open = || -> Option<MutexGuard<'_, Intents>> {
            match intents.try_lock() {
                Ok(file) => Some(file),
                Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
                Err(TryLockError::WouldBlock) => None,
            }
        };
        while !self.front().is_kept() {
            let Some(file) = open() else { return };
            let (names, list) = {
                let front = self.front();
                (front.names(), front.pending.iter().map(Intent::of).collect::<Vec<_>>())
            };
            let written = file.write(&list);
            let mut front = self.front();
            front.kept = written.is_ok().then_some(names);
            front.unkept = written.err();
            if front.unkept.is_some() {
                return;
            }
        }
    }
}

impl Front {
    fn is_kept(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| *kept == self.names())
    }

    /// What tells one state of the waiting rollbacks from another.
    fn names(&self) -> Vec<(u64, usize)> {
        self.pending.iter().map(|pending| (pending.number, pending.facts.len())).collect()
    }
}
