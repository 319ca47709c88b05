//! Rollbacks in a process that is behind, or that has others waiting: none is lost.

use stagegate::rollout::Rollout;

use super::faulty::Faults;
use super::is_the_same_reopened;
use super::way_back::{DOCUMENT, begun, is_on, stage};

#[test]
fn a_rollback_in_a_process_that_has_not_read_on_is_recorded() {
    let (rollout, _, memory, clock) = begun();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    rollout.by("ana").promote("a").unwrap();
    let outcome = other.by("ben").roll_back("a", "bad").unwrap();
    assert_eq!(outcome.records.len(), 1, "{outcome:?}");
    assert!(outcome.unrecorded.is_none());
    assert_eq!(outcome.alerts[0].text, "taken back from `all` to `off`: bad");
    rollout.refresh().unwrap();
    assert!(!is_on(&rollout, "a"));
    is_the_same_reopened(&other, &memory, &clock);
    // Once more it is a no-op, and that is known.
    let outcome = other.by("ben").roll_back("a", "bad").unwrap();
    assert!(outcome.records.is_empty() && outcome.unrecorded.is_none());
    let outcome = rollout.by("ben").roll_back("b", "bad").unwrap();
    assert!(outcome.records.is_empty() && outcome.unrecorded.is_none());
}

#[test]
fn a_rollback_of_a_flag_that_only_the_store_knows_is_recorded() {
    let (rollout, _, memory, clock) = begun();
    let other = Rollout::open(memory, clock).unwrap();
    let added = format!("{DOCUMENT}[flags.new]\nstage = \"ga\"\n");
    rollout.by("ana").update(added).unwrap();
    assert!(is_on(&rollout, "new"));
    assert_eq!(other.by("ben").roll_back("new", "bad").unwrap().records.len(), 1);
    rollout.refresh().unwrap();
    assert!(!is_on(&rollout, "new"));
    assert!(other.by("ben").roll_back("newer", "bad").unwrap_err().is_not_found());
}

#[test]
fn a_rollback_to_a_stage_below_what_only_the_store_knows_is_recorded() {
    let (rollout, _, memory, clock) = begun();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    let outcome = other.by("ben").roll_back_to("b", "one", "too far").unwrap();
    assert_eq!(&*outcome.state.stage, "one");
    let error = other.by("ben").roll_back_to("b", "two", "up?").unwrap_err();
    assert!(error.refusals()[0].has("stage"), "{error}");
    is_the_same_reopened(&other, &memory, &clock);
}

/// The store cannot be read, so nobody knows whether the flag is on elsewhere: it is taken back when that is known.
#[test]
fn a_rollback_of_a_flag_that_is_off_waits_for_a_store_that_cannot_be_read() {
    let (rollout, faults, memory, clock) = begun();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    other.by("ana").promote("a").unwrap();
    faults.dead(true);
    let outcome = rollout.by("ben").roll_back("a", "bad").unwrap();
    let unrecorded = outcome.unrecorded.unwrap().to_string();
    assert_eq!(unrecorded, "(faulty): the disk cannot be read");
    assert_eq!(rollout.status().unrecorded, ["a".into()]);
    let again = rollout.by("ben").roll_back("a", "bad").unwrap();
    assert!(again.unrecorded.is_some(), "the second one is not recorded either");
    assert!(rollout.tick().error.is_some());
    faults.dead(false);
    let report = rollout.tick();
    assert!(report.error.is_none());
    assert!(report.records[0].to_string().ends_with("ben: a: rolled back (bad), all -> off"));
    other.refresh().unwrap();
    assert!(!is_on(&other, "a"));
    is_the_same_reopened(&rollout, &memory, &clock);
}

/// What was waiting and turns out to be off everywhere needs no record.
#[test]
fn a_rollback_of_a_flag_that_is_off_everywhere_ends_without_a_record() {
    let (rollout, faults, _, _) = begun();
    faults.dead(true);
    assert!(rollout.by("ben").roll_back("a", "bad").unwrap().unrecorded.is_some());
    faults.dead(false);
    let report = rollout.tick();
    assert!(
        report.error.is_none() && report.records.iter().all(|it| it.flag.as_deref() != Some("a"))
    );
    assert!(rollout.status().unrecorded.is_empty());
    rollout.by("ana").promote("a").unwrap();
    assert!(is_on(&rollout, "a"));
}

/// A second, deeper rollback before the first is recorded.
#[test]
fn a_deeper_rollback_after_one_that_is_not_recorded_counts() {
    let (rollout, faults, memory, clock) = begun();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    faults.dead(true);
    rollout.by("ben").roll_back_to("b", "two", "slow").unwrap();
    let outcome = rollout.by("ben").roll_back_to("b", "off", "errors").unwrap();
    assert!(outcome.unrecorded.is_some());
    assert_eq!(&*rollout.report("b").unwrap().serving, "off");
    faults.dead(false);
    rollout.tick();
    assert_eq!(stage(&rollout, "b"), "off");
    is_the_same_reopened(&rollout, &memory, &clock);
}

/// Another process has taken the flag further down than a rollback that waits here.
#[test]
fn a_rollback_that_waits_takes_no_flag_up() {
    let (rollout, faults, memory, clock) = begun();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    Faults::set(&faults.no_append, true);
    rollout.by("ben").roll_back_to("b", "two", "slow").unwrap();
    other.by("eve").roll_back_to("b", "off", "errors").unwrap();
    rollout.refresh().unwrap();
    assert_eq!(&*rollout.report("b").unwrap().serving, "off");
    Faults::set(&faults.no_append, false);
    rollout.tick();
    assert_eq!(&*rollout.report("b").unwrap().serving, "off");
    is_the_same_reopened(&rollout, &memory, &clock);
}
