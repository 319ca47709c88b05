//! `run` on a directory: it is opened for each tick, and let go after.

use std::time::Duration;

use stagegate::integrate::Figures;
use stagegate::rollout::{MetricReader, RolloutError};

use super::cached::Cached;
use super::publisher::Publisher;
use super::{Running, complain, say_read, say_tick};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::rollout_args::Store;
use crate::run_args::Run;
use crate::telling::Sinks;
use crate::verbs::rollout::opened;

/// How soon another attempt is made where somebody else is acting on the store.
const BUSY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Run, running: Running) {
    let Running { sinks, mut prometheus, health, publisher, service, signals } = running;
    let mut is_ready = false;
    loop {
        let reader = prometheus.as_mut().map(|reader| reader as &mut dyn MetricReader);
        let wait = match once(&args.store, &sinks, &publisher, reader) {
            Ok(Ticked::Done(error, figures)) => {
                health.lives();
                health.comes_to(sinks.add_to(figures));
                let error = error.map(|error| terminal(&error.to_string()));
                if let Some(error) = &error {
                    complain(error);
                }
                health.ticked(error);
                args.every
            }
            Ok(Ticked::Busy(locked)) => {
                health.is_locked_out(locked);
                BUSY.min(args.every)
            }
            // What is wrong for now may be put right: nothing goes up meanwhile.
            Err(failure) => {
                let message = failure.message();
                complain(&message);
                health.cannot_open(message);
                args.every
            }
        };
        if !std::mem::replace(&mut is_ready, true) {
            service.notify("READY=1");
        }
        if signals.come_within(wait) {
            service.notify("STOPPING=1");
            return;
        }
    }
}

enum Ticked {
    /// And what was wrong with it, and what the rollout came to.
    Done(Option<RolloutError>, Figures),
    /// Somebody else is acting: who has the store.
    Busy(String),
}

/// Reads what is to be read, and ticks; the store is let go after.
fn once(
    store: &Store,
    sinks: &Sinks,
    publisher: &Publisher,
    reader: Option<&mut dyn MetricReader>,
) -> Result<Ticked, Failure> {
    // A server may take its time, and nobody who acts is to wait for it.
    let mut read = match reader {
        Some(reader) => {
            let wanted = opened::for_looking(store)?.wanted_metrics();
            let (cached, failed) = Cached::read(reader, &wanted);
            failed.iter().for_each(|failed| complain(failed));
            Some(cached)
        }
        None => None,
    };
    let rollout = match opened::acting_untold(store) {
        Ok(rollout) => rollout,
        Err(Failure::Locked(locked)) => return Ok(Ticked::Busy(locked)),
        Err(failure) => return Err(failure),
    };
    sinks.attach(&rollout);
    if let Some(read) = &mut read {
        say_read(&rollout.read(read));
    }
    let report = rollout.tick();
    say_tick(&report);
    publisher.publish(&rollout);
    let status = rollout.status();
    let figures = Figures::of(&status, &rollout.plan());
    Ok(Ticked::Done(report.error.or(status.last_error), figures))
}
