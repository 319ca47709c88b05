//! The guard retries an action until the store records it, or until another hold has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::guard::{Guard, Outcome};
use stagegate::rollout::{Fact, JudgeReport, Rollout, Store, StoreError};
use stagegate::store::Memory;

/// A store in memory that can be told to fail.
#[derive(Debug)]
struct Failing {
    memory: Memory,
    fails: Arc<AtomicBool>,
}

impl Store for Failing {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        self.memory.read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        if self.fails.load(Ordering::SeqCst) {
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
        "(failing)".to_owned()
    }
}

struct World {
    rollout: Rollout,
    guard: Guard,
    clock: ManualClock,
    fails: Arc<AtomicBool>,
    users: u64,
}

impl World {
    fn new(trigger: &str) -> World {
        let document = format!(
            r#"
            schema = 1
            [flags.a]
            stage = "pilot"
            stages = [{{ name = "pilot", percent = 50 }}, {{ name = "ga", percent = 100 }}]
            triggers = [{{ metric = "error_rate", no_data = "hold", {trigger} }}]
            responsibility = [{{ contact = "pager@shop.example" }}]
            "#
        );
        let (memory, fails) = (Memory::new(), Arc::new(AtomicBool::new(false)));
        let store = Failing { memory, fails: Arc::clone(&fails) };
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
        let rollout = Rollout::start(store, clock.clone(), document, "ana").unwrap();
        let guard = Guard::new(rollout.gate(), rollout.plan());
        rollout.judge(&guard);
        World { rollout, guard, clock, fails, users: 0 }
    }

    /// Serves requests of which a third of those with the flag fail, and looks.
    fn bad_look(&mut self) -> JudgeReport {
        let flag = self.guard.flag("a");
        for user in self.users..self.users + 2_000 {
            let request = flag.enter(user);
            let fails = request.is_enabled() && user % 3 == 0;
            request.finish(if fails { Outcome::error() } else { Outcome::ok() });
        }
        self.users += 2_000;
        self.look()
    }

    /// Serves requests without counting every fifth user without the flag, and looks.
    fn uneven_look(&mut self) -> JudgeReport {
        let flag = self.guard.flag("a");
        for user in self.users..self.users + 1_000 {
            if self.rollout.gate().is_enabled(user, "a") || user % 5 > 0 {
                flag.record(user, Outcome::ok());
            }
        }
        self.users += 1_000;
        self.look()
    }

    fn look(&mut self) -> JudgeReport {
        self.clock.advance(Duration::from_secs(60));
        self.rollout.judge(&self.guard).pop().unwrap()
    }

    fn set_store_fails(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn count(&self, is: impl Fn(&Fact) -> bool) -> usize {
        self.rollout.records(1).unwrap().iter().filter(|record| is(&record.fact)).count()
    }
}

const DECIDE: &str = "worse_than_control_by = \"50%\", action = \"decide\"";
const BACK: &str = "above = \"50%\", action = \"rollback\"";

#[test]
fn a_decision_that_could_not_be_recorded_is_requested_again() {
    let mut world = World::new(DECIDE);
    world.set_store_fails(true);
    let judged = world.bad_look();
    assert_eq!(judged.judgement.breached, [0]);
    assert!(judged.actions[0].is_err());
    assert!(world.bad_look().actions[0].is_err(), "the second look does not retry");
    world.set_store_fails(false);
    let judged = world.bad_look();
    let outcome = judged.actions[0].as_ref().unwrap();
    assert!(outcome.alerts[0].text.ends_with("roll back?"));
    let refused = world.rollout.by("ana").promote("a").unwrap_err();
    assert!(refused.refusals()[0].has("incident"));
    // The guard requests the decision once.
    for _ in 0..5 {
        assert!(world.bad_look().actions.is_empty());
    }
    assert_eq!(world.count(|fact| matches!(fact, Fact::Asked { .. })), 1);
}

#[test]
fn a_hold_for_an_uneven_split_waits_for_the_end_of_another_hold() {
    let mut world = World::new(BACK);
    world.rollout.by("ana").hold("a", "lunch").unwrap();
    let looks: Vec<JudgeReport> = (0..20).map(|_| world.uneven_look()).collect();
    let acts: Vec<_> = looks.iter().flat_map(|judged| &judged.actions).collect();
    assert!(looks[19].judgement.uneven);
    assert!(acts[0].as_ref().unwrap_err().refusals()[0].has("held"));
    assert_eq!(acts.len(), 1, "the guard does not wait for the end of the other hold");
    world.rollout.by("ana").resume("a", Some("back")).unwrap();
    assert!(world.uneven_look().actions[0].is_ok());
    assert_eq!(&*world.rollout.report("a").unwrap().state.hold.unwrap().by, "guard");
    // After a person has ended the guard's hold, the guard does not hold the flag again.
    world.rollout.by("ana").resume("a", Some("robots")).unwrap();
    assert!(world.uneven_look().actions.is_empty());
    world.rollout.by("ana").promote("a").unwrap();
}

#[test]
fn a_hold_that_could_not_be_recorded_is_retried() {
    let mut world = World::new(BACK);
    world.set_store_fails(true);
    let mut failed = 0;
    for _ in 0..20 {
        failed += world.uneven_look().actions.iter().filter(|act| act.is_err()).count();
    }
    assert!(failed > 1, "the guard does not retry at each look");
    world.set_store_fails(false);
    assert!(world.uneven_look().actions[0].is_ok());
    assert!(world.uneven_look().actions.is_empty());
    assert_eq!(world.count(|fact| matches!(fact, Fact::Held { .. })), 1);
}
