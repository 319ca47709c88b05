//! A rollout that produces every kind of metric and event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::guard::{Guard, Judgement, Outcome};
use stagegate::integrate::Figures;
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{OutboxStatus, Rollout, Store, StoreError};
use stagegate::store::Memory;

use super::CANARY;

const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["canary-user"]
[plans.three]
stages = [
    { name = "team", groups = ["team"] },
    { name = "pilot", percent = 12.5, min_duration = "2d" },
    { name = "ga", percent = 100 },
]
[flags.checkout]
plan = "three"
triggers = [
    { metric = "error_rate", above = "50%", minimum_sample = 100, no_data = "hold", action = "rollback" },
    { metric = "complaints", above = 20, for = "1h", no_data = "hold", action = "decide" },
    { metric = "latency_p95", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    { incident = "security", action = "rollback" },
]
[flags.dark]
plan = "three"
[flags.search]
plan = "three"
"#;

/// A store in memory that can be broken.
#[derive(Debug, Default)]
struct BreakableStore {
    memory: Memory,
    dead: Arc<AtomicBool>,
}

impl Store for BreakableStore {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.memory.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        if self.dead.load(Ordering::Relaxed) {
            return Err(StoreError::io("the disk is gone"));
        }
        self.memory.append(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.memory.keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        self.memory.document(hash)
    }

    fn label(&self) -> String {
        "(mortal)".to_owned()
    }
}

pub(crate) struct Story {
    pub(crate) rollout: Rollout,
    pub(crate) clock: ManualClock,
    guard: Guard,
    dead: Arc<AtomicBool>,
    judgements: Vec<Judgement>,
}

impl Story {
    pub(crate) fn new() -> Story {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
        let store = BreakableStore::default();
        let dead = Arc::clone(&store.dead);
        let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
        let guard = Guard::new(rollout.gate(), rollout.plan());
        Story { rollout, clock, guard, dead, judgements: Vec::new() }
    }

    /// Plays the story: promotions, readings, requests of a guard, a hold and a rollback.
    pub(crate) fn play(&mut self) {
        let rollout = self.rollout.clone();
        let ana = rollout.by("ana");
        for flag in ["checkout", "search"] {
            ana.promote(flag).unwrap();
        }
        let milliseconds = |count| Quantity::Duration(Duration::from_millis(count));
        for (metric, value) in [
            ("error_rate", Quantity::parse("0.2%", Unit::Percent).unwrap()),
            ("complaints", Quantity::Count(0)),
            ("latency_p95", milliseconds(240)),
        ] {
            ana.measure("checkout", metric, Some(value), None).unwrap();
        }
        ana.promote("checkout").unwrap();
        self.judge();
        self.clock.advance(Duration::from_secs(20));
        let checkout = self.guard.flag("checkout");
        for user in 0..1000 {
            let request = checkout.enter(user);
            let outcome = if user % 50 == 0 { Outcome::error() } else { Outcome::ok() };
            request.finish(outcome.took(Duration::from_millis(250)));
        }
        checkout.enter(CANARY).finish(Outcome::ok());
        self.judge();
        let complaints = Quantity::parse("3", Unit::Count).unwrap();
        ana.measure("checkout", "complaints", Some(complaints), Some(50)).unwrap();
        ana.hold("checkout", "lunch").unwrap();
        self.clock.advance(Duration::from_millis(500));
        ana.roll_back("search", "slow").unwrap();
    }

    fn judge(&mut self) {
        let judged = self.rollout.judge(&self.guard).into_iter();
        self.judgements = judged.map(|it| it.judgement).collect();
    }

    /// Makes every write to the store fail.
    pub(crate) fn break_store(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> Figures {
        let mut outbox = OutboxStatus::default();
        (outbox.waiting, outbox.delivered, outbox.lost) = (2, 17, 1);
        Figures::of(&self.rollout.status(), &self.rollout.plan())
            .with_judgements(&self.guard.plan(), &self.judgements)
            .with_lead(true)
            .with_outbox("chat", &outbox)
    }
}
