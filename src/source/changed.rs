//! Waiting for the next update.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A handle that waits for the next update that a [`Follower`](super::Follower) applies.
///
/// Call [`wait`](Changed::wait), or await it in any async runtime. Each wait returns a newer version than the wait
/// before. Several updates in between count as one. After it is ready, poll the future again to wait for the next
/// update.
pub struct Changed {
    updates: Arc<Updates>,
    /// The number of updates at the last wait.
    seen: u64,
    /// The key of its waker.
    waker: u64,
}

/// The updates of one follower, for all its `Changed` handles.
#[derive(Default)]
pub(super) struct Updates {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of updates so far.
    count: u64,
    /// The gate's version after the last update.
    version: u64,
    /// Whether the follower is gone.
    is_closed: bool,
    wakers: BTreeMap<u64, Waker>,
    next_waker: u64,
}

impl Updates {
    /// Reports an update to all handles.
    pub(super) fn publish(&self, version: u64) {
        self.change(|state| {
            state.count += 1;
            state.version = version;
        });
    }

    /// Reports that the follower is gone.
    pub(super) fn close(&self) {
        self.change(|state| state.is_closed = true);
    }

    pub(super) fn subscribe(updates: &Arc<Updates>) -> Changed {
        let mut state = updates.state();
        state.next_waker += 1;
        Changed { seen: state.count, waker: state.next_waker, updates: Arc::clone(updates) }
    }

    /// Changes the state and wakes all handles.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        // Outside of the lock, because a waker runs foreign code.
        wakers.into_values().for_each(Waker::wake);
    }

    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    /// Waits for the next update and returns its version. Returns `None` after the timeout, or if the follower is gone.
    #[must_use]
    pub fn wait(&mut self, timeout: Duration) -> Option<u64> {
        let none = |state: &mut State| state.count == self.seen && !state.is_closed;
        let waited = self.updates.changed.wait_timeout_while(self.updates.state(), timeout, none);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let found = (state.count != self.seen).then_some(state.version);
        let count = state.count;
        drop(state);
        self.seen = count;
        found
    }
}

/// Returns the version of the next update, or `None` if the follower is gone.
impl Future for Changed {
    type Output = Option<u64>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u64>> {
        // Cloned before the lock, and the replaced one dropped after it, because a waker runs foreign code.
        let waker = context.waker().clone();
        let updates = Arc::clone(&self.updates);
        let mut state = updates.state();
        let count = state.count;
        if count != self.seen {
            let version = state.version;
            drop(state);
            self.seen = count;
            return Poll::Ready(Some(version));
        }
        if state.is_closed {
            return Poll::Ready(None);
        }
        let replaced = state.wakers.insert(self.waker, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let waker = self.updates.state().wakers.remove(&self.waker);
        drop(waker);
    }
}

impl fmt::Debug for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("seen", &self.seen).finish_non_exhaustive()
    }
}
