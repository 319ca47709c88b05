//! Rollbacks by a process that has not read the whole journal, and rollbacks that wait for the store.

use stagegate::rollout::Rollout;

use super::assert_same_after_reopen;
use super::faulty::Faults;
use super::rollback_races::{DOCUMENT, is_on, stage, start_rollout};

#[test]
fn a_rollback_by_a_process_behind_the_journal_is_recorded() {
    let (rollout, _, memory, clock) = start_rollout();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    rollout.by("ana").promote("a").unwrap();
    let outcome = other.by("ben").roll_back("a", "bad").unwrap();
    assert_eq!(outcome.records.len(), 1, "{outcome:?}");
    assert!(outcome.unrecorded.is_none());
    assert_eq!(outcome.alerts[0].text, "rolled back from `all` to `off`: bad");
    rollout.refresh().unwrap();
    assert!(!is_on(&rollout, "a"));
    assert_same_after_reopen(&other, &memory, &clock);
    // A second rollback is a no-op, because this process has read the journal by now.
    let outcome = other.by("ben").roll_back("a", "bad").unwrap();
    assert!(outcome.records.is_empty() && outcome.unrecorded.is_none());
    let outcome = rollout.by("ben").roll_back("b", "bad").unwrap();
    assert!(outcome.records.is_empty() && outcome.unrecorded.is_none());
}

#[test]
fn a_rollback_of_a_flag_unknown_to_this_process_is_recorded() {
    let (rollout, _, memory, clock) = start_rollout();
    let other = Rollout::open(memory, clock).unwrap();
    let added = format!("{DOCUMENT}[flags.new]\nstage = \"ga\"\n");
    rollout.by("ana").update(added).unwrap();
    assert!(is_on(&rollout, "new"));
    assert_eq!(other.by("ben").roll_back("new", "bad").unwrap().records.len(), 1);
    rollout.refresh().unwrap();
    assert!(!is_on(&rollout, "new"));
    assert!(other.by("ben").roll_back("newer", "bad").unwrap_err().is_not_found());
}

/// A process that does not follow the journal once refused actions that another process's records had made possible.
#[test]
fn an_action_is_refused_only_after_reading_the_journal() {
    let (rollout, _, memory, clock) = start_rollout();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    let ana = rollout.by("ana");
    ana.hold("b", "wait").unwrap();
    other.by("ben").resume("b", None).unwrap();

    ana.hold("b", "wait again").unwrap();
    other.refresh().unwrap();
    ana.resume("b", None).unwrap();
    // The flag has not moved since, so this is what `other` means.
    assert_eq!(other.by("ben").promote("b").unwrap().records.len(), 1);

    // A flag that another process has added.
    ana.update(format!("{DOCUMENT}[flags.new]\n")).unwrap();
    other.by("ben").hold("new", "wait").unwrap();
    assert!(other.by("ben").hold("newer", "wait").unwrap_err().is_not_found());

    // It was promoted by another process, after this process held it. So it is not promoted twice.
    other.by("ben").hold("b", "wait").unwrap();
    ana.resume("b", None).unwrap();
    let before = rollout.report("b").unwrap().state.stage;
    ana.promote("b").unwrap();
    let refused = other.by("ben").promote("b").unwrap_err();
    assert!(refused.refusals()[0].has("moved"), "{refused}");
    rollout.refresh().unwrap();
    assert_ne!(rollout.report("b").unwrap().state.stage, before);
    assert_same_after_reopen(&other, &memory, &clock);
}

/// It once reported success, because the document equalled the one that this process knew.
#[test]
fn an_update_to_a_document_that_another_process_replaced_puts_it_in_force() {
    let (rollout, _, memory, clock) = start_rollout();
    let other = Rollout::open(memory, clock).unwrap();
    rollout.by("ana").update(format!("{DOCUMENT}[flags.new]\n")).unwrap();
    let changes = other.by("ben").update(DOCUMENT).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    rollout.refresh().unwrap();
    assert!(rollout.report("new").unwrap_err().is_not_found());
}

#[test]
fn a_partial_rollback_by_a_process_behind_the_journal_is_recorded() {
    let (rollout, _, memory, clock) = start_rollout();
    let other = Rollout::open(memory.clone(), clock.clone()).unwrap();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    let outcome = other.by("ben").roll_back_to("b", "one", "too far").unwrap();
    assert_eq!(&*outcome.state.stage, "one");
    let error = other.by("ben").roll_back_to("b", "two", "up?").unwrap_err();
    assert!(error.refusals()[0].has("stage"), "{error}");
    assert_same_after_reopen(&other, &memory, &clock);
}

/// The flag may be on in another process. The rollout cannot know while the store is unreadable, so the rollback waits.
#[test]
fn a_rollback_of_a_flag_that_is_off_here_waits_until_the_store_is_readable() {
    let (rollout, faults, memory, clock) = start_rollout();
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
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// A waiting rollback needs no record if the store says that the flag is off.
#[test]
fn a_rollback_of_a_flag_that_is_off_everywhere_ends_without_a_record() {
    let (rollout, faults, _, _) = start_rollout();
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

#[test]
fn a_deeper_rollback_replaces_an_unrecorded_one() {
    let (rollout, faults, memory, clock) = start_rollout();
    rollout.by("ana").force_to("b", "all", "hurry").unwrap();
    faults.dead(true);
    rollout.by("ben").roll_back_to("b", "two", "slow").unwrap();
    let outcome = rollout.by("ben").roll_back_to("b", "off", "errors").unwrap();
    assert!(outcome.unrecorded.is_some());
    assert_eq!(&*rollout.report("b").unwrap().serving, "off");
    faults.dead(false);
    rollout.tick();
    assert_eq!(stage(&rollout, "b"), "off");
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// Another process rolls the flag back further while a rollback waits in this process.
#[test]
fn an_unrecorded_rollback_moves_no_flag_up() {
    let (rollout, faults, memory, clock) = start_rollout();
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
    assert_same_after_reopen(&rollout, &memory, &clock);
}
