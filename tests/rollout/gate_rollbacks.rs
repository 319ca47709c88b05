//! Rollbacks through the gate of a rollout: a thread records them at once.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use stagegate::Update;
use stagegate::clock::ManualClock;
use stagegate::rollout::{Notification, Rollout, Sink};
use stagegate::store::Memory;

use super::faulty::Faulty;
use super::{assert_same_after_reopen, monday};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1 }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "all", percent = 100 }]
"#;

/// Waits until the journal has this record, and returns it without its time.
fn record(rollout: &Rollout, number: usize) -> String {
    loop {
        let records = rollout.records(1).unwrap();
        if let Some(record) = records.get(number - 1) {
            return record.to_string().split_once("Z ").unwrap().1.to_owned();
        }
        thread::yield_now();
    }
}

#[test]
fn a_rollback_by_the_gate_is_recorded_without_a_tick() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(memory.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    rollout.by("ana").force_to("a", "all", "hurry").unwrap();
    rollout.gate().set_stage("a", "one").unwrap();
    let back = "application: a: rolled back (taken down by the application), all -> one";
    assert_eq!(record(&rollout, 3), back);
    rollout.gate().roll_back("a").unwrap();
    assert!(record(&rollout, 4).ends_with("one -> off"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

#[test]
fn a_rollback_by_the_gate_notifies_sinks() {
    #[derive(Clone, Debug)]
    struct Lines(Arc<Mutex<mpsc::Sender<String>>>);
    impl Sink for Lines {
        fn tell(&self, it: &Notification) {
            let _ = self.0.lock().unwrap().send(format!("{}: {}", it.kind.name(), it.text));
        }
    }
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(Memory::new(), clock, DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("b").unwrap();
    let (sender, told) = mpsc::channel();
    rollout.tell(Lines(Arc::new(Mutex::new(sender))));
    rollout.gate().roll_back("b").unwrap();
    let text = "rolled_back: rolled back (taken down by the application), all -> off";
    assert_eq!(told.recv().unwrap(), text);
}

#[test]
fn a_rollback_by_the_gate_does_not_wait_for_the_disk() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("b").unwrap();
    let hung = faults.hang_append();
    rollout.gate().roll_back("b").unwrap();
    hung.wait_until_called();
    assert!(!rollout.gate().is_enabled("user-1", "b"));
    assert_eq!(rollout.status().unrecorded, ["b".into()]);
    hung.go_on();
    assert!(record(&rollout, 3).ends_with("all -> off"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// The rollout calls the observer while it moves a flag and holds its lock.
#[test]
fn a_rollback_by_an_observer_of_the_gate_is_recorded() {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(memory.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("a").unwrap();
    let gate = rollout.gate().clone();
    rollout.gate().observe(move |update: &Update<'_>| {
        if let Update::Applied { changes, .. } = update
            && changes.iter().any(|change| &*change.flag == "b" && change.from.unwrap() == "off")
        {
            gate.roll_back("a").unwrap();
        }
    });
    rollout.by("ana").promote("b").unwrap();
    assert!(record(&rollout, 4).starts_with("application: a: rolled back"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// When the last handle is dropped, the store has the record and is closed.
#[test]
fn dropping_a_rollout_waits_until_gate_rollbacks_are_recorded() {
    for _ in 0..50 {
        let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
        let (store, faults) = Faulty::on(&memory);
        let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
        rollout.by("ana").promote("b").unwrap();
        rollout.gate().roll_back("b").unwrap();
        drop(rollout);
        assert_eq!(Arc::strong_count(&faults), 1, "the store is closed");
        let again = Rollout::open(memory, clock).unwrap();
        assert_eq!(again.report("b").unwrap().state.stage, "off");
    }
}
