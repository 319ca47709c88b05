//! The wait between two fetches, and what ends it early.

use std::sync::Arc;
use std::time::Duration;

use crate::background::Signal;

/// Tells a [`Follower`](super::Follower) that its source may have changed. Clones nudge the same follower.
///
/// # Concurrency
///
/// Call it from any thread. Several nudges before the next fetch count as one.
#[derive(Clone, Debug)]
pub struct Nudge(Arc<Signal>);

impl Nudge {
    pub(super) fn new(signal: &Arc<Signal>) -> Nudge {
        Nudge(Arc::clone(signal))
    }

    /// Reports that the source may have changed.
    pub fn nudge(&self) {
        self.0.nudge();
    }
}

/// The wait before the next fetch: `least` in any case, then until a nudge or until `most` has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Wait {
    /// Waits. Returns early, with `true`, when the follower is dropped.
    pub(super) fn wait(self, signal: &Signal) -> bool {
        signal.wait(self.least) || signal.wait_for_nudge(self.most.saturating_sub(self.least))
    }
}
