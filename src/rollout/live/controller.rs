//! A thread that ticks, or does something else again and again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::{ReadReport, Rollout};
use crate::rollout::{MetricReader, TickReport};

/// A thread that ticks a rollout, or reads or judges for it, until this is dropped.
///
/// Dropping it waits until the thread has ended what it is at, for two seconds at most: a disk or a server that hangs
/// holds up no shutdown. A thread that is left behind ends as soon as it can. What it was recording then is recorded or
/// not, as after a crash: rollbacks that are in force stay so.
///
/// # Example
///
/// ```
/// use std::sync::mpsc;
/// use std::time::{Duration, SystemTime};
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::{Controller, Rollout};
/// use stagegate::store::Memory;
///
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let rollout = Rollout::start(Memory::new(), clock, "schema = 1\n[flags.a]", "ana")?;
/// let (sender, reports) = mpsc::channel();
/// let controller = Controller::spawn(&rollout, Duration::from_secs(60), move |report| {
///     let _ = sender.send(report.records.len());
/// })?;
/// assert_eq!(reports.recv()?, 0);
/// drop(controller);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Controller {
    stop: Arc<Stop>,
    thread: ThreadId,
    /// How long dropping it waits.
    linger: Duration,
}

/// How long dropping a controller waits at the most.
const LINGER: Duration = Duration::from_secs(2);

/// Says when to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_over: bool,
    /// Whether the thread only waits, and touches nothing.
    is_aside: bool,
    has_ended: bool,
}

/// Says that the thread has ended, also where it panics.
struct Ends(Arc<Stop>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.state().has_ended = true;
        self.0.changed.notify_all();
    }
}

impl Controller {
    /// Ticks now, and again each time that long after; `told` is given what each tick did. A panic
    /// of `told` or of the store is caught, and the next tick comes as ever.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn spawn(
        rollout: &Rollout,
        every: Duration,
        told: impl Fn(&TickReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::repeat("controller", every, move || told(&rollout.tick()))
    }

    /// [Reads](Rollout::read) metrics now, and again each time that long after, in a thread of its own: a server that
    /// does not answer holds up nothing else. `told` is given what reading came to.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn reading(
        rollout: &Rollout,
        mut reader: impl MetricReader + 'static,
        every: Duration,
        told: impl Fn(&ReadReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::repeat("metrics", every, move || told(&rollout.read(&mut reader)))
    }

    /// Does something now, and again each time that long after.
    pub(super) fn repeat(
        name: &str,
        every: Duration,
        mut act: impl FnMut() + Send + 'static,
    ) -> io::Result<Controller> {
        Controller::run(name, move |stop| {
            loop {
                // The panic has been printed by the hook.
                let _ = catch_unwind(AssertUnwindSafe(&mut act));
                if stop.wait(every) {
                    return;
                }
            }
        })
    }

    /// A thread that does all of this.
    pub(super) fn run(
        name: &str,
        body: impl FnOnce(&Stop) + Send + 'static,
    ) -> io::Result<Controller> {
        let stop = Arc::new(Stop::default());
        let theirs = Arc::clone(&stop);
        let thread = thread::Builder::new().name(format!("stagegate-{name}"));
        let thread = thread.spawn(move || {
            let ends = Ends(theirs);
            body(&ends.0);
        })?;
        Ok(Controller { stop, thread: thread.thread().id(), linger: LINGER })
    }

    /// Stops the thread, and waits so long at the most. Returns whether it has ended.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::{Controller, Rollout};
    /// use stagegate::store::Memory;
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let rollout = Rollout::start(Memory::new(), clock, "schema = 1\n[flags.a]", "ana")?;
    /// let controller = Controller::spawn(&rollout, Duration::from_secs(60), |_| {})?;
    /// assert!(controller.stop(Duration::from_secs(60)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::must_use_candidate, reason = "it stops, whoever asks when")]
    pub fn stop(mut self, within: Duration) -> bool {
        self.linger = Duration::ZERO;
        self.end(within)
    }

    /// A thread that only waits for others touches nothing, and needs not be waited for. Nor does a thread wait for
    /// itself, as where `told` drops the controller.
    fn end(&self, within: Duration) -> bool {
        let is_own = self.thread == thread::current().id();
        let mut state = self.stop.state();
        state.is_over = true;
        self.stop.changed.notify_all();
        let goes_on = |state: &mut State| !state.has_ended && !state.is_aside && !is_own;
        let waited = self.stop.changed.wait_timeout_while(state, within, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.has_ended || state.is_aside
    }
}

impl Stop {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is over; waits that long to see.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), time, |state| !state.is_over);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_over
    }

    /// Waits for somebody else. Who stops the thread meanwhile does not wait for that: `None`, and nothing more may be
    /// done.
    pub(super) fn aside<T>(&self, wait: impl FnOnce() -> T) -> Option<T> {
        {
            let mut state = self.state();
            if state.is_over {
                return None;
            }
            state.is_aside = true;
        }
        let waited = wait();
        let mut state = self.state();
        state.is_aside = false;
        (!state.is_over).then_some(waited)
    }
}

/// Waits until a tick that is under way is over, for two seconds at most.
impl Drop for Controller {
    fn drop(&mut self) {
        self.end(self.linger);
    }
}
