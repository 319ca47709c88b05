//! Clock jumps, restarts and downtime.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::{DAY, HOUR, monday, report_healthy_readings, start_rollout, unmet};

const AUTO: &str = r#"
schema = 1
[flags.a]
[[flags.a.stages]]
name = "one"
percent = 1
min_duration = "1h"
advance = "auto"
[[flags.a.stages]]
name = "two"
percent = 2
min_duration = "1h"
advance = "auto"
[[flags.a.stages]]
name = "three"
percent = 3
min_duration = "1h"
advance = "auto"
checklist = [{ id = "go", text = "Go" }]
[[flags.a.stages]]
name = "all"
percent = 100
"#;

#[test]
fn a_clock_set_forward_by_years_adds_no_time() {
    let (rollout, clock, store) = start_rollout();
    rollout.by("ana").promote("search").unwrap();
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    report_healthy_readings(&rollout);
    // No time has passed for durations. The readings and the sign-off may be ten years old.
    clock.set_wall(monday() + 3650 * DAY);
    let all = ["min_duration", "checklist", "trigger", "trigger"];
    assert_eq!(unmet(rollout.by("ana").promote("search")), all);
    assert!(rollout.tick().records.is_empty(), "a wrong clock causes no action");
    clock.set_wall(monday());
    assert_eq!(unmet(rollout.by("ana").promote("search")), ["min_duration"]);
    clock.set_wall(monday() + 3650 * DAY);
    drop(rollout);
    clock.restart(Duration::ZERO);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    // The readings and the sign-off are from before the restart, so they may be years old.
    assert_eq!(unmet(rollout.by("ana").promote("search")), all);
    clock.advance(DAY);
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    report_healthy_readings(&rollout);
    rollout.by("ana").promote("search").unwrap();
}

#[test]
fn a_clock_set_back_by_years_loses_no_time() {
    let (rollout, clock, _) = start_rollout();
    rollout.by("ana").promote("search").unwrap();
    clock.advance(23 * HOUR);
    clock.set_wall(monday() - 3650 * DAY);
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    clock.advance(HOUR);
    report_healthy_readings(&rollout);
    rollout.by("ana").promote("search").unwrap();
}

#[test]
fn downtime_skips_no_stage_and_no_approval() {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), AUTO, "ana").unwrap();
    assert_eq!(rollout.tick().records.len(), 0, "the first promotion is manual");
    rollout.by("ana").promote("a").unwrap();
    drop(rollout);
    clock.advance(1000 * HOUR);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    let stage = || rollout.report("a").unwrap().state.stage.to_string();
    rollout.tick();
    assert_eq!(stage(), "two", "a tick moves one stage at most");
    rollout.tick();
    assert_eq!(stage(), "two", "each stage needs its own hour");
    clock.advance(HOUR);
    assert_eq!(rollout.tick().records[0].by, "stagegate".into());
    assert_eq!(stage(), "three");
    clock.advance(1000 * HOUR);
    rollout.tick();
    assert_eq!(stage(), "three", "the sign-off is missing");
    rollout.by("ana").sign("a", "go", None).unwrap();
    rollout.tick();
    assert_eq!(stage(), "all");
}

/// In Berlin, clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
#[test]
fn promotion_hours_follow_daylight_saving_time() {
    let document = r#"
        schema = 1
        [flags.a]
        stages = [{ name = "all", percent = 100 }]
        calendar = { time_zone = "Europe/Berlin", hours = ["Sun 02:00-03:00"] }
    "#;
    let promotes = |seconds: u64| {
        let clock = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(seconds));
        let rollout = Rollout::start(Memory::new(), clock, document, "ana").unwrap();
        rollout.by("ana").promote("a").is_ok()
    };
    // 2026-03-29T00:59:59Z is 01:59:59 in Berlin. One second later it is 03:00:00, so the hour is missing.
    assert!(!promotes(1_774_745_999) && !promotes(1_774_746_000));
    // 2026-10-25T00:30Z and 01:30Z are both 02:30 in Berlin, so the hour occurs twice.
    assert!(promotes(1_792_888_200) && promotes(1_792_891_800));
    assert!(!promotes(1_792_893_600));
}

#[test]
fn time_in_a_stage_is_never_over_counted_across_restarts() {
    let (rollout, clock, store) = start_rollout();
    rollout.by("ana").promote("search").unwrap();
    drop(rollout);
    // The machine runs for 23 hours and is then off for a year.
    clock.advance(23 * HOUR);
    clock.restart(365 * DAY);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    let spent = |rollout: &Rollout| rollout.report("search").unwrap().time_in_stage;
    assert_eq!(spent(&rollout), Duration::ZERO, "no record shows how long the machine ran");
    clock.advance(5 * HOUR);
    assert_eq!(spent(&rollout), 5 * HOUR);
    // The wall clock does not matter.
    for wall in [monday() - DAY, monday() + HOUR] {
        clock.set_wall(wall);
        assert_eq!(spent(&rollout), 5 * HOUR);
    }
}
