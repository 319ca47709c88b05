//! Being told of updates.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::edit::AudienceChange;
use super::error::UpdateError;
use crate::eval::StageName;

/// What became of an update.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Update<'a> {
    /// It is in force.
    #[non_exhaustive]
    Applied {
        /// The version that it made.
        version: u64,
        /// The flags whose stage or audience it changed, in order of their keys.
        changes: &'a [Change],
    },
    /// It was refused; what was in force still is.
    #[non_exhaustive]
    Refused {
        /// Why.
        error: &'a UpdateError,
    },
}

/// A flag that an update moved, added or took away, or whose audience it edited.
///
/// Printed as `new-checkout: internal -> pilot` or `new-checkout: pilot, team: +994 users`, with the reason if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The flag's key.
    pub flag: Arc<str>,
    /// Its stage before; `None` for a flag that is new.
    pub from: Option<StageName>,
    /// Its stage now; `None` for a flag that is gone.
    pub to: Option<StageName>,
    /// What a document changed of the stage's audience, beside moving the flag.
    pub audience: Vec<AudienceChange>,
    /// The reason that a document or a call gave for what needs one.
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

/// Is told of every update of a gate; a closure of the right shape is one.
///
/// It runs on the thread that updates, so it should be quick. It may ask and update the gate.
pub trait Observer: Send + Sync {
    /// Called once an update is in force or refused.
    fn on_update(&self, update: &Update<'_>);
}

impl<F: Fn(&Update<'_>) + Send + Sync> Observer for F {
    fn on_update(&self, update: &Update<'_>) {
        self(update);
    }
}

/// Who is told, and what was refused last. Only updates come here: questions never do.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    observers: Vec<Arc<dyn Observer>>,
    last_refused: Option<UpdateError>,
}

impl Ledger {
    pub(super) fn observe(&self, observer: Arc<dyn Observer>) {
        self.lock().observers.push(observer);
    }

    pub(super) fn last_refused(&self) -> Option<UpdateError> {
        self.lock().last_refused.clone()
    }

    pub(super) fn applied(&self, version: u64, changes: &[Change]) {
        self.tell(&Update::Applied { version, changes });
    }

    /// Notes and tells the refusal, and gives it back.
    pub(super) fn refuse(&self, error: UpdateError) -> UpdateError {
        self.lock().last_refused = Some(error.clone());
        self.tell(&Update::Refused { error: &error });
        error
    }

    /// Without the lock, so that an observer may come back here.
    fn tell(&self, update: &Update<'_>) {
        let observers = self.lock().observers.clone();
        for observer in observers {
            // The panic has been printed by the hook. Whoever updates, and perhaps rolls back, must
            // not fall over a broken listener.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.on_update(update)));
        }
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("observers", &self.lock().observers.len())
            .finish_non_exhaustive()
    }
}
