//! Following what others do on the same journal.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::controller::Stop;
use super::{Controller, Rollout, Shared};
use crate::rollout::{Record, RolloutError, StoreError, TickReport, Watcher};

/// How long to wait after the first failure. Each one after it doubles that.
const PAUSE: Duration = Duration::from_millis(100);

impl Rollout {
    /// Reads what others have recorded since, has the gate follow, and returns it. Roll-backs of this process that are
    /// not recorded yet stay in force, are recorded now, and come last of what is returned.
    ///
    /// Sinks are not told of what others did: whoever does something tells of it, so that it is told once.
    ///
    /// Whoever meets a conflict reads on by itself, so not every record of others comes by here.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the store cannot be read or its journal is damaged. What was in force stays so, and
    /// [`status`](Rollout::status) has the error as well.
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
        let (mut report, mut told) = (TickReport::default(), Vec::new());
        self.front().notice_calls(&self.gate, &self.moment());
        let read = {
            let mut back = self.back();
            let mut read = self.catch_up(&mut back);
            if let Ok(records) = &mut read {
                self.drain_in_tick(&mut back, &mut told, &mut report);
                records.extend(told.iter().flat_map(|(_, done)| done.records.clone()));
            }
            read
        };
        self.record_waiting();
        for (flag, done) in told {
            self.tell_of(&flag, &done);
        }
        read
    }
}

impl Controller {
    /// [Refreshes](Rollout::refresh) now, whenever the store says that there is something new, and that long after the
    /// last time at the latest: what a store tells may be lost on the way. `told` is given what each came to.
    ///
    /// Where the store cannot tell, it is asked each time that long after. Where it fails, it is asked again after a
    /// tenth of a second, then more and more rarely, at most that long after, and at different moments by each process.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn following(
        rollout: &Rollout,
        every: Duration,
        told: impl Fn(&Result<Vec<Record>, RolloutError>) + Send + 'static,
    ) -> io::Result<Controller> {
        let rollout = rollout.clone();
        Controller::run("following", move |stop| follow(&rollout, every, &told, stop))
    }
}

/// Who is given what a refresh came to.
type Told = dyn Fn(&Result<Vec<Record>, RolloutError>);

/// What came of waiting.
enum Waited {
    /// There is something, it is said.
    News,
    Nothing,
    Failed,
    Over,
}

fn follow(rollout: &Rollout, every: Duration, told: &Told, stop: &Stop) {
    let mut watcher = rollout.shared.back().store.watcher();
    let (mut failures, mut is_news) = (0, false);
    loop {
        // The panic has been printed by the hook.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let read = rollout.refresh();
            told(&read);
            read.map(|records| !records.is_empty())
        }));
        let head = rollout.shared.front().state.head.0;
        let waited = match (read, &mut watcher) {
            // What is said to be there and is not has nobody ask at once again.
            (Ok(Ok(false)), Some(_)) if is_news => Waited::Failed,
            (Ok(Ok(_)), Some(watcher)) => wait(&mut **watcher, head, every, stop),
            (Ok(Ok(_)), None) if stop.wait(every) => Waited::Over,
            (Ok(Ok(_)), None) => Waited::Nothing,
            (Ok(Err(_)) | Err(_), _) => Waited::Failed,
        };
        is_news = matches!(waited, Waited::News);
        match waited {
            Waited::News | Waited::Nothing => failures = 0,
            Waited::Failed => {
                failures += 1;
                if stop.wait(pause(failures, every)) {
                    return;
                }
            }
            Waited::Over => return,
        }
    }
}

fn wait(watcher: &mut dyn Watcher, beyond: u64, every: Duration, stop: &Stop) -> Waited {
    let wait = || catch_unwind(AssertUnwindSafe(|| watcher.wait(beyond, every)));
    match stop.aside(wait) {
        None => Waited::Over,
        Some(Ok(Ok(true))) => Waited::News,
        Some(Ok(Ok(false))) => Waited::Nothing,
        Some(Ok::<Result<_, StoreError>, _>(Err(_)) | Err(_)) => Waited::Failed,
    }
}

/// Somewhere between nothing and twice as long as the last time: processes that failed together do not ask together.
fn pause(failures: u32, most: Duration) -> Duration {
    let longest = PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most);
    let random = RandomState::new().build_hasher().finish();
    let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX).max(1);
    Duration::from_nanos(random % nanos).max(longest / 8)
}
