//! A record that cannot be written, and a store that cannot: the one holds up its flag, the other everything.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::{DAY, is_the_same_reopened, monday};

/// Four flags that go up by themselves after a day.
fn begun() -> (Rollout, Arc<Faults>, Memory, ManualClock) {
    let stages = "stages = [{ name = \"one\", percent = 1, min_duration = \"1d\", advance = \"auto\" }, \
                  { name = \"all\", percent = 100 }]";
    let flags = ["a", "b", "c", "d"].map(|flag| format!("[flags.{flag}]\n{stages}\n"));
    let document = format!("schema = 1\n{}", flags.concat());
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let (store, faults) = Faulty::on(&memory);
    let rollout = Rollout::start(store, clock.clone(), document, "ana").unwrap();
    for flag in ["a", "b", "c", "d"] {
        rollout.by("ana").promote(flag).unwrap();
    }
    (rollout, faults, memory, clock)
}

fn bad(faults: &Faults, text: Option<&str>) {
    *faults.bad_text.lock().unwrap() = text.map(str::to_owned);
}

fn stages(rollout: &Rollout) -> Vec<String> {
    rollout.status().flags.iter().map(|flag| flag.state.stage.to_string()).collect()
}

#[test]
fn a_flag_whose_promotion_cannot_be_recorded_holds_up_no_other_one_in_a_tick() {
    let (rollout, faults, memory, clock) = begun();
    clock.advance(DAY);
    bad(&faults, Some("\"flag\":\"b\""));
    let report = rollout.tick();
    assert_eq!(report.error.unwrap().to_string(), "(faulty): the disk is gone");
    assert_eq!(stages(&rollout), ["all", "one", "all", "all"]);
    bad(&faults, None);
    assert!(rollout.tick().error.is_none());
    assert_eq!(stages(&rollout), ["all"; 4]);
    is_the_same_reopened(&rollout, &memory, &clock);
}

#[test]
fn a_rollback_that_cannot_be_recorded_holds_up_no_other_flag() {
    let (rollout, faults, memory, clock) = begun();
    bad(&faults, Some("\"flag\":\"a\""));
    assert!(rollout.by("ben").roll_back("a", "slow").unwrap().unrecorded.is_some());
    let outcome = rollout.by("ben").roll_back("b", "slow").unwrap();
    assert!(outcome.unrecorded.is_none() && outcome.records.len() == 1);
    rollout.by("ana").hold("c", "wait").unwrap();
    // What comes after a record that is missing waits with it.
    assert!(rollout.by("ana").hold("a", "wait").is_err());
    clock.advance(DAY);
    let report = rollout.tick();
    assert_eq!(report.records.iter().filter(|it| it.to_string().contains(": d: ")).count(), 1);
    let status = rollout.status();
    assert_eq!(status.unrecorded, ["a".into()]);
    assert_eq!(status.last_error.unwrap().to_string(), "(faulty): the disk is gone");
    bad(&faults, None);
    assert!(rollout.tick().error.is_none());
    assert!(rollout.status().unrecorded.is_empty() && rollout.status().last_error.is_none());
    assert_eq!(stages(&rollout), ["off", "off", "one", "all"]);
    is_the_same_reopened(&rollout, &memory, &clock);
}

/// Nobody waits for a disk that is gone once for each flag.
#[test]
fn a_store_that_cannot_be_read_either_is_asked_for_one_record() {
    let (rollout, faults, _, clock) = begun();
    clock.advance(DAY);
    faults.dead(true);
    let before = faults.appends.load(Ordering::SeqCst);
    assert!(rollout.tick().error.is_some());
    assert_eq!(faults.appends.load(Ordering::SeqCst), before + 1);
    for flag in ["a", "b", "c"] {
        rollout.by("ben").roll_back(flag, "slow").unwrap();
    }
    let before = faults.appends.load(Ordering::SeqCst);
    assert!(rollout.tick().error.is_some());
    assert!(faults.appends.load(Ordering::SeqCst) <= before + 1);
    faults.dead(false);
    assert!(rollout.tick().error.is_none());
    assert_eq!(stages(&rollout), ["off", "off", "off", "all"]);
}
