//! The options of a follower.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::FollowObserver;
use crate::clock::{Clock, SystemClock};

/// The options of a [`Follower`](super::Follower).
///
/// # Example
///
/// ```
/// use stagegate::source::{FollowEvent, FollowOptions, WithoutDocument};
///
/// let options = FollowOptions::new()
///     .last_known_good("/var/lib/shop/rollout.last")
///     .without_document(WithoutDocument::AllOff)
///     .observe(|event: &FollowEvent| eprintln!("{event:?}"));
/// # drop(options);
/// ```
#[derive(Clone)]
pub struct FollowOptions {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observers: Vec<Arc<dyn FollowObserver>>,
    pub(super) last_known_good: Option<PathBuf>,
    pub(super) environment: Option<Arc<str>>,
    pub(super) without_document: WithoutDocument,
    pub(super) has_thread: bool,
}

/// What [`Follower::start`](super::Follower::start) does if no valid document is available, neither from the source nor
/// from the last known good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithoutDocument {
    /// Starting fails.
    #[default]
    Refuse,
    /// Starting succeeds with an empty gate. All flags are off until the first document arrives.
    AllOff,
}

impl FollowOptions {
    /// Returns the defaults: a background thread, the system clock, no observers and no last known good.
    #[must_use]
    pub fn new() -> FollowOptions {
        FollowOptions {
            clock: Arc::new(SystemClock::new()),
            observers: Vec::new(),
            last_known_good: None,
            environment: None,
            without_document: WithoutDocument::Refuse,
            has_thread: true,
        }
    }

    /// Adds an observer, which receives each [`FollowEvent`](super::FollowEvent).
    #[must_use]
    pub fn observe(mut self, observer: impl FollowObserver + 'static) -> FollowOptions {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Keeps the last document that took effect in this file, for a start without the source. Use one file for each
    /// gate and process.
    ///
    /// The follower creates a missing directory, readable only by its owner. On Unix, it neither reads nor writes if
    /// other users can write to the directory or the file, or if their owner is not this user or root.
    #[must_use]
    pub fn last_known_good(mut self, path: impl Into<PathBuf>) -> FollowOptions {
        self.last_known_good = Some(path.into());
        self
    }

    /// Chooses the [environment](crate::Document::environment) of every document.
    #[must_use]
    pub fn environment(mut self, name: impl Into<Arc<str>>) -> FollowOptions {
        self.environment = Some(name.into());
        self
    }

    /// Sets what starting does if no valid document is available. The default is [`WithoutDocument::Refuse`].
    #[must_use]
    pub fn without_document(mut self, without_document: WithoutDocument) -> FollowOptions {
        self.without_document = without_document;
        self
    }

    /// Measures ages with this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> FollowOptions {
        self.clock = Arc::new(clock);
        self
    }

    /// Starts no thread. Call [`refresh_now`](super::Follower::refresh_now) in your own loop.
    #[must_use]
    pub fn by_hand(mut self) -> FollowOptions {
        self.has_thread = false;
        self
    }
}

impl Default for FollowOptions {
    fn default() -> FollowOptions {
        FollowOptions::new()
    }
}

impl fmt::Debug for FollowOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowOptions")
            .field("observers", &self.observers.len())
            .field("last_known_good", &self.last_known_good)
            .field("environment", &self.environment)
            .field("without_document", &self.without_document)
            .field("has_thread", &self.has_thread)
            .finish_non_exhaustive()
    }
}
