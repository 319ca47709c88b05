//! Following of the records that other processes write to the same journal.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Controller, Rollout, Shared};
use crate::background::{Backoff, Signal, random};
use crate::rollout::{Record, RolloutError, StoreError, TickReport, Watcher};

/// The longest wait after a first failure. It doubles with each further failure.
const PAUSE: Duration = Duration::from_millis(100);

impl Rollout {
    /// Reads the records that other processes have written, applies them to the gate and returns them.
    ///
    /// Unrecorded rollbacks of this process stay in force. They are recorded now, and come last in the result. Sinks
    /// are not notified of other processes' records, because the process that acts notifies them.
    ///
    /// Other calls read new records too, for example after a conflict. So this does not return every record of other
    /// processes.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store cannot be read or its journal is damaged. The state in force stays, and
    /// [`status`](Rollout::status) shows the error as well.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let (store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
    /// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
    /// let one = Rollout::start(store.clone(), clock.clone(), document, "ana")?;
    /// let other = Rollout::open(store, clock)?;
    ///
    /// one.by("ana").promote("a")?;
    /// assert!(!other.gate().is_enabled("user-42", "a"));
    /// assert_eq!(other.refresh()?.len(), 1);
    /// assert!(other.gate().is_enabled("user-42", "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refresh(&self) -> Result<Vec<Record>, RolloutError> {
        self.shared.refresh()
    }
}

impl Shared {
    fn refresh(&self) -> Result<Vec<Record>, RolloutError> {
        let (mut report, mut recorded) = (TickReport::default(), Vec::new());
        self.lock_live().collect_gate_calls(&self.gate, &self.moment());
        let read = {
            let mut backend = self.lock_backend();
            let mut read = self.catch_up(&mut backend);
            if let Ok(records) = &mut read {
                self.record_pending_in_tick(&mut backend, &mut recorded, &mut report);
                records.extend(recorded.iter().flat_map(|(_, of_flag)| of_flag.records.clone()));
            }
            read
        };
        self.flush_and_notify();
        for (flag, of_flag) in recorded {
            self.notify(&flag, &of_flag);
        }
        read
    }
}

impl Controller {
    /// [Refreshes](Rollout::refresh) now, whenever the store reports new records, and after the time `every` at the
    /// latest, because a report may get lost. Calls `on_refresh` with each result.
    ///
    /// A store that cannot report new records is read at each interval `every`. After a failure, the wait is a tenth of
    /// a second at first and doubles up to `every`. It is random, so that processes do not retry together.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn following(
        rollout: &Rollout,
        every: Duration,
        on_refresh: impl Fn(&Result<Vec<Record>, RolloutError>) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::run("following", move |signal| follow(&rollout, every, &on_refresh, signal))
    }
}

/// The callback that gets the result of each refresh.
type OnRefresh = dyn Fn(&Result<Vec<Record>, RolloutError>);

/// The result of waiting for new records.
enum Waited {
    /// The watcher reports new records.
    News,
    Nothing,
    Failed,
    Stopped,
}

fn follow(rollout: &Rollout, every: Duration, on_refresh: &OnRefresh, signal: &Signal) {
    let mut watcher = rollout.shared.lock_backend().store.watcher();
    // The record beyond which the watcher has reported new ones.
    let (mut backoff, mut reported) = (Backoff::new(PAUSE, every), None);
    loop {
        // The panic hook has printed the panic.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let read = rollout.refresh();
            on_refresh(&read);
            read.map(|records| !records.is_empty())
        }));
        let head = rollout.shared.lock_live().state.head.0;
        let waited = match (read, &mut watcher) {
            // The watcher reported records that do not exist. Treat that as a failure, or the loop would not pause. Records
            // of this process do exist.
            (Ok(Ok(false)), Some(_)) if reported == Some(head) => Waited::Failed,
            (Ok(Ok(_)), Some(watcher)) => wait(&mut **watcher, head, every, signal),
            (Ok(Ok(_)), None) if signal.wait(every) => Waited::Stopped,
            (Ok(Ok(_)), None) => Waited::Nothing,
            (Ok(Err(_)) | Err(_), _) => Waited::Failed,
        };
        reported = matches!(waited, Waited::News).then_some(head);
        match waited {
            Waited::News | Waited::Nothing => backoff.reset(),
            Waited::Failed => {
                // A wait of nearly zero would ask a failing store again at once.
                let least = backoff.bound() / 8;
                if signal.wait(backoff.after_failure(random()).max(least)) {
                    return;
                }
            }
            Waited::Stopped => return,
        }
    }
}

fn wait(watcher: &mut dyn Watcher, beyond: u64, every: Duration, signal: &Signal) -> Waited {
    let wait = || catch_unwind(AssertUnwindSafe(|| watcher.wait(beyond, every)));
    match signal.aside(wait) {
        None => Waited::Stopped,
        Some(Ok(Ok(true))) => Waited::News,
        Some(Ok(Ok(false))) => Waited::Nothing,
        Some(Ok::<Result<_, StoreError>, _>(Err(_)) | Err(_)) => Waited::Failed,
    }
}
