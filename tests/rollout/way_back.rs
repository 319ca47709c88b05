//! Rollbacks that meet a write in progress: none is lost.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use stagegate::clock::{Clock, ManualClock, Moment};
use stagegate::rollout::{Event, Rollout};
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::{is_the_same_reopened, monday};

/// Everybody in one step; three steps; one that needs nobody.
pub(crate) const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "all", percent = 100 }]
triggers = [
    { incident = "security", action = "rollback" },
    { metric = "error_rate", above = "5%", no_data = "hold", action = "rollback" },
]
[flags.b]
stages = [{ name = "one", percent = 1 }, { name = "two", percent = 2 }, { name = "all", percent = 100 }]
rollback = { target = "previous" }
[flags.auto]
stages = [{ name = "few", percent = 0.1, advance = "auto" }, { name = "all", percent = 100 }]
"#;

pub(crate) fn begun() -> (Rollout, Arc<Faults>, Memory, ManualClock) {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    let rollout = Rollout::start(store, clock.clone(), DOCUMENT, "ana").unwrap();
    (rollout, faults, memory, clock)
}

fn lines(rollout: &Rollout) -> Vec<String> {
    let records = rollout.records(2).unwrap();
    records.iter().map(|record| record.to_string().split_once("Z ").unwrap().1.to_owned()).collect()
}

pub(crate) fn stage(rollout: &Rollout, flag: &str) -> String {
    rollout.report(flag).unwrap().state.stage.to_string()
}

pub(crate) fn is_on(rollout: &Rollout, flag: &str) -> bool {
    rollout.gate().is_enabled("user-1", flag)
}

/// `up` is being written while `back` takes the flag back. The gate never lets the user in, and the journal ends with
/// the rollback.
fn races_a_write(
    up: impl FnOnce(&Rollout) + Send + 'static,
    flag: &str,
    back: impl FnOnce(&Rollout),
) -> (Rollout, Vec<String>) {
    let (rollout, faults, memory, clock) = begun();
    let flag = flag.to_owned();
    rollout.by("ana").promote("auto").unwrap();
    // Tells of every moment in which the user has the flag.
    let (gate, seen) = (rollout.gate().clone(), Arc::new(Mutex::new(Vec::new())));
    let (told, key) = (Arc::clone(&seen), flag.clone());
    rollout.gate().observe(move |_: &stagegate::Update<'_>| {
        told.lock().unwrap().push(gate.is_enabled("user-1", &key));
    });
    let hung = faults.hang_append();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || up(&promoting));
    hung.is_under_way();
    back(&rollout);
    assert!(!is_on(&rollout, &flag));
    hung.go_on();
    thread.join().unwrap();
    assert!(!seen.lock().unwrap().contains(&true), "somebody had the flag for an instant");
    assert!(!is_on(&rollout, &flag));
    settled(&rollout);
    assert!(rollout.tick().error.is_none());
    assert!(!is_on(&rollout, &flag));
    assert_eq!(stage(&rollout, &flag), "off");
    is_the_same_reopened(&rollout, &memory, &clock);
    let lines = lines(&rollout).split_off(1);
    (rollout, lines)
}

/// Waits until every rollback is recorded.
fn settled(rollout: &Rollout) {
    while !rollout.status().unrecorded.is_empty() {
        thread::yield_now();
    }
}

#[test]
fn a_rollback_while_the_first_promotion_is_written_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = races_a_write(up, "a", |rollout| {
        let outcome = rollout.by("ben").roll_back("a", "stop").unwrap();
        let unrecorded = outcome.unrecorded.unwrap().to_string();
        assert_eq!(unrecorded, "(faulty): it is busy; the record follows");
        assert_eq!(rollout.status().unrecorded, ["a".into()]);
    });
    assert_eq!(
        lines[..2],
        ["ana: a: promoted, off -> all", "ben: a: rolled back (stop), all -> off"]
    );
}

#[test]
fn a_rollback_while_a_forced_promotion_is_written_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").force_to("b", "all", "hurry").unwrap());
    let (_, lines) = races_a_write(up, "b", |rollout| {
        rollout.by("ben").roll_back("b", "stop").unwrap();
    });
    assert!(lines[1].starts_with("ben: b: rolled back (stop), all -> off"), "{lines:?}");
}

#[test]
fn a_rollback_while_a_tick_promotes_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.tick());
    let (_, lines) = races_a_write(up, "auto", |rollout| {
        rollout.by("ben").roll_back("auto", "stop").unwrap();
    });
    assert!(lines[1].starts_with("ben: auto: rolled back (stop), all -> off"), "{lines:?}");
}

#[test]
fn a_rollback_while_an_update_adds_the_flag_is_not_lost() {
    let added = format!("{DOCUMENT}[flags.new]\nstage = \"ga\"\n");
    let up = move |rollout: &Rollout| drop(rollout.by("ana").update(added).unwrap());
    let (rollout, memory) = {
        let (rollout, faults, memory, _) = begun();
        let hung = faults.hang_append();
        let updating = rollout.clone();
        let thread = thread::spawn(move || up(&updating));
        hung.is_under_way();
        let outcome = rollout.by("ben").roll_back("new", "stop").unwrap();
        assert!(outcome.unrecorded.is_some());
        let (gate, told) = (rollout.gate().clone(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&told);
        rollout.gate().observe(move |_: &stagegate::Update<'_>| {
            seen.lock().unwrap().push(gate.is_enabled("user-1", "new"));
        });
        hung.go_on();
        thread.join().unwrap();
        assert!(!told.lock().unwrap().contains(&true), "somebody had the flag for an instant");
        (rollout, memory)
    };
    assert!(!is_on(&rollout, "new"));
    assert_eq!(stage(&rollout, "new"), "off");
    let again = Rollout::open(memory, ManualClock::at(monday())).unwrap();
    assert!(!is_on(&again, "new"));
}

