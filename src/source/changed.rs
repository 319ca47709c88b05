//! Waiting for the next update.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Waits for updates that a [`Follower`](super::Follower) applies after this was made: by
/// [`wait`](Changed::wait), or as a future of any runtime.
///
/// Each wait is for something newer than the one before; what came in between is one. Polled again, the future is for the
/// next update.
pub struct Changed {
    news: Arc<News>,
    /// The count that was seen.
    seen: u64,
    /// Where the waker stands.
    place: u64,
}

/// What those who wait wait for.
#[derive(Default)]
pub(super) struct News {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Updates so far.
    count: u64,
    /// What the last one made.
    version: u64,
    /// Whether there will be no more.
    is_over: bool,
    wakers: BTreeMap<u64, Waker>,
    next_place: u64,
}

impl News {
    /// There was an update.
    pub(super) fn tell(&self, version: u64) {
        self.change(|state| {
            state.count += 1;
            state.version = version;
        });
    }

    /// There will be no more.
    pub(super) fn end(&self) {
        self.change(|state| state.is_over = true);
    }

    pub(super) fn listen(news: &Arc<News>) -> Changed {
        let mut state = news.state();
        state.next_place += 1;
        Changed { seen: state.count, place: state.next_place, news: Arc::clone(news) }
    }

    /// Wakes all who wait, or who wait for something that is told elsewhere.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        // Without the lock: a waker is foreign code.
        wakers.into_values().for_each(Waker::wake);
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    /// The version of the next update; `None` when none came in the time, or none will.
    #[must_use]
    pub fn wait(&mut self, timeout: Duration) -> Option<u64> {
        let nothing = |state: &mut State| state.count == self.seen && !state.is_over;
        let waited = self.news.changed.wait_timeout_while(self.news.state(), timeout, nothing);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let found = (state.count != self.seen).then_some(state.version);
        let count = state.count;
        drop(state);
        self.seen = count;
        found
    }
}

/// The version of the next update; `None` when the follower is gone.
impl Future for Changed {
    type Output = Option<u64>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u64>> {
        // Made before the lock, and what it replaces dropped after: a waker is foreign code.
        let waker = context.waker().clone();
        let news = Arc::clone(&self.news);
        let mut state = news.state();
        let count = state.count;
        if count != self.seen {
            let version = state.version;
            drop(state);
            self.seen = count;
            return Poll::Ready(Some(version));
        }
        if state.is_over {
            return Poll::Ready(None);
        }
        let replaced = state.wakers.insert(self.place, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let waker = self.news.state().wakers.remove(&self.place);
        drop(waker);
    }
}

impl fmt::Debug for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("seen", &self.seen).finish_non_exhaustive()
    }
}
