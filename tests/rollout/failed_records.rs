//! A record that cannot be written delays its flag only. A store that cannot be read delays every flag.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::faulty::{Faults, Faulty};
use super::{DAY, assert_same_after_reopen, monday};

/// Starts a rollout with four flags that are promoted automatically after a day.
fn start_rollout() -> (Rollout, Arc<Faults>, Memory, ManualClock) {
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

fn fail_appends_with(faults: &Faults, text: Option<&str>) {
    *faults.bad_text.lock().unwrap() = text.map(str::to_owned);
}

fn stages(rollout: &Rollout) -> Vec<String> {
    rollout.status().flags.iter().map(|flag| flag.state.stage.to_string()).collect()
}

#[test]
fn a_promotion_that_cannot_be_recorded_delays_no_other_flag() {
    let (rollout, faults, memory, clock) = start_rollout();
    clock.advance(DAY);
    fail_appends_with(&faults, Some("\"flag\":\"b\""));
    let report = rollout.tick();
    assert_eq!(report.error.unwrap().to_string(), "(faulty): the disk is gone");
    assert_eq!(stages(&rollout), ["all", "one", "all", "all"]);
    fail_appends_with(&faults, None);
    assert!(rollout.tick().error.is_none());
    assert_eq!(stages(&rollout), ["all"; 4]);
    assert_same_after_reopen(&rollout, &memory, &clock);
}

#[test]
fn a_rollback_that_cannot_be_recorded_delays_no_other_flag() {
    let (rollout, faults, memory, clock) = start_rollout();
    fail_appends_with(&faults, Some("\"flag\":\"a\""));
    assert!(rollout.by("ben").roll_back("a", "slow").unwrap().unrecorded.is_some());
    let outcome = rollout.by("ben").roll_back("b", "slow").unwrap();
    assert!(outcome.unrecorded.is_none() && outcome.records.len() == 1);
    rollout.by("ana").hold("c", "wait").unwrap();
    // Later records of the same flag wait for the missing record.
    assert!(rollout.by("ana").hold("a", "wait").is_err());
    clock.advance(DAY);
    let report = rollout.tick();
    assert_eq!(report.records.iter().filter(|it| it.to_string().contains(": d: ")).count(), 1);
    let status = rollout.status();
    assert_eq!(status.unrecorded, ["a".into()]);
    assert_eq!(status.last_error.unwrap().to_string(), "(faulty): the disk is gone");
    fail_appends_with(&faults, None);
    assert!(rollout.tick().error.is_none());
    assert!(rollout.status().unrecorded.is_empty() && rollout.status().last_error.is_none());
    assert_eq!(stages(&rollout), ["off", "off", "one", "all"]);
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// Otherwise a tick would wait for the timeout of a dead disk once per flag.
#[test]
fn a_tick_asks_a_dead_store_only_once() {
    let (rollout, faults, _, clock) = start_rollout();
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
