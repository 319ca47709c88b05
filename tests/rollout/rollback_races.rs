//! Rollbacks during a write: each one wins and is recorded.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use stagegate::clock::{Clock, ManualClock, Moment};
use stagegate::rollout::{Event, Rollout};
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::{assert_same_after_reopen, monday};

/// A plan with a flag of one stage, a flag of three stages, and a flag that is promoted automatically.
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

pub(crate) fn start_rollout() -> (Rollout, Arc<Faults>, Memory, ManualClock) {
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

/// Calls `back` while the record of `up` is being written. Asserts that the user never has the flag and that the flag
/// ends at `off`. Returns the rollout and the journal's lines.
fn roll_back_during_write(
    up: impl FnOnce(&Rollout) + Send + 'static,
    flag: &str,
    back: impl FnOnce(&Rollout),
) -> (Rollout, Vec<String>) {
    let (rollout, faults, memory, clock) = start_rollout();
    let flag = flag.to_owned();
    rollout.by("ana").promote("auto").unwrap();
    // Stores after each update whether the user has the flag.
    let (gate, seen) = (rollout.gate().clone(), Arc::new(Mutex::new(Vec::new())));
    let (told, key) = (Arc::clone(&seen), flag.clone());
    rollout.gate().observe(move |_: &stagegate::Update<'_>| {
        told.lock().unwrap().push(gate.is_enabled("user-1", &key));
    });
    let hung = faults.hang_append();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || up(&promoting));
    hung.wait_until_called();
    back(&rollout);
    assert!(!is_on(&rollout, &flag));
    hung.go_on();
    thread.join().unwrap();
    assert!(!seen.lock().unwrap().contains(&true), "the user had the flag for an instant");
    assert!(!is_on(&rollout, &flag));
    wait_until_recorded(&rollout);
    assert!(rollout.tick().error.is_none());
    assert!(!is_on(&rollout, &flag));
    assert_eq!(stage(&rollout, &flag), "off");
    assert_same_after_reopen(&rollout, &memory, &clock);
    let lines = lines(&rollout).split_off(1);
    (rollout, lines)
}

/// Waits until every rollback is recorded.
fn wait_until_recorded(rollout: &Rollout) {
    while !rollout.status().unrecorded.is_empty() {
        thread::yield_now();
    }
}

#[test]
fn a_rollback_while_the_first_promotion_is_written_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = roll_back_during_write(up, "a", |rollout| {
        let outcome = rollout.by("ben").roll_back("a", "stop").unwrap();
        let unrecorded = outcome.unrecorded.unwrap().to_string();
        assert_eq!(
            unrecorded,
            "(faulty): it is busy with another write; the rollback is recorded after that"
        );
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
    let (_, lines) = roll_back_during_write(up, "b", |rollout| {
        rollout.by("ben").roll_back("b", "stop").unwrap();
    });
    assert!(lines[1].starts_with("ben: b: rolled back (stop), all -> off"), "{lines:?}");
}

#[test]
fn a_rollback_while_a_tick_promotes_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.tick());
    let (_, lines) = roll_back_during_write(up, "auto", |rollout| {
        rollout.by("ben").roll_back("auto", "stop").unwrap();
    });
    assert!(lines[1].starts_with("ben: auto: rolled back (stop), all -> off"), "{lines:?}");
}

#[test]
fn a_rollback_while_an_update_adds_the_flag_is_not_lost() {
    let added = format!("{DOCUMENT}[flags.new]\nstage = \"ga\"\n");
    let up = move |rollout: &Rollout| drop(rollout.by("ana").update(added).unwrap());
    let (rollout, memory) = {
        let (rollout, faults, memory, _) = start_rollout();
        let hung = faults.hang_append();
        let updating = rollout.clone();
        let thread = thread::spawn(move || up(&updating));
        hung.wait_until_called();
        let outcome = rollout.by("ben").roll_back("new", "stop").unwrap();
        assert!(outcome.unrecorded.is_some());
        let (gate, told) = (rollout.gate().clone(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&told);
        rollout.gate().observe(move |_: &stagegate::Update<'_>| {
            seen.lock().unwrap().push(gate.is_enabled("user-1", "new"));
        });
        hung.go_on();
        thread.join().unwrap();
        assert!(!told.lock().unwrap().contains(&true), "the user had the flag for an instant");
        (rollout, memory)
    };
    assert!(!is_on(&rollout, "new"));
    assert_eq!(stage(&rollout, "new"), "off");
    let again = Rollout::open(memory, ManualClock::at(monday())).unwrap();
    assert!(!is_on(&again, "new"));
}

