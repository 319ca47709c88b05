//! What is missing of readings that triggers go by.

use stagegate::clock::ManualClock;
use stagegate::rollout::{Rollout, Standing};
use stagegate::store::Memory;

use super::{monday, percent};

/// `few`, which goes on by itself after an hour, with triggers.
fn begun(few: &str, triggers: &str) -> (Rollout, ManualClock) {
    let document = format!(
        "schema = 1\n[flags.a]\nstage = \"few\"\ntriggers = [{triggers}]\n\
         [[flags.a.stages]]\nname = \"few\"\npercent = 10\n{few}\n\
         [[flags.a.stages]]\nname = \"all\"\npercent = 100\n"
    );
    let clock = ManualClock::at(monday());
    (Rollout::start(Memory::new(), clock.clone(), &*document, "ana").unwrap(), clock)
}

/// A trigger with `minimum_sample` never fired on what Prometheus says, which is of no number of samples.
#[test]
fn a_reading_that_does_not_say_of_how_many_samples_it_is_is_enough_for_a_trigger() {
    const TRIGGER: &str = "{ metric = \"error_rate\", above = \"5%\", minimum_sample = 100, no_data = \"hold\", action = \"rollback\" }";
    let (rollout, _) = begun("", TRIGGER);
    let monitor = rollout.by("monitor");
    let state = monitor.measure("a", "error_rate", percent("9%"), Some(99)).unwrap().state;
    assert_eq!(state.standing(), Standing::Running, "too few");
    let state = monitor.measure("a", "error_rate", percent("9%"), None).unwrap().state;
    assert_eq!(state.standing(), Standing::RolledBack);
    assert_eq!(&*state.incident.unwrap().about, "error_rate > 5% (9%)");
}
