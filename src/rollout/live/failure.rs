//! What of the store has failed last, as long as that lasts.

use crate::rollout::{RolloutError, StoreError};

/// Each failure lasts until the same succeeds, or a write does. A disk that is full reads as well as ever, so no read ends
/// a failed write; and a store that answers may have a journal that is damaged.
#[derive(Debug, Default)]
pub(super) struct Failures {
    read: Option<RolloutError>,
    /// Of asking whether the store answers at all.
    answer: Option<RolloutError>,
    write: Option<RolloutError>,
    /// Why the rollbacks that wait are not recorded.
    pending: Option<RolloutError>,
}

impl Failures {
    pub(super) fn last(&self) -> Option<&RolloutError> {
        let failures = [&self.write, &self.pending, &self.read, &self.answer];
        failures.into_iter().find_map(Option::as_ref)
    }

    /// What came of reading on.
    pub(super) fn read<T>(&mut self, read: &Result<T, RolloutError>) {
        self.read = read.as_ref().err().cloned();
    }

    /// Whether the store answers.
    pub(super) fn answered(&mut self, answer: &Result<(), RolloutError>) {
        self.answer = answer.as_ref().err().cloned();
    }

    /// What came of writing a record. A conflict is an answer of a store that works.
    pub(super) fn written<T>(&mut self, written: &Result<T, RolloutError>) {
        match written {
            Ok(_) => (self.read, self.answer, self.write) = (None, None, None),
            Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {}
            Err(error) => self.write = Some(error.clone()),
        }
    }

    /// Why not all that waits is recorded, where that is so.
    pub(super) fn pending(&mut self, error: Option<&RolloutError>) {
        self.pending = error.cloned();
    }
}
