//! Recording of the gate's own calls in a background thread, so that the application does not wait for a disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::Shared;

/// State of the thread that records the gate's calls. The thread runs only while there are calls to record.
#[derive(Debug, Default)]
pub(super) struct CallRecorder {
    state: Mutex<State>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_running: bool,
    /// Whether a call came after the thread last looked.
    is_requested: bool,
    thread: Option<ThreadId>,
}

/// The longest time that dropping the last handle of a rollout waits for the thread.
const MAX_WAIT: Duration = Duration::from_secs(2);

impl CallRecorder {
    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call. Returns whether the caller must start the thread.
    fn request(&self) -> bool {
        let mut state = self.state();
        state.is_requested = true;
        !std::mem::replace(&mut state.is_running, true)
    }

    /// Returns whether there are calls to record. After `false`, the thread must end.
    fn next_round(&self) -> bool {
        let mut state = self.state();
        state.thread = Some(thread::current().id());
        state.is_running = std::mem::take(&mut state.is_requested);
        if !state.is_running {
            self.stopped.notify_all();
        }
        state.is_running
    }

    /// Waits until the thread has ended, for two seconds at most. Does not wait if called from the thread itself.
    pub(super) fn wait(&self) {
        let ours = Some(thread::current().id());
        let goes_on = |state: &mut State| state.is_running && state.thread != ours;
        let _ = self.stopped.wait_timeout_while(self.state(), MAX_WAIT, goes_on);
    }
}

impl Shared {
    /// Starts a thread that records the gate's calls, unless one is running. The caller may hold any lock.
    ///
    /// If the system cannot start a thread, the next event or tick records the calls.
    pub(super) fn record_calls_in_background(rollout: &Weak<Shared>, recorder: &Arc<CallRecorder>) {
        if rollout.strong_count() == 0 || !recorder.request() {
            return;
        }
        let (rollout, worker) = (Weak::clone(rollout), Arc::clone(recorder));
        let thread = thread::Builder::new().name("stagegate-calls".to_owned());
        let thread = thread.spawn(move || {
            // The thread drops its reference before it reports its end, so that the store is free then.
            while worker.next_round() {
                let Some(rollout) = rollout.upgrade() else { continue };
                // The panic hook has printed the panic.
                let _ = catch_unwind(AssertUnwindSafe(|| rollout.record_calls()));
            }
        });
        if thread.is_err() {
            recorder.state().is_running = false;
        }
    }

    fn record_calls(&self) {
        self.lock_live().collect_gate_calls(&self.gate, &self.moment());
        if let Some(mut backend) = self.try_lock_backend() {
            // The next tick retries a failed record.
            let _ = self.flush_pending(&mut backend);
        }
        self.flush_and_notify();
    }
}
