//! Tests of a rollout: each action, and its behaviour when disks, clocks and other threads misbehave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actions;
mod all_flags;
mod approvals;
mod built_in;
mod clocks;
mod dead_store;
mod driven_gate;
mod failed_records;
mod faulty;
mod following;
mod freeze;
mod gate_rollbacks;
mod incidents;
mod intents;
mod machines;
mod missing_data;
mod notifications;
mod outdated_process;
mod prerequisites;
mod quiet;
mod races;
mod reading;
mod refusals;
mod rollback_races;
mod shutdown;
mod start;
mod store_status;
mod table;
mod updates;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Notification, Rollout, Sink};
use stagegate::store::Memory;

pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A sink that keeps each notification as JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Vec<String>>>);

impl Sink for Told {
    fn tell(&self, it: &Notification) {
        self.0.lock().unwrap().push(it.to_json());
    }
}

/// A plan with three stages, minimum durations, a checklist, metrics, triggers and people to escalate to.
pub(crate) const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
[flags.search]
[[flags.search.stages]]
name = "internal"
groups = ["team"]
min_duration = "1d"
checklist = [{ id = "load-test", text = "The load test passed", owner = "platform", expires = "2d" }]
[[flags.search.stages]]
name = "pilot"
percent = 10
min_duration = "3d"
max_duration = "5d"
metrics = { error_rate = { target = "< 1%", alert = "> 2%" } }
criteria = [{ metric = "complaints", target = "< 3", for = "2d" }, { id = "feedback", text = "It was read" }]
[[flags.search.stages]]
name = "ga"
percent = 100
watch = { for = "6h", every = "2h" }
[[flags.search.triggers]]
metric = "error_rate"
above = "5%"
minimum_sample = 100
no_data = "hold"
action = "rollback"
[[flags.search.triggers]]
metric = "complaints"
above = 5
no_data = "hold"
action = "decide"
[[flags.search.triggers]]
incident = "security"
action = "rollback"
[flags.search.rollback]
target = "previous"
steps = [{ phase = "verify", text = "Look", within = "10m" }]
[[flags.search.responsibility]]
contact = "on call"
escalation = ["lead", "CTO"]
[flags.other]
stages = [{ name = "all", percent = 100 }]
"#;

/// Monday 2026-01-05, 09:00 UTC.
pub(crate) fn monday() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600)
}

/// Starts a rollout of [`DOCUMENT`].
pub(crate) fn start_rollout() -> (Rollout, ManualClock, Memory) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    (rollout, clock, store)
}

pub(crate) fn percent(text: &str) -> Option<Quantity> {
    Some(Quantity::parse(text, Unit::Percent).unwrap())
}

pub(crate) fn count(text: &str) -> Option<Quantity> {
    Some(Quantity::parse(text, Unit::Count).unwrap())
}

/// Reports good readings of the metrics that triggers watch.
pub(crate) fn report_healthy_readings(rollout: &Rollout) {
    let monitor = rollout.by("monitor");
    monitor.measure("search", "error_rate", percent("0.4%"), Some(900)).unwrap();
    monitor.measure("search", "complaints", count("1"), None).unwrap();
}

/// Starts a rollout and promotes `search` to `pilot`. No condition of `pilot` is met yet.
pub(crate) fn in_pilot() -> (Rollout, ManualClock, Memory) {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    clock.advance(DAY);
    ana.sign("search", "load-test", None).unwrap();
    report_healthy_readings(&rollout);
    ana.promote("search").unwrap();
    (rollout, clock, store)
}

/// Returns the kinds of the unmet conditions of a refusal.
#[track_caller]
pub(crate) fn unmet<T: std::fmt::Debug>(
    result: Result<T, stagegate::rollout::RolloutError>,
) -> Vec<&'static str> {
    let error = result.unwrap_err();
    error.refusals().iter().flat_map(|it| it.unmet.iter().map(|it| it.kind)).collect()
}

/// Asserts that another rollout on the same store has the same state.
#[track_caller]
pub(crate) fn assert_same_after_reopen(rollout: &Rollout, store: &Memory, clock: &ManualClock) {
    let again = Rollout::open(store.clone(), clock.clone()).unwrap();
    let (ours, theirs) = (rollout.status(), again.status());
    assert_eq!((ours.head, ours.document), (theirs.head, theirs.document));
    for (ours, theirs) in ours.flags.iter().zip(&theirs.flags) {
        assert_eq!(ours.state, theirs.state);
        assert_eq!(theirs.serving, theirs.state.stage);
    }
}
