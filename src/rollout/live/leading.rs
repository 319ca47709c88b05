//! Leader election: of several controllers, only the leader ticks.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::{Controller, Rollout};
use crate::background::Signal;
use crate::clock::monotonic;
use crate::rollout::{LeaderLease, TickReport};

/// The retry interval while this process is not the leader.
const RETRY: Duration = Duration::from_secs(1);

impl Controller {
    /// Ticks as [`spawn`](Controller::spawn) does while this process is the leader. Before each tick, reads the records
    /// of other processes. Calls `on_tick` with each report; without leadership there are no ticks.
    ///
    /// The lease is renewed three times during its term, and released when the controller is dropped. A process that
    /// stalls and continues after its lease has ended stops ticking, because it checks the lease before each flag. The
    /// journal decides about records that it sent before: only one record gets each number. Rollbacks need no leader.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn leading(
        rollout: &Rollout,
        lease: impl LeaderLease + 'static,
        every: Duration,
        on_tick: impl Fn(&TickReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let (rollout, mut lease) = (rollout.clone(), lease);
        Controller::run("leading", move |signal| {
            lead(&rollout, &mut lease, every, &on_tick, signal);
            let _ = catch_unwind(AssertUnwindSafe(|| lease.release()));
        })
    }
}

fn lead(
    rollout: &Rollout,
    lease: &mut dyn LeaderLease,
    every: Duration,
    on_tick: &dyn Fn(&TickReport),
    signal: &Signal,
) {
    // When the lease ends, and when the next tick is due, both by the same clock.
    let (mut leader_until, mut next_tick) = (Duration::ZERO, Duration::ZERO);
    let mut renew_after = RETRY;
    loop {
        let asked = monotonic();
        // The panic hook has printed the panic.
        match catch_unwind(AssertUnwindSafe(|| lease.acquire())) {
            Ok(Ok(Some(time))) => {
                leader_until = asked.saturating_add(time);
                renew_after = time / 3;
            }
            Ok(Ok(None)) => leader_until = Duration::ZERO,
            Ok(Err(_)) | Err(_) => {}
        }
        if monotonic() >= next_tick && monotonic() < leader_until {
            next_tick = monotonic().saturating_add(every);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let read = rollout.refresh();
                if monotonic() < leader_until {
                    let mut report = rollout.shared.tick(&|| monotonic() < leader_until);
                    match read {
                        Ok(records) => report.refreshed = records,
                        Err(error) => {
                            report.error.get_or_insert(error);
                        }
                    }
                    on_tick(&report);
                }
            }));
        }
        let now = monotonic();
        let pause = if now < leader_until { next_tick.saturating_sub(now) } else { RETRY };
        if signal.wait(pause.min(renew_after).max(Duration::from_millis(1))) {
            return;
        }
    }
}
