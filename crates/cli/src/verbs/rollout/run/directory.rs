//! `run` on a directory: opens it for each tick and releases it afterwards.

use std::time::Duration;

use stagegate::integrate::Figures;
use stagegate::rollout::{MetricReader, RolloutError};

use super::cached::CachedSamples;
use super::publisher::Publisher;
use super::{Services, print_error, print_read, print_tick};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::notifications::Sinks;
use crate::rollout_args::StoreAccess;
use crate::run_args::Run;
use crate::verbs::rollout::open;

/// The retry interval while another process holds the store.
const BUSY_RETRY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Run, services: Services) {
    let Services { sinks, mut prometheus, health, publisher, service, signals } = services;
    let mut is_ready = false;
    loop {
        let reader = prometheus.as_mut().map(|reader| reader as &mut dyn MetricReader);
        let wait = match tick_once(&args.store.access, &sinks, &publisher, reader) {
            Ok(TickOutcome::Done(error, figures)) => {
                health.saw_activity();
                health.set_figures(sinks.add_to(figures));
                let error = error.map(|error| terminal(&error.to_string()));
                if let Some(error) = &error {
                    print_error(error);
                }
                health.ticked(error);
                args.every
            }
            Ok(TickOutcome::Busy(locked)) => {
                health.set_locked(locked);
                BUSY_RETRY.min(args.every)
            }
            // Retry: the fault may be temporary, and no flag is promoted meanwhile.
            Err(failure) => {
                let message = failure.message();
                print_error(&message);
                health.set_open_failed(message);
                args.every
            }
        };
        if !std::mem::replace(&mut is_ready, true) {
            service.notify("READY=1");
        }
        if signals.arrive_within(wait) {
            service.notify("STOPPING=1");
            return;
        }
    }
}

enum TickOutcome {
    /// The tick ran. With its error, and the rollout's metrics.
    Done(Option<RolloutError>, Figures),
    /// Another process holds the store, as this text says.
    Busy(String),
}

/// Reads the metrics, ticks and releases the store.
fn tick_once(
    store: &StoreAccess,
    sinks: &Sinks,
    publisher: &Publisher,
    reader: Option<&mut dyn MetricReader>,
) -> Result<TickOutcome, Failure> {
    // Read before locking: a slow server must not delay other commands.
    let mut read = match reader {
        Some(reader) => {
            let wanted = open::read_only(store)?.metrics_to_read();
            let (cached, failed) = CachedSamples::read(reader, &wanted);
            failed.iter().for_each(|failed| print_error(failed));
            Some(cached)
        }
        None => None,
    };
    let rollout = match open::writable_without_notifications(store) {
        Ok(rollout) => rollout,
        Err(Failure::Locked(locked)) => return Ok(TickOutcome::Busy(locked)),
        Err(failure) => return Err(failure),
    };
    sinks.attach(&rollout);
    if let Some(read) = &mut read {
        print_read(&rollout.read(read));
    }
    let report = rollout.tick();
    print_tick(&report);
    publisher.publish(&rollout);
    let status = rollout.status();
    let figures = Figures::of(&status, &rollout.plan());
    Ok(TickOutcome::Done(report.error.or(status.last_error), figures))
}
