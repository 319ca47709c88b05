//! Flags that require other flags.

use stagegate::Reason;
use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::faulty::Faulty;
use super::{assert_same_after_reopen, monday, unmet};

const DOCUMENT: &str = r#"
schema = 1
[flags.api]
stages = [{ name = "pilot", percent = 50 }, { name = "ga", percent = 100 }]
[flags.checkout]
requires = { api = "ga" }
stages = [{ name = "all", percent = 100 }]
[flags.gift]
requires = { checkout = "all" }
stages = [{ name = "half", percent = 50 }, { name = "all", percent = 100 }]
[flags.other]
stages = [{ name = "all", percent = 100 }]
"#;

fn start() -> (Rollout, ManualClock, Memory) {
    let (memory, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(memory.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    (rollout, clock, memory)
}

/// Promotes every flag to its last stage.
fn all_on() -> (Rollout, ManualClock, Memory) {
    let (rollout, clock, memory) = start();
    let ana = rollout.by("ana");
    for flag in ["api", "api", "checkout", "gift", "gift", "other"] {
        ana.promote(flag).unwrap();
    }
    (rollout, clock, memory)
}

fn stages(rollout: &Rollout) -> Vec<String> {
    rollout.status().flags.iter().map(|flag| flag.state.stage.to_string()).collect()
}

fn serving(rollout: &Rollout) -> Vec<String> {
    rollout.status().flags.iter().map(|flag| flag.serving.to_string()).collect()
}

#[test]
fn a_flag_is_not_promoted_before_the_flag_it_requires() {
    let (rollout, ..) = start();
    let ana = rollout.by("ana");
    assert_eq!(unmet(ana.promote("checkout")), ["requires"]);
    assert_eq!(unmet(ana.force_to("checkout", "all", "hurry")), ["requires"]);
    // A flag also requires what its required flag requires.
    assert_eq!(unmet(ana.promote("gift")), ["requires", "requires"]);
    ana.promote("api").unwrap();
    let refused = ana.promote("checkout").unwrap_err().to_string();
    assert_eq!(
        refused,
        "promote of `checkout` is refused: 1 condition is not met\n  \
         `api` is at `pilot`, and `checkout` requires it\n      promote `api` to `ga` first"
    );
    ana.promote("api").unwrap();
    ana.promote("checkout").unwrap();
    assert!(rollout.gate().is_enabled("user-1", "checkout"));
}

#[test]
fn a_rollback_takes_dependants_along_in_one_swap() {
    let (rollout, clock, memory) = all_on();
    let gate = rollout.gate();
    assert!(gate.is_enabled("user-1", "gift"));
    let before = gate.version();
    rollout.by("ana").roll_back("api", "errors").unwrap();
    assert_eq!(gate.version(), before + 1, "one swap");
    assert_eq!(serving(&rollout), ["off", "off", "off", "all"]);
    assert_eq!(stages(&rollout), ["off", "off", "off", "all"]);
    let causes: Vec<String> =
        rollout.records(8).unwrap().iter().map(|it| it.fact.to_string()).collect();
    assert_eq!(
        causes,
        [
            "rolled back (errors)",
            "rolled back (it requires `api`)",
            "rolled back (it requires `api`)"
        ]
    );
    assert_same_after_reopen(&rollout, &memory, &clock);
}

#[test]
fn a_call_of_the_application_takes_dependants_along_in_one_swap() {
    let (rollout, clock, memory) = all_on();
    let gate = rollout.gate();
    let before = gate.version();
    gate.set_stage("api", "pilot").unwrap();
    assert_eq!(gate.version(), before + 1);
    assert!(!gate.is_enabled("user-1", "checkout") && !gate.is_enabled("user-1", "gift"));
    rollout.tick();
    assert_eq!(stages(&rollout), ["pilot", "off", "off", "all"]);
    assert_same_after_reopen(&rollout, &memory, &clock);
}

/// The process that rolled back the required flag may die before it records the dependants.
#[test]
fn the_next_tick_of_any_process_rolls_back_a_dependant_that_was_left_on() {
    let (first, clock, memory) = all_on();
    drop(first);
    let (store, faults) = Faulty::on(&memory);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    *faults.bad_text.lock().unwrap() = Some("prerequisite".to_owned());
    rollout.by("ana").roll_back("api", "errors").unwrap();
    assert_eq!(serving(&rollout), ["off", "off", "off", "all"]);
    drop(rollout);
    let rollout = Rollout::open(memory.clone(), clock.clone()).unwrap();
    assert_eq!(stages(&rollout), ["off", "all", "all", "all"]);
    // No user has a dependant, whatever its stage.
    let answer = rollout.gate().evaluate("user-1", "gift");
    assert_eq!((answer.enabled, answer.reason), (false, Reason::Prerequisite));
    rollout.tick();
    assert_eq!(stages(&rollout), ["off", "off", "off", "all"]);
    assert_same_after_reopen(&rollout, &memory, &clock);
}
