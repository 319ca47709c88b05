//! `timeline.start`: a flag does not begin before it, and may begin by itself at it.

use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Progress, Rollout};
use stagegate::store::Memory;

use super::{DAY, HOUR, assert_same_after_reopen, monday, unmet};

const MINUTE: Duration = Duration::from_secs(60);

/// Starts a rollout, on Monday 2026-01-05 at 09:00 UTC, of a flag that is off.
fn start_rollout(sections: &str) -> (Rollout, ManualClock, Memory) {
    let document = document(sections);
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), &*document, "ana").unwrap();
    (rollout, clock, store)
}

fn document(sections: &str) -> String {
    format!(
        "schema = 1\n[flags.other]\n[flags.a]\n{sections}\n\
         stages = [{{ name = \"few\", percent = 10, min_duration = \"1d\" }}, \
         {{ name = \"all\", percent = 100 }}]\n"
    )
}

const MOMENT: &str = "timeline.start = \"2026-01-05T12:00[Europe/Berlin]\"";
const AUTO: &str = "timeline = { start = \"2026-01-05T12:00[Europe/Berlin]\", advance = \"auto\" }";

fn stage(rollout: &Rollout) -> String {
    rollout.report("a").unwrap().state.stage.to_string()
}

/// Asserts that ticks for some days leave the flag off.
#[track_caller]
fn assert_stays_off(rollout: &Rollout, clock: &ManualClock) {
    for _ in 0..5 {
        rollout.tick();
        assert_eq!(stage(rollout), "off");
        clock.advance(DAY);
    }
}

fn close_incident(rollout: &Rollout) {
    let ana = rollout.by("ana");
    while ana.step("a", None).is_ok() {}
    ana.close("a", "it was none").unwrap();
}

/// A former bug: the start was only for the timeline, and a promotion a month early passed without a word.
#[test]
fn a_flag_is_not_promoted_before_its_start_but_by_force() {
    let (rollout, clock, store) = start_rollout(MOMENT);
    let ana = rollout.by("ana");
    let refused = ana.promote("a").unwrap_err();
    assert_eq!(
        refused.refusals()[0].unmet[0].to_string(),
        "begins 2026-01-05 12:00, Europe/Berlin; wait until then, or change `timeline.start` of `a`"
    );
    clock.advance(2 * HOUR - MINUTE);
    assert_eq!(unmet(ana.promote("a")), ["start"]);
    // Without `advance`, no tick promotes it either.
    clock.advance(MINUTE);
    assert!(rollout.tick().records.is_empty());
    let outcome = ana.promote("a").unwrap();
    let Fact::Promoted { forced: None, grounds, .. } = &outcome.records[0].fact else {
        panic!("{outcome:?}")
    };
    assert_eq!(*grounds, ["began 2026-01-05 12:00, Europe/Berlin".into()]);
    // Only the first promotion has to do with the start.
    assert_eq!(unmet(ana.promote("a")), ["min_duration"]);
    assert_same_after_reopen(&rollout, &store, &clock);

    let (rollout, ..) = start_rollout(MOMENT);
    let outcome = rollout.by("ana").force("a", "the fair is today").unwrap();
    let Fact::Promoted { grounds, .. } = &outcome.records[0].fact else { panic!("{outcome:?}") };
    assert_eq!(*grounds, ["begins 2026-01-05 12:00, Europe/Berlin".into()]);
}

#[test]
fn a_day_begins_at_midnight_in_the_time_zone_of_the_calendar() {
    for (zone, hours) in [("Europe/Berlin", 14), ("UTC", 15), ("America/New_York", 20)] {
        let (rollout, clock, _) =
            start_rollout(&format!("timeline.start = 2026-01-06\ncalendar.time_zone = \"{zone}\""));
        let ana = rollout.by("ana");
        clock.advance(hours * HOUR - MINUTE);
        let refused = ana.promote("a").unwrap_err();
        assert_eq!(refused.refusals()[0].unmet[0].found, format!("begins 2026-01-06, {zone}"));
        clock.advance(MINUTE);
        ana.promote("a").unwrap();
    }
}

