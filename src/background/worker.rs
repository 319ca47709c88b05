//! A thread, and the signal that wakes and stops it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// A background thread that is stopped when its handle is dropped.
///
/// Dropping the handle waits for the thread's current work, for two seconds at most. A thread that takes longer ends as
/// soon as it can. A thread that drops its own handle does not wait.
#[derive(Debug)]
pub(crate) struct Worker {
    signal: Arc<Signal>,
    thread: ThreadId,
    /// How long dropping the handle waits.
    linger: Duration,
}

/// The longest time that dropping a worker waits.
const LINGER: Duration = Duration::from_secs(2);

/// Tells a thread to stop, or to end its wait early.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_stopped: bool,
    is_nudged: bool,
    /// Whether the thread only waits for another process and changes nothing. Stopping does not wait for it then.
    is_aside: bool,
    has_ended: bool,
}

/// Reports the end of the thread, also after a panic.
struct EndGuard(Arc<Signal>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.change(|state| state.has_ended = true);
    }
}

impl Worker {
    /// Runs `body` in a thread with the name `stagegate-NAME`. `body` returns soon after the signal says stop.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub(crate) fn spawn(
        name: &str,
        signal: &Arc<Signal>,
        body: impl FnOnce(&Signal) + Send + 'static,
    ) -> io::Result<Worker> {
        let end = EndGuard(Arc::clone(signal));
        let thread = thread::Builder::new().name(format!("stagegate-{name}"));
        let thread = thread.spawn(move || body(&end.0))?.thread().id();
        Ok(Worker { signal: Arc::clone(signal), thread, linger: LINGER })
    }

    /// Stops the thread and waits for it, at most for this time. Returns whether it has ended.
    pub(crate) fn stop(mut self, within: Duration) -> bool {
        self.linger = Duration::ZERO;
        self.end(within)
    }

    fn end(&self, within: Duration) -> bool {
        let is_own = self.thread == thread::current().id();
        self.signal.change(|state| state.is_stopped = true);
        let goes_on = |state: &mut State| !state.has_ended && !state.is_aside && !is_own;
        let waited = self.signal.changed.wait_timeout_while(self.signal.state(), within, goes_on);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.has_ended || state.is_aside
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end(self.linger);
    }
}

impl Signal {
    /// Returns whether the thread has to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.state().is_stopped
    }

    /// Waits for this time. Returns early, with `true`, when the thread has to stop.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        self.wait_while(time, |state| !state.is_stopped)
    }

    /// Waits as [`wait`](Signal::wait) does, and also returns early after a nudge.
    pub(crate) fn wait_for_nudge(&self, time: Duration) -> bool {
        self.wait_while(time, |state| !state.is_stopped && !state.is_nudged)
    }

    /// Ends [`wait_for_nudge`](Signal::wait_for_nudge), until the nudge is cleared.
    pub(crate) fn nudge(&self) {
        self.change(|state| state.is_nudged = true);
    }

    pub(crate) fn clear_nudge(&self) {
        self.state().is_nudged = false;
    }

    /// Runs a wait that changes nothing, and for which stopping does not wait. Returns `None` if the thread has to
    /// stop.
    pub(crate) fn aside<T>(&self, wait: impl FnOnce() -> T) -> Option<T> {
        {
            let mut state = self.state();
            if state.is_stopped {
                return None;
            }
            state.is_aside = true;
        }
        let waited = wait();
        let mut state = self.state();
        state.is_aside = false;
        (!state.is_stopped).then_some(waited)
    }

    fn wait_while(&self, time: Duration, goes_on: impl Fn(&State) -> bool) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), time, |state| goes_on(state));
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopped
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
