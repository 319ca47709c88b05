//! Publishes whenever there is something else to say.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use stagegate::rollout::{Hash, Rollout};

use super::health::{Health, Part};
use crate::failure::Failure;
use crate::published::{Declared, Published};

/// Writes the document as it stands to a file, where one was named.
#[derive(Debug)]
pub(super) struct Publisher {
    file: Option<PathBuf>,
    health: Arc<Health>,
    last: Mutex<Option<Last>>,
}

/// What was published last: a document, and where each flag of it was.
type Last = (Hash, Vec<Declared>);

impl Publisher {
    pub(super) fn new(file: Option<PathBuf>, health: &Arc<Health>) -> Publisher {
        Publisher { file, health: Arc::clone(health), last: Mutex::default() }
    }

    /// One at a time, each of what is in force then: no older one comes last.
    pub(super) fn publish(&self, rollout: &Rollout) {
        let Some(file) = &self.file else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let status = rollout.status();
        let present =
            (status.document, status.flags.iter().map(|flag| Declared::of(flag, None)).collect());
        if last.as_ref() == Some(&present) {
            return;
        }
        let written = Published::of(rollout).and_then(|published| published.write(file));
        *last = written.is_ok().then_some(present);
        self.health.complained(Part::Publish, written.err().map(Failure::message));
    }
}
