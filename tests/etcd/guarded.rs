//! Each process of a fleet has its own guard. It rolls a flag back at once, and the other processes follow.

use std::time::{Duration, Instant};

use stagegate::clock::SystemClock;
use stagegate::guard::{Guard, Outcome};
use stagegate::rollout::{Cause, Controller, Fact, Rollout};

use super::real::Real;
use super::{serving, until};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stage = "half"
stages = [{ name = "half", percent = 50 }, { name = "all", percent = 100 }]
triggers = [{ metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" }]
"#;

/// The store is paused while one process finds a fault. That process rolls back at once. The other process serves its
/// stage until the store answers again.
#[test]
fn a_process_rolls_back_without_the_store_and_the_others_follow() {
    let Some(real) = Real::start("a guard in a fleet") else { return };
    let other = Rollout::start(real.store(), SystemClock::new(), DOCUMENT, "ana").unwrap();
    let here = Rollout::open(real.store(), SystemClock::new()).unwrap();
    let following = Controller::following(&other, Duration::from_secs(1), |_| {}).unwrap();
    let guard = Guard::new(here.gate(), here.plan());
    here.judge(&guard);

    real.stop();
    let judging = Controller::judging(&here, &guard, Duration::from_millis(5), |_| {}).unwrap();
    let a = guard.flag("a");
    let begin = Instant::now();
    for user in 0_u64.. {
        let request = a.enter(user);
        let fails = user.is_multiple_of(if request.is_enabled() { 5 } else { 100 });
        request.finish(if fails { Outcome::error() } else { Outcome::ok() });
        if serving(&here, "a") == "off" {
            break;
        }
        assert!(begin.elapsed() < super::LONG);
    }
    assert_eq!(serving(&other, "a"), "half");
    assert!(!(0..1_000_u64).any(|user| here.gate().is_enabled(user, "a")));

    real.go_on();
    until("the other process follows", || serving(&other, "a") == "off");
    let incident = other.report("a").unwrap().state.incident.unwrap();
    assert_eq!(&*incident.by, "guard");
    let records = other.records(1).unwrap();
    let found = records.iter().find_map(|record| match &record.fact {
        Fact::RolledBack { cause: Cause::Trigger { evidence, .. }, .. } => Some(evidence),
        _ => None,
    });
    assert!(found.is_some_and(|evidence| evidence.contains("with the flag")), "{records:?}");
    drop((judging, following));
}
