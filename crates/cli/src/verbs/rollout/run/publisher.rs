//! `run --publish`: publishes the document at each change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use stagegate::rollout::{Hash, Rollout};

use super::health::{Component, Health};
use crate::failure::Failure;
use crate::published::{FlagDeclaration, PublishedDocument};

/// A publisher to the file of `--publish`, if given.
#[derive(Debug)]
pub(super) struct Publisher {
    file: Option<PathBuf>,
    health: Arc<Health>,
    last: Mutex<Option<LastPublished>>,
}

/// The last published state: the document's hash, and the declarations of its flags.
type LastPublished = (Hash, Vec<FlagDeclaration>);

impl Publisher {
    pub(super) fn new(file: Option<PathBuf>, health: &Arc<Health>) -> Publisher {
        Publisher { file, health: Arc::clone(health), last: Mutex::default() }
    }

    /// Publishes if the document or a flag has changed. The lock makes each write current: an older state never
    /// overwrites a newer one.
    pub(super) fn publish(&self, rollout: &Rollout) {
        let Some(file) = &self.file else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let status = rollout.status();
        let current = (
            status.document,
            status.flags.iter().map(|flag| FlagDeclaration::of(flag, None)).collect(),
        );
        if last.as_ref() == Some(&current) {
            return;
        }
        let written = PublishedDocument::of(rollout).and_then(|published| published.write(file));
        *last = written.is_ok().then_some(current);
        self.health.set_error(Component::Publish, written.err().map(Failure::message));
    }
}
