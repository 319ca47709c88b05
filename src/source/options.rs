//! How to follow.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::FollowObserver;
use crate::clock::{Clock, SystemClock};

/// How a [`Follower`](super::Follower) follows.
///
/// # Example
///
/// ```
/// use stagegate::source::{FollowEvent, FollowOptions, WithNothing};
///
/// let options = FollowOptions::new()
///     .last_known_good("/var/lib/shop/rollout.last")
///     .with_nothing(WithNothing::AllOff)
///     .observe(|event: &FollowEvent| eprintln!("{event:?}"));
/// # drop(options);
/// ```
#[derive(Clone)]
pub struct FollowOptions {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observers: Vec<Arc<dyn FollowObserver>>,
    pub(super) last_known_good: Option<PathBuf>,
    pub(super) with_nothing: WithNothing,
    pub(super) has_thread: bool,
}

/// What to start with where neither the source nor the last known good has a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WithNothing {
    /// Nothing: starting fails.
    #[default]
    Refuse,
    /// A gate without flags: every one is off until there is a document.
    AllOff,
}

impl FollowOptions {
    /// In a thread, by the clocks of the machine, without a last known good.
    #[must_use]
    pub fn new() -> FollowOptions {
        FollowOptions {
            clock: Arc::new(SystemClock::new()),
            observers: Vec::new(),
            last_known_good: None,
            with_nothing: WithNothing::Refuse,
            has_thread: true,
        }
    }

    /// Tells the observer what happens.
    #[must_use]
    pub fn observe(mut self, observer: impl FollowObserver + 'static) -> FollowOptions {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Keeps what was put in force last in this file, for a start without the source. One file for each gate and process.
    ///
    /// Its directory is made where it is missing, for its owner alone. On Unix, a directory or file that other users can
    /// write to, or that belongs to another user than this one or root, is neither read nor written.
    #[must_use]
    pub fn last_known_good(mut self, path: impl Into<PathBuf>) -> FollowOptions {
        self.last_known_good = Some(path.into());
        self
    }

    /// What to start with where there is nothing.
    #[must_use]
    pub fn with_nothing(mut self, with_nothing: WithNothing) -> FollowOptions {
        self.with_nothing = with_nothing;
        self
    }

    /// Takes ages from this clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> FollowOptions {
        self.clock = Arc::new(clock);
        self
    }

    /// No thread: the source is asked by [`refresh_now`](super::Follower::refresh_now) alone.
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
            .field("with_nothing", &self.with_nothing)
            .field("has_thread", &self.has_thread)
            .finish_non_exhaustive()
    }
}
