//! Clocks that jump, machines that restart, hours of downtime.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::rollout::Rollout;
use stagegate::store::Memory;

use super::{DAY, HOUR, begun, monday, reads, unmet};

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
fn a_clock_set_forward_by_years_counts_for_nothing() {
    let (rollout, clock, store) = begun();
    rollout.by("ana").promote("search").unwrap();
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    reads(&rollout);
    // What has to last has not; what has to be fresh may be ten years old.
    clock.set_wall(monday() + 3650 * DAY);
    let all = ["min_duration", "checklist", "trigger", "trigger"];
    assert_eq!(unmet(rollout.by("ana").promote("search")), all);
    assert!(rollout.tick().records.is_empty(), "and nothing is done about it");
    clock.set_wall(monday());
    assert_eq!(unmet(rollout.by("ana").promote("search")), ["min_duration"]);
    clock.set_wall(monday() + 3650 * DAY);
    drop(rollout);
    clock.restart(Duration::ZERO);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    // Signed and read before the restart, years ago for all that can be known.
    assert_eq!(unmet(rollout.by("ana").promote("search")), all);
    clock.advance(DAY);
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    reads(&rollout);
    rollout.by("ana").promote("search").unwrap();
}

#[test]
fn a_clock_set_back_by_years_takes_nothing_away() {
    let (rollout, clock, _) = begun();
    rollout.by("ana").promote("search").unwrap();
    clock.advance(23 * HOUR);
    clock.set_wall(monday() - 3650 * DAY);
    rollout.by("ana").sign("search", "load-test", None).unwrap();
    clock.advance(HOUR);
    reads(&rollout);
    rollout.by("ana").promote("search").unwrap();
}

#[test]
fn downtime_skips_no_stage_and_no_approval() {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), AUTO, "ana").unwrap();
    assert_eq!(rollout.tick().records.len(), 0, "somebody starts a rollout");
    rollout.by("ana").promote("a").unwrap();
    drop(rollout);
    clock.advance(1000 * HOUR);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    let stage = || rollout.report("a").unwrap().state.stage.to_string();
    rollout.tick();
    assert_eq!(stage(), "two", "one stage a tick");
    rollout.tick();
    assert_eq!(stage(), "two", "and each stage its own hour");
    clock.advance(HOUR);
    assert_eq!(rollout.tick().records[0].by, "stagegate".into());
    assert_eq!(stage(), "three");
    clock.advance(1000 * HOUR);
    rollout.tick();
    assert_eq!(stage(), "three", "nobody has signed");
    rollout.by("ana").sign("a", "go", None).unwrap();
    rollout.tick();
    assert_eq!(stage(), "all");
}

/// On 2026-03-29 at 02:00 the clocks of Berlin go to 03:00, on 2026-10-25 at 03:00 back to 02:00.
#[test]
fn hours_of_promotion_follow_the_clocks_of_the_zone() {
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
    // 2026-03-29T00:59:59Z is 01:59:59, a second later it is 03:00:00: there is no such hour.
    assert!(!promotes(1_774_745_999) && !promotes(1_774_746_000));
    // 2026-10-25T00:30Z and 01:30Z are both 02:30: the hour comes twice.
    assert!(promotes(1_792_888_200) && promotes(1_792_891_800));
    assert!(!promotes(1_792_893_600));
}

#[test]
fn a_dwell_is_never_over_counted_across_restarts() {
    let (rollout, clock, store) = begun();
    rollout.by("ana").promote("search").unwrap();
    drop(rollout);
    // 23 hours run, then the machine is off for a year.
    clock.advance(23 * HOUR);
    clock.restart(365 * DAY);
    let rollout = Rollout::open(store, clock.clone()).unwrap();
    let spent = |rollout: &Rollout| rollout.report("search").unwrap().spent;
    assert_eq!(spent(&rollout), Duration::ZERO, "nobody measured it");
    clock.advance(5 * HOUR);
    assert_eq!(spent(&rollout), 5 * HOUR);
    // The wall clock has no say.
    for wall in [monday() - DAY, monday() + HOUR] {
        clock.set_wall(wall);
        assert_eq!(spent(&rollout), 5 * HOUR);
    }
}
