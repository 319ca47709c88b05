//! The store's current failures.

use crate::rollout::{RolloutError, StoreError};

/// The last failure of each kind of access. It lasts until the same access succeeds, or until a write does.
///
/// A read does not clear a failed write, because a full disk can still be read. An answer does not clear a failed read,
/// because the journal may be damaged.
#[derive(Debug, Default)]
pub(super) struct Failures {
    read: Option<RolloutError>,
    /// From [`Backend::check_readable`](super::Backend::check_readable).
    answer: Option<RolloutError>,
    write: Option<RolloutError>,
    /// Why the pending rollbacks are not recorded.
    pending: Option<RolloutError>,
}

impl Failures {
    pub(super) fn last(&self) -> Option<&RolloutError> {
        let failures = [&self.write, &self.pending, &self.read, &self.answer];
        failures.into_iter().find_map(Option::as_ref)
    }

    /// Notes the result of reading new records.
    pub(super) fn note_read<T>(&mut self, read: &Result<T, RolloutError>) {
        self.read = read.as_ref().err().cloned();
    }

    /// Notes whether the store answers.
    pub(super) fn note_answered(&mut self, answer: &Result<(), RolloutError>) {
        self.answer = answer.as_ref().err().cloned();
    }

    /// Notes the result of writing a record. After a conflict, the store works.
    pub(super) fn note_written<T>(&mut self, written: &Result<T, RolloutError>) {
        match written {
            Ok(_) => (self.read, self.answer, self.write) = (None, None, None),
            Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {}
            Err(error) => self.write = Some(error.clone()),
        }
    }

    /// Notes why rollbacks are still pending, or `None` if all are recorded.
    pub(super) fn note_pending(&mut self, error: Option<&RolloutError>) {
        self.pending = error.cloned();
    }
}