#[test]
fn a_reported_incident_while_a_promotion_is_written_takes_the_flag_back() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = races_a_write(up, "a", |rollout| {
        rollout.by("ben").report("a", "security", Some("keys")).unwrap();
    });
    assert_eq!(
        lines[1..3],
        [
            "ben: a: incident security reported (keys)",
            "ben: a: rolled back (incident security: keys), all -> off"
        ]
    );
}

#[test]
fn a_breach_while_a_promotion_is_written_takes_the_flag_back() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = races_a_write(up, "a", |rollout| {
        let breach = Event::Breach { trigger: 1, evidence: "9%".to_owned() };
        rollout.by("guard").act("a", &breach).unwrap();
    });
    assert!(lines[1].starts_with("guard: a: rolled back (error_rate > 5%"), "{lines:?}");
}

#[test]
fn the_gates_own_rollback_while_a_promotion_is_written_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = races_a_write(up, "a", |rollout| {
        rollout.gate().roll_back("a").unwrap();
    });
    let back = "application: a: rolled back (taken down by the application), all -> off";
    assert_eq!(lines[1], back);
}

/// A clock that says when the thread of that name asks.
#[derive(Debug)]
struct Watched {
    clock: ManualClock,
    asked: Mutex<mpsc::Sender<()>>,
}

impl Clock for Watched {
    fn now(&self) -> Moment {
        if thread::current().name() == Some("promoting") {
            let _ = self.asked.lock().unwrap().send(());
        }
        self.clock.now()
    }
}

/// The promotion was decided before the rollback, and waits for the store.
#[test]
fn a_promotion_that_waits_for_the_store_is_cancelled_by_a_rollback() {
    let (store, faults) = Faulty::on(&Memory::new());
    let (asked, decides) = mpsc::channel();
    let clock = Watched { clock: ManualClock::at(monday()), asked: Mutex::new(asked) };
    let rollout = Rollout::start(store, clock, DOCUMENT, "ana").unwrap();
    let hung = faults.hang_append();
    let holding = rollout.clone();
    let hold = thread::spawn(move || holding.by("ana").hold("b", "wait").map(drop));
    hung.is_under_way();
    let promoting = rollout.clone();
    let promote = thread::Builder::new().name("promoting".to_owned());
    let promote = promote.spawn(move || promoting.by("ana").promote("a").map(drop)).unwrap();
    // It decides with a lock that the rollback takes after it.
    decides.recv().unwrap();
    rollout.by("ben").roll_back("a", "stop").unwrap();
    hung.go_on();
    hold.join().unwrap().unwrap();
    let error = promote.join().unwrap().unwrap_err();
    assert!(error.refusals()[0].has("moved"), "{error}");
    assert!(!is_on(&rollout, "a"));
}

#[test]
fn a_rollback_while_anothers_promotion_is_read_is_not_lost() {
    let (rollout, faults, memory, clock) = begun();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    other.by("ana").promote("a").unwrap();
    let hung = faults.hang_read();
    let reading = rollout.clone();
    let thread = thread::spawn(move || reading.refresh().unwrap());
    hung.is_under_way();
    let outcome = rollout.by("ben").roll_back("a", "stop").unwrap();
    assert!(outcome.unrecorded.is_some());
    hung.go_on();
    thread.join().unwrap();
    settled(&rollout);
    assert!(!is_on(&rollout, "a"));
    assert_eq!(stage(&rollout, "a"), "off");
    other.refresh().unwrap();
    assert!(!is_on(&other, "a"));
    is_the_same_reopened(&rollout, &memory, &clock);
}

/// To a stage that the write in progress passes: the flag ends there.
#[test]
fn a_rollback_to_a_stage_that_a_write_in_progress_passes_ends_there() {
    let (rollout, faults, memory, clock) = begun();
    let hung = faults.hang_append();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || promoting.by("ana").force_to("b", "all", "hurry").unwrap());
    hung.is_under_way();
    rollout.by("ben").roll_back_to("b", "one", "too far").unwrap();
    hung.go_on();
    thread.join().unwrap();
    settled(&rollout);
    let report = rollout.report("b").unwrap();
    assert_eq!((&*report.state.stage, &*report.serving), ("one", "one"));
    is_the_same_reopened(&rollout, &memory, &clock);
}

/// Whoever reads the journal has the store as well, and looks after what came meanwhile.
#[test]
fn a_rollback_while_the_journal_is_read_is_recorded_once_it_was() {
    let (rollout, faults, memory, clock) = begun();
    rollout.by("ana").promote("a").unwrap();
    let hung = faults.hang_read();
    let reading = rollout.clone();
    let thread = thread::spawn(move || reading.records(1).unwrap().len());
    hung.is_under_way();
    assert!(rollout.by("ben").roll_back("a", "stop").unwrap().unrecorded.is_some());
    hung.go_on();
    thread.join().unwrap();
    assert!(rollout.status().unrecorded.is_empty());
    is_the_same_reopened(&rollout, &memory, &clock);
}
