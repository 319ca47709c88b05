//! Being told of what following comes to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::SourceError;
use crate::gate::UpdateError;

/// What has happened while following.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FollowEvent {
    /// A document is in force.
    #[non_exhaustive]
    Applied {
        /// The version that it made.
        version: u64,
    },
    /// A document was refused. Told once for each.
    #[non_exhaustive]
    Refused {
        /// Why.
        error: UpdateError,
    },
    /// The source does not say what the document is. Told once, until it says something else.
    #[non_exhaustive]
    Unreachable {
        /// Why.
        error: SourceError,
    },
    /// The source has said again what was in force all the time.
    Recovered,
    /// The gate started from the last known good.
    #[non_exhaustive]
    StartedFromLastKnownGood {
        /// How long ago that was written.
        age: Duration,
    },
    /// Something is not as it should be, and following goes on: a file without a watch is polled, the last known good
    /// cannot be written.
    #[non_exhaustive]
    Note {
        /// What.
        text: String,
    },
}

/// Is told what happens while following; a closure of the right shape is one.
///
/// It runs on the thread that follows, or on the one that refreshes. It may ask and refresh.
pub trait FollowObserver: Send + Sync {
    /// Called after it has happened.
    fn on_event(&self, event: &FollowEvent);
}

impl<F: Fn(&FollowEvent) + Send + Sync> FollowObserver for F {
    fn on_event(&self, event: &FollowEvent) {
        self(event);
    }
}

pub(super) fn tell(observers: &[Arc<dyn FollowObserver>], events: &[FollowEvent]) {
    for event in events {
        for observer in observers {
            // The panic has been printed by the hook. Following goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.on_event(event)));
        }
    }
}
