//! `run`: the controller as a program.

mod cached;
mod directory;
mod fleet;
mod health;
mod publisher;
mod service;
mod signals;

use std::io::Write;
use std::sync::Arc;

use stagegate::integrate::Prometheus;
use stagegate::rollout::{MetricRead, ReadReport, TickReport};

use super::opened;
use super::record::{alert_line, line};
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::run_args::Run;
use crate::telling::Sinks;
use health::Health;
use publisher::Publisher;
use service::Service;
use signals::Signals;

/// What it is made of, wherever the store is.
struct Running {
    sinks: Sinks,
    prometheus: Option<Prometheus>,
    health: Arc<Health>,
    publisher: Publisher,
    service: Service,
    signals: Signals,
}

pub(super) fn run(args: &Run) -> Result<Answer, Failure> {
    let signals = Signals::catch()?;
    let sinks = args.telling.sinks()?;
    let prometheus = match &args.prometheus {
        Some(endpoint) => {
            let reader = Prometheus::new(endpoint.clone());
            Some(reader.map_err(|error| Failure::Usage(format!("--prometheus: {error}")))?)
        }
        None => None,
    };
    // What there is not, or cannot be read at all, is not waited for.
    let fleet = args.store.store.etcd()?.map(|etcd| fleet::open(args, etcd)).transpose()?;
    if fleet.is_none() {
        drop(opened::for_looking(&args.store)?);
    }
    let health = Arc::new(Health::new(args.every));
    let listening = args.listen.map(|address| health::listen(address, &health)).transpose()?;
    if let Some(listening) = &listening {
        say(&format!("listening on http://{}\n", listening.address()));
    }
    let service = Service::of_environment();
    let publisher = Publisher::new(args.publish.clone(), &health);
    let running = Running { sinks, prometheus, health, publisher, service, signals };
    match fleet {
        Some((rollout, lead)) => fleet::run(args, &rollout, lead, running)?,
        None => directory::run(args, running),
    }
    Ok(Answer::Yes)
}

fn say_read(report: &ReadReport) {
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

fn say_tick(report: &TickReport) {
    let alerts = report.alerts.iter().map(|(flag, alert)| alert_line(flag, alert));
    say(&report.records.iter().map(line).chain(alerts).collect::<String>());
}

/// Where nobody reads, there is nothing to be done about it.
fn say(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn complain(message: &str) {
    let _ = writeln!(anstream::stderr(), "stagegate: {message}");
}
