//! What the thread that follows waits for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tells a [`Follower`](super::Follower) that something may have changed. A clone nudges the same one.
///
/// # Concurrency
///
/// From any thread. Any number of nudges before the next fetch are one.
#[derive(Clone, Debug)]
pub struct Nudge(Arc<Signal>);

#[derive(Debug, Default)]
pub(super) struct Signal {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    nudged: bool,
    stopped: bool,
    ended: bool,
}

/// How long to wait: `least` in any case, then up to `most` or a nudge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

impl Nudge {
    pub(super) fn new(signal: &Arc<Signal>) -> Nudge {
        Nudge(Arc::clone(signal))
    }

    /// Something may have changed.
    pub fn nudge(&self) {
        self.0.set(|flags| flags.nudged = true);
    }
}

impl Signal {
    /// Forgets nudges: what they announced is about to be seen.
    pub(super) fn begin(&self) {
        self.flags().nudged = false;
    }

    /// Whether it is over; waits to see.
    pub(super) fn wait(&self, wait: Wait) -> bool {
        let stopped = self.wait_until(wait.least, |flags| flags.stopped);
        if stopped {
            return true;
        }
        let rest = wait.most.saturating_sub(wait.least);
        self.wait_until(rest, |flags| flags.stopped || flags.nudged);
        self.is_stopped()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.flags().stopped
    }

    /// Has the thread end, and waits that long for it.
    pub(super) fn stop(&self, linger: Duration) {
        self.set(|flags| flags.stopped = true);
        self.wait_until(linger, |flags| flags.ended);
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        self.set(|flags| flags.ended = true);
    }

    fn wait_until(&self, time: Duration, holds: impl Fn(&Flags) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.flags(), time, |flags| !holds(flags));
        holds(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn set(&self, change: impl FnOnce(&mut Flags)) {
        change(&mut self.flags());
        self.changed.notify_all();
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn flags(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
