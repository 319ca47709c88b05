//! A guard that acts on a rollout.

use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::guard::{Guard, Outcome};
use stagegate::rollout::{Cause, Fact, Rollout};
use stagegate::store::Memory;

const DOCUMENT: &str = r#"
schema = 1
[flags.search]
stage = "pilot"
stages = [{ name = "pilot", percent = 50 }, { name = "ga", percent = 100 }]
triggers = [
    { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    { metric = "error_rate", worse_than_control_by = "10%", no_data = "hold", action = "decide" },
]
responsibility = [{ contact = "pager@shop.example" }]
"#;

fn begun() -> (Rollout, ManualClock, Guard) {
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
    let rollout = Rollout::start(Memory::new(), clock.clone(), DOCUMENT, "ana").unwrap();
    let guard = Guard::new(rollout.gate(), rollout.plan());
    rollout.judge(&guard);
    (rollout, clock, guard)
}

/// Requests of a minute; so many of a hundred fail with the flag, and without.
fn minute(guard: &Guard, clock: &ManualClock, number: u64, failing: (u64, u64)) {
    let search = guard.flag("search");
    for user in number * 10_000..number * 10_000 + 2_000 {
        let request = search.enter(user);
        let percent = if request.is_enabled() { failing.0 } else { failing.1 };
        // The last digits of a user have nothing to do with the bucket.
        request.finish(if user % 100 < percent { Outcome::error() } else { Outcome::ok() });
    }
    clock.advance(Duration::from_secs(60));
}

#[test]
fn a_breach_takes_the_flag_back_at_once_with_its_evidence() {
    let (rollout, clock, guard) = begun();
    for number in 0..10 {
        minute(&guard, &clock, number, (1, 1));
        assert!(rollout.judge(&guard).iter().all(|judged| judged.acts.is_empty()));
    }
    minute(&guard, &clock, 10, (8, 1));
    let judged = rollout.judge(&guard).pop().unwrap();
    assert_eq!(judged.judgement.breached, [0, 1]);
    assert!((0..100).all(|user| !rollout.gate().is_enabled(user, "search")));
    let records = rollout.records(1).unwrap();
    let Fact::RolledBack { cause: Cause::Trigger { trigger, evidence, .. }, .. } = &records[1].fact
    else {
        panic!("{records:?}")
    };
    assert_eq!((&*records[1].by, &**trigger), ("guard", "error_rate 50% worse than control"));
    assert!(
        evidence.contains(" with the flag, 1.") && evidence.contains("times as likely"),
        "{evidence}"
    );
    assert_eq!(records.len(), 2);
    // Latched: whatever comes now, and it does not come again.
    for number in 11..20 {
        minute(&guard, &clock, number, (50, 1));
        assert!(rollout.judge(&guard).is_empty());
    }
    assert_eq!(rollout.records(1).unwrap().len(), 2);
}

#[test]
fn an_outage_that_all_share_does_nothing() {
    let (rollout, clock, guard) = begun();
    for number in 0..30 {
        let bad = if (10..20).contains(&number) { 30 } else { 1 };
        minute(&guard, &clock, number, (bad, bad));
        assert!(rollout.judge(&guard).iter().all(|judged| judged.acts.is_empty()));
    }
    assert!(rollout.gate().is_enabled(10, "search") || rollout.gate().is_enabled(11, "search"));
    assert_eq!(rollout.records(1).unwrap().len(), 1);
}

/// A decision is asked for once, of whoever is responsible.
#[test]
fn a_decision_is_asked_for_once() {
    let (rollout, clock, guard) = begun();
    let mut asked = Vec::new();
    for number in 0..60 {
        minute(&guard, &clock, number, (13, 10));
        for judged in rollout.judge(&guard) {
            for act in judged.acts {
                asked.extend(act.unwrap().alerts);
            }
        }
    }
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].responsible.as_deref(), Some("pager@shop.example"));
    assert!(
        asked[0].text.starts_with("error_rate 10% worse than control: ")
            && asked[0].text.ends_with("; roll back?")
    );
    assert_eq!(rollout.records(1).unwrap().len(), 1);
}

/// Something serves users who should not have it: the figures are not to be trusted, and nothing goes on.
#[test]
fn an_uneven_split_holds() {
    let (rollout, clock, guard) = begun();
    let search = guard.flag("search");
    for number in 0..10 {
        for user in number * 10_000..number * 10_000 + 1_000 {
            // Those without it are turned away before they are counted, every fifth.
            if rollout.gate().is_enabled(user, "search") || user % 5 > 0 {
                search.record(user, Outcome::ok());
            }
        }
        clock.advance(Duration::from_secs(60));
        rollout.judge(&guard);
    }
    let state = rollout.report("search").unwrap().state;
    let hold = state.hold.unwrap();
    assert_eq!((&*hold.by, &*state.stage), ("guard", "pilot"));
    assert!(hold.why.starts_with("users are split otherwise than the stage says"));
    assert_eq!(rollout.records(1).unwrap().len(), 2, "it is said once");
    // Whoever resumes knows better.
    rollout.by("ana").resume("search", Some("they were robots")).unwrap();
    (0..10).for_each(|user| search.record(user, Outcome::ok()));
    assert!(
        rollout
            .judge(&guard)
            .iter()
            .all(|judged| judged.judgement.uneven && judged.acts.is_empty())
    );
}

/// A guard of the document before: a trigger that is still there acts, also from another place, and one that is
/// gone does not.
#[test]
fn after_another_document_only_triggers_that_both_have_act() {
    let (rollout, clock, guard) = begun();
    let (first, rest) = DOCUMENT.split_once("    { metric").unwrap();
    let swapped = format!(
        "{first}    {{ incident = \"security\", action = \"decide\" }},\n    {{ metric{rest}"
    );
    let gone = swapped.replace("{ metric = \"error_rate\", worse_than_control_by = \"10%\", no_data = \"hold\", action = \"decide\" },\n", "");
    rollout.by("ana").update(gone).unwrap();
    minute(&guard, &clock, 0, (10, 1));
    let judged = rollout.judge(&guard).pop().unwrap();
    assert_eq!((&judged.judgement.breached[..], judged.acts.len()), (&[0, 1][..], 1));
    assert_eq!(judged.acts[0].as_ref().unwrap().state.stage, "off");
}
