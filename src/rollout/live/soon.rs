//! Recording what the application has taken down, without having it wait for a disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Shared;

/// Whether a thread is at it.
#[derive(Debug, Default)]
pub(super) struct Soon {
    state: Mutex<State>,
    is_over: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_at_it: bool,
    /// Whether there was another call since it looked.
    again: bool,
    thread: Option<ThreadId>,
}

/// What dropping the last handle of a rollout waits at the most for what its gate's calls have taken down.
const LINGER: Duration = Duration::from_secs(2);

impl Soon {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller has to begin.
    fn begins(&self) -> bool {
        let mut state = self.state();
        state.again = true;
        !std::mem::replace(&mut state.is_at_it, true)
    }

    /// Whether there is something to look at; `false` ends it.
    fn goes_on(&self) -> bool {
        let mut state = self.state();
        state.thread = Some(thread::current().id());
        state.is_at_it = std::mem::take(&mut state.again);
        if !state.is_at_it {
            self.is_over.notify_all();
        }
        state.is_at_it
    }

    /// Waits until it is over, for two seconds at most.
    pub(super) fn linger(&self) {
        let ours = Some(thread::current().id());
        let goes_on = |state: &mut State| state.is_at_it && state.thread != ours;
        let _ = self.is_over.wait_timeout_while(self.state(), LINGER, goes_on);
    }
}

impl Shared {
    /// Has the calls of the gate recorded in a thread of its own, which ends when that is done. The caller may hold any
    /// lock. Where the system gives no thread, the next act or tick records them.
    pub(super) fn record_soon(rollout: &Weak<Shared>, soon: &Arc<Soon>) {
        if rollout.strong_count() == 0 || !soon.begins() {
            return;
        }
        let (rollout, theirs) = (Weak::clone(rollout), Arc::clone(soon));
        let thread = thread::Builder::new().name("stagegate-calls".to_owned());
        let thread = thread.spawn(move || {
            // The rollout is let go of before it is said that this is over: then its store is free.
            while theirs.goes_on() {
                let Some(rollout) = rollout.upgrade() else { continue };
                // The panic has been printed by the hook.
                let _ = catch_unwind(AssertUnwindSafe(|| rollout.record_calls()));
            }
        });
        if thread.is_err() {
            soon.state().is_at_it = false;
        }
    }

    fn record_calls(&self) {
        self.front().notice_calls(&self.gate, &self.moment());
        if let Some(mut back) = self.try_back() {
            // What fails waits for the next tick.
            let _ = self.drain(&mut back);
        }
        self.record_waiting();
    }
}
