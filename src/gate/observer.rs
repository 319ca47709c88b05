//! Observers, which are called for each update of a gate.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::edit::AudienceChange;
use super::error::UpdateError;
use crate::eval::StageName;

/// The outcome of an update.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Update<'a> {
    /// The update is in force.
    #[non_exhaustive]
    Applied {
        /// The version that the update created.
        version: u64,
        /// The flags that the update changed, in order of their keys.
        changes: &'a [Change],
    },
    /// The update was refused. The state before it stays in force.
    #[non_exhaustive]
    Refused {
        /// Why the update was refused.
        error: &'a UpdateError,
    },
}

/// The change of one flag by an update: another stage, another audience, or a flag that is added or removed.
///
/// Prints as `new-checkout: internal -> pilot` or `new-checkout: pilot, team: +994 users`, with the reason if there is
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The flag's key.
    pub flag: Arc<str>,
    /// The stage before; `None` for a flag that the update added.
    pub from: Option<StageName>,
    /// The stage now; `None` for a flag that the update removed.
    pub to: Option<StageName>,
    /// Edits of the stage's audience. Moving the flag to another stage is not an edit.
    pub audience: Vec<AudienceChange>,
    /// The document's `skip_reason` if the change needed it, or the reason given to
    /// [`Gate::force_stage`](super::Gate::force_stage).
    pub reason: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |stage: &Option<StageName>| {
            stage.map_or_else(|| "(none)".to_owned(), |s| s.to_string())
        };
        match self.from == self.to {
            true => write!(f, "{}: {}", self.flag, name(&self.to))?,
            false => write!(f, "{}: {} -> {}", self.flag, name(&self.from), name(&self.to))?,
        }
        self.audience.iter().try_for_each(|change| write!(f, ", {change}"))?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({})", reason.escape_debug()))
    }
}

/// A callback for each update of a gate. A closure with one `&Update<'_>` argument is an observer.
///
/// It runs on the thread that updates the gate, so it should return quickly. It may check and update the gate.
pub trait Observer: Send + Sync {
    /// Called after an update is in force, or is refused.
    fn on_update(&self, update: &Update<'_>);
}

impl<F: Fn(&Update<'_>) + Send + Sync> Observer for F {
    fn on_update(&self, update: &Update<'_>) {
        self(update);
    }
}

/// The observers of a gate, and its last refused update. Updates take this lock, checks do not.
#[derive(Default)]
pub(super) struct Observers(Mutex<State>);

#[derive(Default)]
struct State {
    observers: Vec<Arc<dyn Observer>>,
    last_refused: Option<UpdateError>,
}

impl Observers {
    pub(super) fn add(&self, observer: Arc<dyn Observer>) {
        self.lock().observers.push(observer);
    }

    pub(super) fn last_refused(&self) -> Option<UpdateError> {
        self.lock().last_refused.clone()
    }

    pub(super) fn notify_applied(&self, version: u64, changes: &[Change]) {
        self.notify(&Update::Applied { version, changes });
    }

    /// Keeps the error as the last refused update, calls the observers, and returns the error.
    pub(super) fn notify_refused(&self, error: UpdateError) -> UpdateError {
        self.lock().last_refused = Some(error.clone());
        self.notify(&Update::Refused { error: &error });
        error
    }

    /// Calls the observers without holding the lock, so that an observer may update the gate.
    fn notify(&self, update: &Update<'_>) {
        let observers = self.lock().observers.clone();
        for observer in observers {
            // A broken observer must not stop an update, such as a rollback. The panic hook has printed the panic.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.on_update(update)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so the content of a poisoned lock is valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers")
            .field("observers", &self.lock().observers.len())
            .finish_non_exhaustive()
    }
}
