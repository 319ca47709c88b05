//! `run`: the controller as a program.

mod cached;
mod health;
mod service;
mod signals;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use stagegate::integrate::{Figures, Prometheus};
use stagegate::rollout::{MetricRead, MetricReader, RolloutError};

use super::opened;
use super::record::{alert_line, line};
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::rollout_args::{Run, Store};
use crate::telling::Sinks;
use cached::Cached;
use health::Health;
use service::Service;
use signals::Signals;

/// How soon another attempt is made where somebody else is acting on the store.
const BUSY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Run) -> Result<Answer, Failure> {
    let signals = Signals::catch()?;
    let sinks = args.telling.sinks()?;
    let mut prometheus = match &args.prometheus {
        Some(endpoint) => {
            let reader = Prometheus::new(endpoint.clone());
            Some(reader.map_err(|error| Failure::Usage(format!("--prometheus: {error}")))?)
        }
        None => None,
    };
    // What there is not, or cannot be read at all, is not waited for.
    drop(opened::for_looking(&args.store)?);
    let health = Arc::new(Health::default());
    let listening = args.listen.map(|address| health::listen(address, &health)).transpose()?;
    if let Some(listening) = &listening {
        say(&format!("listening on http://{}\n", listening.address()));
    }
    let service = Service::of_environment();
    let mut is_ready = false;
    loop {
        let reader = prometheus.as_mut().map(|reader| reader as &mut dyn MetricReader);
        let wait = match once(&args.store, &sinks, reader) {
            Ok(Ticked::Done(error, figures)) => {
                health.comes_to(sinks.add_to(figures));
                let error = error.map(|error| terminal(&error.to_string()));
                if let Some(error) = &error {
                    complain(error);
                }
                health.ticked(error.map_or(Ok(()), Err));
                args.every
            }
            Ok(Ticked::Busy) => BUSY.min(args.every),
            // What is wrong for now may be put right: nothing goes up meanwhile.
            Err(failure) => {
                let message = failure.message();
                complain(&message);
                health.ticked(Err(message));
                args.every
            }
        };
        if !std::mem::replace(&mut is_ready, true) {
            service.notify("READY=1");
        }
        if signals.come_within(wait) {
            service.notify("STOPPING=1");
            return Ok(Answer::Yes);
        }
    }
}

enum Ticked {
    /// And what was wrong with it, and what the rollout came to.
    Done(Option<RolloutError>, Figures),
    /// Somebody else is acting.
    Busy,
}

/// Reads what is to be read, and ticks; the store is let go after.
fn once(
    store: &Store,
    sinks: &Sinks,
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
        Err(Failure::Locked(_)) => return Ok(Ticked::Busy),
        Err(failure) => return Err(failure),
    };
    sinks.attach(&rollout);
    if let Some(read) = &mut read {
        let report = rollout.read(read);
        for (metric, error) in &report.failed {
            complain(&terminal(&format!("{metric}: {error}")));
        }
        for MetricRead { flag, metric, outcome, .. } in &report.read {
            match outcome {
                Ok(outcome) => {
                    let alerts = outcome.alerts.iter().map(|alert| alert_line(flag, alert));
                    say(&outcome.records.iter().map(line).chain(alerts).collect::<String>());
                }
                Err(error) => complain(&terminal(&format!("{flag}: {metric}: {error}"))),
            }
        }
    }
    let report = rollout.tick();
    let alerts = report.alerts.iter().map(|(flag, alert)| alert_line(flag, alert));
    say(&report.records.iter().map(line).chain(alerts).collect::<String>());
    Ok(Ticked::Done(report.error, Figures::of(&rollout.status(), &rollout.plan())))
}

/// Where nobody reads, there is nothing to be done about it.
fn say(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(message: &str) {
    let _ = writeln!(anstream::stderr(), "stagegate: {message}");
}
