//! Events of a follower, and the observers that receive them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::SourceError;
use crate::gate::UpdateError;

/// An event of a follower.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FollowEvent {
    /// A document took effect.
    #[non_exhaustive]
    Applied {
        /// The gate's new version.
        version: u64,
    },
    /// A document was refused. Reported once for each document.
    #[non_exhaustive]
    Refused {
        /// The reason.
        error: UpdateError,
    },
    /// The source could not read the document. The same error is reported once, until it goes away.
    #[non_exhaustive]
    Unreachable {
        /// The reason.
        error: SourceError,
    },
    /// The source has the current document again, after an error or a refused document.
    Recovered,
    /// The gate started from the last known good.
    #[non_exhaustive]
    StartedFromLastKnownGood {
        /// The time since the file was written.
        age: Duration,
    },
    /// A problem that does not stop the follower. Examples: a file cannot be watched and is only polled, or the last
    /// known good cannot be written.
    #[non_exhaustive]
    Note {
        /// The problem.
        text: String,
    },
}

/// A receiver of [`FollowEvent`]s. A closure `Fn(&FollowEvent)` is an observer too.
///
/// It runs on the follower's thread, or on the thread that calls `refresh_now`. It may use the gate and the follower.
pub trait FollowObserver: Send + Sync {
    /// Receives an event after it has happened.
    fn on_event(&self, event: &FollowEvent);
}

impl<F: Fn(&FollowEvent) + Send + Sync> FollowObserver for F {
    fn on_event(&self, event: &FollowEvent) {
        self(event);
    }
}

pub(super) fn notify(observers: &[Arc<dyn FollowObserver>], events: &[FollowEvent]) {
    for event in events {
        for observer in observers {
            // The panic hook has printed the panic. The follower continues.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.on_event(event)));
        }
    }
}
