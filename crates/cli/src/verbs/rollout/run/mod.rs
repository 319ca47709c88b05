//! `run`: runs due work repeatedly.

mod controller;
mod health;
mod publisher;
mod service;
mod signals;

use std::io::Write;
use std::sync::Arc;

use stagegate::integrate::Prometheus;
use stagegate::rollout::{MetricRead, ReadReport, TickReport};

use super::record::{alert_line, line};
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::notifications::Sinks;
use crate::run_args::Run;
use health::Health;
use publisher::Publisher;
use service::ServiceManager;
use signals::Signals;

/// The parts of `run`, besides the rollout.
struct Services {
    sinks: Sinks,
    prometheus: Option<Prometheus>,
    health: Arc<Health>,
    publisher: Publisher,
    service: ServiceManager,
    signals: Signals,
}

pub(super) fn run(args: &Run) -> Result<Answer, Failure> {
    let signals = Signals::catch()?;
    let sinks = args.notifications.sinks()?;
    let prometheus = match &args.prometheus {
        Some(endpoint) => {
            let reader = Prometheus::new(endpoint.clone());
            Some(reader.map_err(|error| Failure::Usage(format!("--prometheus: {error}")))?)
        }
        None => None,
    };
    // A store that does not exist or cannot be read at the start is an error. Later failures are retried.
    let (rollout, lead) = controller::open(args)?;
    let health = Arc::new(Health::new(args.every));
    let listening = args.listen.map(|address| health::listen(address, &health)).transpose()?;
    if let Some(listening) = &listening {
        print(&format!("listening on http://{}\n", listening.address()));
    }
    let service = ServiceManager::from_environment();
    let publisher = Publisher::new(args.publish.clone(), &health);
    let services = Services { sinks, prometheus, health, publisher, service, signals };
    controller::run(args, &rollout, lead, services)?;
    Ok(Answer::Yes)
}

fn print_read(report: &ReadReport) {
    for (metric, error) in &report.failed {
        print_error(&terminal(&format!("{metric}: {error}")));
    }
    for MetricRead { flag, metric, outcome, .. } in &report.read {
        match outcome {
            Ok(outcome) => {
                let alerts = outcome.alerts.iter().map(|alert| alert_line(flag, alert));
                print(&outcome.records.iter().map(line).chain(alerts).collect::<String>());
            }
            Err(error) => print_error(&terminal(&format!("{flag}: {metric}: {error}"))),
        }
    }
}

fn print_tick(report: &TickReport) {
    let alerts = report.alerts.iter().map(|(flag, alert)| alert_line(flag, alert));
    print(&report.records.iter().map(line).chain(alerts).collect::<String>());
}

/// Prints to standard output. Ignores errors: a closed output must not stop the rollout.
fn print(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_error(message: &str) {
    let _ = writeln!(anstream::stderr(), "stagegate: {message}");
}
