//! A background thread that repeats a task for a rollout.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::{ReadReport, Rollout};
use crate::background::{Signal, Worker};
use crate::rollout::{MetricReader, TickReport};

/// A background thread that ticks, reads metrics, judges or follows for a rollout, until this handle is dropped.
///
/// Dropping the handle waits for the thread's current work, for two seconds at most, so a hanging disk or server does
/// not hold up a shutdown. A thread that is left behind ends as soon as it can. The record that it was writing is
/// written or not, as after a crash. Rollbacks stay in force.
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
    worker: Worker,
}

impl Controller {
    /// Ticks now, and then at each interval `every`. Calls `on_tick` with each report. After a panic of `on_tick` or of
    /// the store, the thread continues with the next tick.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn spawn(
        rollout: &Rollout,
        every: Duration,
        on_tick: impl Fn(&TickReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::repeat("controller", every, move || on_tick(&rollout.tick()))
    }

    /// [Reads](Rollout::read) metrics now, and then at each interval `every`, in a thread of its own, so that a server
    /// that does not answer delays nothing else. Calls `on_read` with each report.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn reading(
        rollout: &Rollout,
        mut reader: impl MetricReader + 'static,
        every: Duration,
        on_read: impl Fn(&ReadReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::repeat("metrics", every, move || on_read(&rollout.read(&mut reader)))
    }

    /// Calls `act` now, and then at each interval `every`.
    pub(super) fn repeat(
        name: &str,
        every: Duration,
        mut act: impl FnMut() + Send + 'static,
    ) -> io::Result<Controller> {
        Controller::run(name, move |signal| {
            loop {
                // The panic hook has printed the panic.
                let _ = catch_unwind(AssertUnwindSafe(&mut act));
                if signal.wait(every) {
                    return;
                }
            }
        })
    }

    /// Runs `body` in a thread with the name `stagegate-NAME`.
    pub(super) fn run(
        name: &str,
        body: impl FnOnce(&Signal) + Send + 'static,
    ) -> io::Result<Controller> {
        Ok(Controller { worker: Worker::spawn(name, &Arc::default(), body)? })
    }

    /// Stops the thread and waits for it, for the time `within` at most. Returns whether it has ended.
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
    #[expect(
        clippy::must_use_candidate,
        reason = "it stops the thread even if the caller ignores the result"
    )]
    pub fn stop(self, within: Duration) -> bool {
        self.worker.stop(within)
    }
}
