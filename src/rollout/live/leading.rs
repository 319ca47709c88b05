//! One of several controllers acts: the one that has the lead.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::controller::Stop;
use super::{Controller, Rollout};
use crate::clock::monotonic;
use crate::rollout::{Lead, TickReport};

/// How often what has the lead is asked for while nobody can say who has it.
const RETRY: Duration = Duration::from_secs(1);

impl Controller {
    /// Ticks as [`spawn`](Controller::spawn) does, as long as this process has the lead, and reads before each tick
    /// what others have recorded. `told` is given what each tick did; without the lead there are none.
    ///
    /// The lead is asked for three times in the time it is given for, and given up when this is dropped. A process
    /// that stood still, and comes back after it has lost the lead, stops where it is: it asks before each flag. What
    /// it has sent by then is decided by the journal, in which one record takes each number. What takes a flag back
    /// needs no lead, here as everywhere.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Controller::spawn).
    pub fn leading(
        rollout: &Rollout,
        lead: impl Lead + 'static,
        every: Duration,
        told: impl Fn(&TickReport) + Send + 'static,
    ) -> io::Result<Controller> {
        let (rollout, mut lead) = (rollout.clone(), lead);
        Controller::run("leading", move |stop| {
            follow(&rollout, &mut lead, every, &told, stop);
            let _ = catch_unwind(AssertUnwindSafe(|| lead.give_up()));
        })
    }
}

fn follow(
    rollout: &Rollout,
    lead: &mut dyn Lead,
    every: Duration,
    told: &dyn Fn(&TickReport),
    stop: &Stop,
) {
    // Until when nobody else can have the lead, and when the next tick is due, both by the same clock.
    let (mut until, mut next) = (Duration::ZERO, Duration::ZERO);
    let mut ask_after = RETRY;
    loop {
        let asked = monotonic();
        // The panic has been printed by the hook.
        match catch_unwind(AssertUnwindSafe(|| lead.hold())) {
            Ok(Ok(Some(time))) => {
                until = asked.saturating_add(time);
                ask_after = time / 3;
            }
            Ok(Ok(None)) => until = Duration::ZERO,
            Ok(Err(_)) | Err(_) => {}
        }
        if monotonic() >= next && monotonic() < until {
            next = monotonic().saturating_add(every);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let read = rollout.refresh();
                if monotonic() < until {
                    let mut report = rollout.shared.tick(&|| monotonic() < until);
                    match read {
                        Ok(records) => report.refreshed = records,
                        Err(error) => {
                            report.error.get_or_insert(error);
                        }
                    }
                    told(&report);
                }
            }));
        }
        let now = monotonic();
        let rest = if now < until { next.saturating_sub(now) } else { RETRY };
        if stop.wait(rest.min(ask_after).max(Duration::from_millis(1))) {
            return;
        }
    }
}
