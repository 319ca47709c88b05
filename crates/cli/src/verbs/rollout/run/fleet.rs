//! `run` on an etcd: opened once and followed; the one that leads ticks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use stagegate::clock::monotonic;
use stagegate::integrate::{Figures, Prometheus};
use stagegate::rollout::{Controller, Lead, Record, Rollout, RolloutError, StoreError, TickReport};
use stagegate::store::Etcd;

use super::health::{Health, Part};
use super::publisher::Publisher;
use super::{Running, say, say_read, say_tick};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::run_args::Run;
use crate::telling::Sinks;
use crate::verbs::rollout::opened;
use crate::verbs::rollout::record::line;

/// How often it is read although nothing is said to be new, where ticks are not more often.
const FOLLOW: Duration = Duration::from_secs(30);

/// How long the end waits for a server that does not answer.
const LINGER: Duration = Duration::from_secs(2);

pub(super) fn open(args: &Run, etcd: Etcd) -> Result<(Rollout, Box<dyn Lead>), Failure> {
    let lead = etcd.lead(args.lease);
    Ok((opened::by_clock(etcd, &args.store)?, lead))
}

pub(super) fn run(
    args: &Run,
    rollout: &Rollout,
    lead: Box<dyn Lead>,
    running: Running,
) -> Result<(), Failure> {
    let Running { sinks, prometheus, health, publisher, service, signals } = running;
    let failed = |error| Failure::io("a thread for the rollout", &error);
    let lead = Shown { lead, health: Arc::clone(&health) };
    sinks.attach(rollout);
    let publisher = Arc::new(publisher);
    let seen = Seen { rollout: rollout.clone(), sinks: sinks.clone(), health, publisher };
    seen.read(&Ok(Vec::new()));
    let (sender, ticks) = mpsc::sync_channel(1);
    let reader = prometheus.map(|reader| read_at(ticks, reader, seen.clone()));
    let reader = reader.transpose().map_err(failed)?;
    let follower = {
        let seen = seen.clone();
        Controller::following(rollout, args.every.min(FOLLOW), move |read| seen.read(read))
    };
    let follower = follower.map_err(failed)?;
    let leader = Controller::leading(rollout, lead, args.every, move |report| {
        seen.ticked(report);
        // While it still reads, this tick's reading is the one after.
        let _ = sender.try_send(());
    });
    let leader = leader.map_err(failed)?;
    service.notify("READY=1");
    signals.come();
    service.notify("STOPPING=1");
    // First, for others wait for it.
    drop(leader);
    drop(follower);
    if let Some(is_over) = reader {
        // What hangs ends with the process.
        let _ = is_over.recv_timeout(LINGER);
    }
    // The thread that waits for news has the rollout still.
    sinks.wait();
    Ok(())
}

/// Reads the metrics after each tick of this process: who does not lead reads none. A server that does not answer holds
/// up no tick. What is returned hangs up when the thread is over.
fn read_at(
    ticks: Receiver<()>,
    mut reader: Prometheus,
    seen: Seen,
) -> std::io::Result<Receiver<()>> {
    let (ends, is_over) = mpsc::channel::<()>();
    thread::Builder::new().name("stagegate-metrics".to_owned()).spawn(move || {
        let _ends = ends;
        for () in ticks {
            // The panic has been printed by the hook.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                say_read(&seen.rollout.read(&mut reader));
                seen.comes_to();
            }));
        }
    })?;
    Ok(is_over)
}

/// What is seen of the rollout goes to whoever watches.
#[derive(Clone)]
struct Seen {
    rollout: Rollout,
    sinks: Sinks,
    health: Arc<Health>,
    publisher: Arc<Publisher>,
}

impl Seen {
    fn read(&self, read: &Result<Vec<Record>, RolloutError>) {
        if let Ok(records) = read {
            say(&records.iter().map(line).collect::<String>());
        }
        self.complains(read.as_ref().err());
        self.health.lives();
        self.comes_to();
    }

    fn ticked(&self, report: &TickReport) {
        say(&report.refreshed.iter().map(line).collect::<String>());
        say_tick(report);
        let error = report.error.as_ref().map(|error| terminal(&error.to_string()));
        self.complains(None);
        self.health.complained(Part::Tick, error.clone());
        self.health.ticked(error);
        self.comes_to();
    }

    /// What failed now, or what has failed and is not known to work again.
    fn complains(&self, error: Option<&RolloutError>) {
        let last = self.rollout.status().last_error;
        let error = error.or(last.as_ref()).map(|error| terminal(&error.to_string()));
        self.health.complained(Part::Store, error);
    }

    fn comes_to(&self) {
        let figures = Figures::of(&self.rollout.status(), &self.rollout.plan());
        self.health.comes_to(self.sinks.add_to(figures));
        self.publisher.publish(&self.rollout);
    }
}

/// A lead that others see.
#[derive(Debug)]
struct Shown {
    lead: Box<dyn Lead>,
    health: Arc<Health>,
}

impl Lead for Shown {
    fn hold(&mut self) -> Result<Option<Duration>, StoreError> {
        let asked = monotonic();
        let held = self.lead.hold();
        match &held {
            Ok(time) => {
                let until = time.map_or(Duration::ZERO, |time| asked + time);
                if let Some(leads) = self.health.leads_until(until) {
                    say(if leads { "this process leads\n" } else { "another process leads\n" });
                }
                self.health.complained(Part::Lead, None);
            }
            Err(error) => {
                self.health.complained(Part::Lead, Some(terminal(&error.to_string())));
            }
        }
        held
    }

    fn give_up(&mut self) {
        self.health.leads_until(Duration::ZERO);
        self.lead.give_up();
    }
}