#[test]
fn an_incident_reported_while_a_promotion_is_written_rolls_the_flag_back() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = roll_back_during_write(up, "a", |rollout| {
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
fn a_breach_while_a_promotion_is_written_rolls_the_flag_back() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = roll_back_during_write(up, "a", |rollout| {
        let breach = Event::Breach { trigger: 1, evidence: "9%".to_owned() };
        rollout.by("guard").act("a", &breach).unwrap();
    });
    assert!(lines[1].starts_with("guard: a: rolled back (error_rate > 5%"), "{lines:?}");
}

#[test]
fn the_gates_own_rollback_while_a_promotion_is_written_is_not_lost() {
    let up = |rollout: &Rollout| drop(rollout.by("ana").promote("a").unwrap());
    let (_, lines) = roll_back_during_write(up, "a", |rollout| {
        rollout.gate().roll_back("a").unwrap();
    });
    let back = "application: a: rolled back (taken down by the application), all -> off";
    assert_eq!(lines[1], back);
}

/// A clock that reports when the thread `promoting` reads it.
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

/// The promotion was decided before the rollback, and waits for another write.
#[test]
fn a_promotion_that_waits_for_the_store_is_cancelled_by_a_rollback() {
    let (store, faults) = Faulty::on(&Memory::new());
    let (asked, decides) = mpsc::channel();
    let clock = Watched { clock: ManualClock::at(monday()), asked: Mutex::new(asked) };
    let rollout = Rollout::start(store, clock, DOCUMENT, "ana").unwrap();
    let hung = faults.hang_append();
    let holding = rollout.clone();
    let hold = thread::spawn(move || holding.by("ana").hold("b", "wait").map(drop));
    hung.wait_until_called();
    let promoting = rollout.clone();
    let promote = thread::Builder::new().name("promoting".to_owned());
    let promote = promote.spawn(move || promoting.by("ana").promote("a").map(drop)).unwrap();
    // The promotion decides under a lock that the rollback needs, so the rollback comes after the decision.
    decides.recv().unwrap();
    rollout.by("ben").roll_back("a", "stop").unwrap();
    hung.go_on();
    hold.join().unwrap().unwrap();
    let error = promote.join().unwrap().unwrap_err();
    assert!(error.refusals()[0].has("moved"), "{error}");
    assert!(!is_on(&rollout, "a"));
}

#[test]
fn a_rollback_during_a_refresh_is_not_lost() {
    let (rollout, faults, memory, clock) = start_rollout();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    other.by("ana").promote("a").unwrap();
    let hung = faults.hang_read();
    let reading = rollout.clone();
    let thread = thread::spawn(move || reading.refresh().unwrap());
    hung.wait_until_called();
    let outcome = rollout.by("ben").roll_back("a", "stop").unwrap();
    assert!(outcome.unrecorded.is_some());
    hung.go_on();
    thread.join().unwrap();
    wait_until_recorded(&rollout);
    assert!(!is_on(&rollout, "a"));
    assert_eq!(stage(&rollout, "a"), "off");
    other.refresh().unwrap();
    assert!(!is_on(&other, "a"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// The promotion skips over the stage that the rollback names.
#[test]
fn a_partial_rollback_during_a_promotion_ends_at_its_stage() {
    let (rollout, faults, memory, clock) = start_rollout();
    let hung = faults.hang_append();
    let promoting = rollout.clone();
    let thread = thread::spawn(move || promoting.by("ana").force_to("b", "all", "hurry").unwrap());
    hung.wait_until_called();
    rollout.by("ben").roll_back_to("b", "one", "too far").unwrap();
    hung.go_on();
    thread.join().unwrap();
    wait_until_recorded(&rollout);
    let report = rollout.report("b").unwrap();
    assert_eq!((&*report.state.stage, &*report.serving), ("one", "one"));
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// The thread that reads the journal holds the store, and records waiting rollbacks when it is done.
#[test]
fn a_rollback_while_the_journal_is_read_is_recorded_after_the_read() {
    let (rollout, faults, memory, clock) = start_rollout();
    rollout.by("ana").promote("a").unwrap();
    let hung = faults.hang_read();
    let reading = rollout.clone();
    let thread = thread::spawn(move || reading.records(1).unwrap().len());
    hung.wait_until_called();
    assert!(rollout.by("ben").roll_back("a", "stop").unwrap().unrecorded.is_some());
    hung.go_on();
    thread.join().unwrap();
    assert!(rollout.status().unrecorded.is_empty());
    assert_same_after_reopen(&rollout, &memory, &clock);
}