#[test]
fn with_auto_the_first_tick_after_the_start_promotes_one_stage() {
    let (rollout, clock, store) = start_rollout(AUTO);
    clock.advance(2 * HOUR - MINUTE);
    assert!(rollout.tick().records.is_empty());
    // The ticks stop for a month. Then one tick is one stage.
    clock.advance(30 * DAY);
    let records = rollout.tick().records;
    assert_eq!((records.len(), stage(&rollout)), (1, "few".to_owned()));
    assert_eq!(
        records[0].to_string(),
        "#2 2026-02-04T10:59:00Z stagegate: a: promoted, off -> few"
    );
    assert_same_after_reopen(&rollout, &store, &clock);
    // The stage itself is not `auto`.
    clock.advance(2 * DAY);
    rollout.tick();
    assert_eq!(stage(&rollout), "few");
}

#[test]
fn a_flag_that_was_rolled_back_does_not_begin_again_by_itself() {
    let (rollout, clock, store) = start_rollout(AUTO);
    clock.advance(DAY);
    rollout.tick();
    let ana = rollout.by("ana");
    ana.roll_back("a", "errors").unwrap();
    assert_stays_off(&rollout, &clock);
    close_incident(&rollout);
    assert_eq!(rollout.report("a").unwrap().progress, Progress::Off);
    assert_stays_off(&rollout, &clock);
    let again = Rollout::open(store, clock.clone()).unwrap();
    assert_stays_off(&again, &clock);
    // Neither a new start nor a removed flag that comes back begins by itself.
    again.by("ana").update(&*document(&AUTO.replace("2026-01-05", "2026-01-20"))).unwrap();
    assert_stays_off(&again, &clock);
    let without = "schema = 1\n[flags.other]";
    again.by("ana").update(without).unwrap();
    again.by("ana").update(&*document(AUTO)).unwrap();
    assert_stays_off(&again, &clock);
    again.by("ana").promote("a").unwrap();
    assert_eq!(stage(&again), "few");
}

#[test]
fn a_forced_start_that_was_rolled_back_does_not_begin_at_the_start() {
    let (rollout, clock, _) = start_rollout(AUTO);
    let ana = rollout.by("ana");
    ana.force("a", "a try").unwrap();
    rollout.gate().roll_back("a").unwrap();
    rollout.tick();
    close_incident(&rollout);
    assert_eq!(unmet(ana.promote("a")), ["start"]);
    assert_stays_off(&rollout, &clock);
}

#[test]
fn a_hold_an_incident_and_the_hours_keep_a_flag_from_beginning() {
    let (rollout, clock, _) = start_rollout(AUTO);
    let ana = rollout.by("ana");
    ana.hold("a", "legal").unwrap();
    clock.advance(DAY);
    assert!(rollout.tick().records.is_empty());
    ana.resume("a", None).unwrap();
    ana.report("a", "security", None).unwrap();
    rollout.tick();
    assert_eq!(stage(&rollout), "off");

    let hours = format!("{AUTO}\ncalendar.hours = [\"Mon 20:00-21:00\"]");
    let (rollout, clock, _) = start_rollout(&hours);
    clock.advance(3 * HOUR);
    assert!(rollout.tick().records.is_empty());
    clock.advance(8 * HOUR);
    rollout.tick();
    assert_eq!(stage(&rollout), "few");
}

/// The start goes by the wall clock, as the hours do.
#[test]
fn a_clock_that_is_set_back_does_not_begin_early() {
    let (rollout, clock, _) = start_rollout(AUTO);
    clock.set_wall(monday() - DAY);
    clock.advance(2 * HOUR);
    assert!(rollout.tick().records.is_empty());
    clock.set_wall(SystemTime::UNIX_EPOCH);
    assert!(rollout.tick().records.is_empty());
    clock.set_wall(monday() + 2 * HOUR);
    rollout.tick();
    assert_eq!(stage(&rollout), "few");
}
