//! The controller of `run`: opens the store once and follows it. The leader ticks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use stagegate::clock::monotonic;
use stagegate::integrate::{Figures, Prometheus};
use stagegate::rollout::{
    Controller, LeaderLease, Record, Rollout, RolloutError, StoreError, TickReport,
};
use stagegate::store::Archive;

use super::health::{Component, Health};
use super::publisher::Publisher;
use super::{Services, print, print_read, print_tick};
use crate::escape::terminal;
use crate::failure::Failure;
use crate::notifications::Sinks;
use crate::run_args::Run;
use crate::store_location::{Access, StoreLocation};
use crate::verbs::rollout::open::{self, Who};
use crate::verbs::rollout::record::line;

/// The longest time between two reads of the store without an event. More frequent ticks shorten it.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// How long the process waits at its end for a metrics server that does not answer.
const READER_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn open(args: &Run) -> Result<(Rollout, Box<dyn LeaderLease>), Failure> {
    let (access, who) = (&args.store.access, Who::automatic(&args.key)?);
    let (store, lead) = access.store.open_to_lead(args.lease)?;
    Ok((open::with_store(store, access, &who)?, lead))
}

pub(super) fn run(
    args: &Run,
    rollout: &Rollout,
    lead: Box<dyn LeaderLease>,
    services: Services,
) -> Result<(), Failure> {
    let Services { sinks, prometheus, health, publisher, service, signals } = services;
    let failed = |error| Failure::io("cannot start a thread for the rollout", &error);
    let lead = ReportedLease { lead, health: Arc::clone(&health) };
    sinks.attach(rollout);
    let publisher = Arc::new(publisher);
    let observer = Observer { rollout: rollout.clone(), sinks: sinks.clone(), health, publisher };
    observer.read(&Ok(Vec::new()));
    let (sender, ticks) = mpsc::sync_channel(1);
    let reader = prometheus.map(|reader| read_at(ticks, reader, observer.clone()));
    let reader = reader.transpose().map_err(failed)?;
    let access = &args.store.access;
    let (to_archive, archive_ticks) = mpsc::sync_channel(1);
    if let Some(archive) = &access.archive {
        let (archive, store) = (Archive::new(archive), access.store.clone());
        archive_at(archive_ticks, archive, store, Arc::clone(&observer.health)).map_err(failed)?;
    }
    let follower = {
        let observer = observer.clone();
        Controller::following(rollout, args.every.min(REFRESH_INTERVAL), move |read| {
            observer.read(read);
        })
    };
    let follower = follower.map_err(failed)?;
    let leader = Controller::leading(rollout, lead, args.every, move |report| {
        observer.ticked(report);
        // If the other thread is still busy, its next round covers this tick.
        let _ = (sender.try_send(()), to_archive.try_send(()));
    });
    let leader = leader.map_err(failed)?;
    service.notify("READY=1");
    signals.wait();
    service.notify("STOPPING=1");
    // First: another process is waiting for the lead.
    drop(leader);
    drop(follower);
    if let Some(ended) = reader {
        // A read that hangs ends with the process.
        let _ = ended.recv_timeout(READER_TIMEOUT);
    }
    // Waits explicitly, because the follower's thread may still hold the rollout.
    sinks.wait();
    Ok(())
}

/// Reads the metrics after each tick of this process, so only the leader reads them. Runs in a thread of its own, so
/// that a slow server delays no tick. The returned receiver disconnects when the thread ends.
fn read_at(
    ticks: Receiver<()>,
    mut reader: Prometheus,
    observer: Observer,
) -> std::io::Result<Receiver<()>> {
    let (ends, ended) = mpsc::channel::<()>();
    thread::Builder::new().name("stagegate-metrics".to_owned()).spawn(move || {
        let _ends = ends;
        for () in ticks {
            // The panic hook has printed a panic.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                print_read(&observer.rollout.read(&mut reader));
                observer.publish_state();
            }));
        }
    })?;
    Ok(ended)
}

/// Moves earlier segments to the archive after each tick of this process, so only the leader moves them. Runs in a thread
/// of its own, so that a slow disk delays no tick. If the process ends meanwhile, the next leader completes the work.
fn archive_at(
    ticks: Receiver<()>,
    archive: Archive,
    store: StoreLocation,
    health: Arc<Health>,
) -> std::io::Result<()> {
    let archive_once = move || {
        let moved = store.open(Access::Write).map_err(Failure::message);
        moved.and_then(|mut store| {
            archive.take_from(&mut *store).map_err(|error| terminal(&error.to_string()))
        })
    };
    let moving = move || {
        for () in ticks {
            let Ok(moved) = catch_unwind(AssertUnwindSafe(&archive_once)) else { continue };
            if let Ok(Some(lines)) = &moved {
                let (first, last) = (lines.start(), lines.end());
                print(&format!("moved records {first} to {last} to the archive\n"));
            }
            health.set_error(Component::Archive, moved.err());
        }
    };
    thread::Builder::new().name("stagegate-archive".to_owned()).spawn(moving).map(drop)
}

/// The observer of a rollout. It prints records and errors, and updates `/health`, `/metrics` and the published file.
#[derive(Clone)]
struct Observer {
    rollout: Rollout,
    sinks: Sinks,
    health: Arc<Health>,
    publisher: Arc<Publisher>,
}

impl Observer {
    fn read(&self, read: &Result<Vec<Record>, RolloutError>) {
        if let Ok(records) = read {
            print(&records.iter().map(line).collect::<String>());
        }
        self.report_store_error(read.as_ref().err());
        self.health.saw_activity();
        self.publish_state();
    }

    fn ticked(&self, report: &TickReport) {
        print(&report.refreshed.iter().map(line).collect::<String>());
        print_tick(report);
        let error = report.error.as_ref().map(|error| terminal(&error.to_string()));
        self.report_store_error(None);
        self.health.set_error(Component::Tick, error.clone());
        self.health.ticked(error);
        self.publish_state();
    }

    /// Reports this error, or else the store's last error that no success has ended yet.
    fn report_store_error(&self, error: Option<&RolloutError>) {
        let last = self.rollout.status().last_error;
        let error = error.or(last.as_ref()).map(|error| terminal(&error.to_string()));
        self.health.set_error(Component::Store, error);
    }

    fn publish_state(&self) {
        let figures = Figures::of(&self.rollout.status(), &self.rollout.plan());
        self.health.set_figures(self.sinks.add_to(figures));
        self.publisher.publish(&self.rollout);
    }
}

/// A leader lease that prints its changes and reports them to [`Health`].
#[derive(Debug)]
struct ReportedLease {
    lead: Box<dyn LeaderLease>,
    health: Arc<Health>,
}

impl LeaderLease for ReportedLease {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        let asked = monotonic();
        let held = self.lead.acquire();
        match &held {
            Ok(time) => {
                let until = time.map_or(Duration::ZERO, |time| asked + time);
                if let Some(leads) = self.health.set_lead_until(until) {
                    print(if leads { "this process leads\n" } else { "another process leads\n" });
                }
                self.health.set_error(Component::Lead, None);
            }
            Err(error) => {
                self.health.set_error(Component::Lead, Some(terminal(&error.to_string())));
            }
        }
        held
    }

    fn release(&mut self) {
        self.health.set_lead_until(Duration::ZERO);
        self.lead.release();
    }
}
