//! Several machines on one journal, with wrong clocks, restarts, suspends and uptimes that go backwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stagegate::clock::{Boot, Clock, ManualClock, Moment};
use stagegate::rollout::{Fact, Progress, Rollout};
use stagegate::store::Memory;

use super::{DAY, HOUR, monday, percent, unmet};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

/// Errors of wall clocks, in milliseconds.
const SKEWS: [i64; 7] = [0, 50, -50, 300_000, -300_000, YEAR, -YEAR];

/// The clock of one machine. Its wall clock, boot id and uptime can be set.
#[derive(Clone, Debug)]
struct Machine {
    world: ManualClock,
    state: Arc<Mutex<ClockState>>,
}

#[derive(Debug)]
struct ClockState {
    boot: String,
    skew: i64,
    /// An uptime of this machine, and the uptime of the world at the same moment.
    up: (Duration, Duration),
}

impl Machine {
    fn new(world: &ManualClock, boot: &str, up: Duration, skew: i64) -> Machine {
        let state = ClockState { boot: boot.to_owned(), skew, up: (up, world.now().uptime) };
        Machine { world: world.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Sets the uptime, which continues to count from there.
    fn set_uptime(&self, up: Duration) {
        self.state.lock().unwrap().up = (up, self.world.now().uptime);
    }

    fn restart(&self, boot: &str) {
        self.set_uptime(Duration::ZERO);
        boot.clone_into(&mut self.state.lock().unwrap().boot);
    }
}

impl Clock for Machine {
    fn now(&self) -> Moment {
        let (world, state) = (self.world.now(), self.state.lock().unwrap());
        let skew = Duration::from_millis(state.skew.unsigned_abs());
        let wall = if state.skew < 0 { world.wall - skew } else { world.wall + skew };
        let up = state.up.0 + (world.uptime - state.up.1);
        Moment::new(wall, up, Boot::new(&*state.boot))
    }
}

/// Returns a plan with the stages 1% and 100%. Readings of the error rate count for ten minutes.
fn document(stage: &str, no_data: &str) -> String {
    format!(
        r#"
schema = 1
[flags.a]
stages = [{{ name = "one", percent = 1, {stage} }}, {{ name = "all", percent = 100 }}]
triggers = [{{ metric = "error_rate", above = "5%", no_data = "{no_data}", action = "rollback" }}]
[flags.b]
stages = [{{ name = "one", percent = 1 }}, {{ name = "all", percent = 100 }}]
"#
    )
}

/// A plan whose first stage needs 20 hours and nothing else.
const SLOW: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1, min_duration = "20h" }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "one", percent = 1 }]
"#;

fn spent(rollout: &Rollout) -> Duration {
    rollout.refresh().unwrap();
    rollout.report("a").unwrap().time_in_stage
}

/// Two former bugs. A machine whose clock was 50 ms behind rolled a flag back 20 ms after its promotion: "no data for
/// an unknown time". A machine a year ahead rolled it back with "no data for 365d".
#[test]
fn a_wrong_wall_clock_does_not_make_data_look_missing() {
    for skew in SKEWS {
        let (world, store) = (ManualClock::at(monday() + 400 * DAY), Memory::new());
        let (a, b) = (Machine::new(&world, "a", DAY, 0), Machine::new(&world, "b", DAY, skew));
        let a = Rollout::start(store.clone(), a, document("", "rollback"), "ana").unwrap();
        let b = Rollout::open(store, b).unwrap();
        a.by("ana").promote("a").unwrap();
        world.advance(Duration::from_millis(20));
        b.refresh().unwrap();
        b.tick();
        assert_eq!(b.report("a").unwrap().state.stage, "one", "{skew} ms");

        // Missing data counts by measured time, whatever the wall clock says.
        world.advance(10 * MINUTE);
        b.tick();
        assert_eq!(b.report("a").unwrap().state.stage, "one", "{skew} ms");
        world.advance(MINUTE);
        b.tick();
        let incident = b.report("a").unwrap().state.incident.unwrap();
        assert_eq!(&*incident.about, "error_rate > 5% (no data for 11m)", "{skew} ms");
    }
}

/// A former bug: a restarted container has the same boot id, and its uptime begins at zero. A reading five days old
/// allowed a promotion, and missing data was not detected until the uptime had its old value again.
#[test]
fn an_uptime_that_goes_backwards_is_another_run_of_the_machine() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let host = Machine::new(&world, "host", 30 * DAY, 0);
    let r = Rollout::start(store.clone(), host.clone(), document("", "rollback"), "ana").unwrap();
    r.by("ana").promote("a").unwrap();
    r.by("ana").measure("a", "error_rate", percent("0.1%"), Some(1000)).unwrap();
    drop(r);
    world.advance(5 * DAY);
    host.set_uptime(MINUTE);
    let r = Rollout::open(store, host).unwrap();
    let error = r.by("ana").promote("a").unwrap_err();
    assert_eq!(
        error.refusals()[0].unmet[0].found,
        "the last reading of `error_rate` is 5d old, more than its `stale_after` of 10m"
    );
    assert!(r.tick().records.is_empty(), "downtime is not missing data");
    assert_eq!(spent(&r), Duration::ZERO);
    world.advance(11 * MINUTE);
    r.tick();
    let report = r.report("a").unwrap();
    assert_eq!(report.progress, Progress::RolledBack);
    assert_eq!(&*report.state.incident.unwrap().about, "error_rate > 5% (no data for 11m)");
}

/// A former bug: new processes counted no time until the uptime had its old value again.
#[test]
fn a_machine_whose_uptime_went_backwards_continues_to_count() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let host = Machine::new(&world, "host", 30 * DAY, 0);
    let r = Rollout::start(store.clone(), host.clone(), SLOW, "ana").unwrap();
    r.by("ana").promote("a").unwrap();
    drop(r);
    host.set_uptime(10 * MINUTE);
    let promote = || Rollout::open(store.clone(), host.clone()).unwrap().by("ana").promote("a");
    assert_eq!(unmet(promote()), ["min_duration"]);
    world.advance(20 * HOUR);
    promote().unwrap();
}

/// Two containers on one host may have the same boot id and different uptimes.
#[test]
fn containers_with_the_same_boot_id_count_no_time_between_their_uptimes() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let (old, young) =
        (Machine::new(&world, "host", 30 * DAY, 0), Machine::new(&world, "host", HOUR, 0));
    let r = Rollout::start(store.clone(), old.clone(), SLOW, "ana").unwrap();
    r.by("ana").promote("a").unwrap();
    for round in 1..10 {
        world.advance(HOUR);
        for clock in [&young, &old] {
            let r = Rollout::open(store.clone(), clock.clone()).unwrap();
            let b = r.by("ben");
            b.hold("b", "a look").unwrap();
            b.resume("b", None).unwrap();
            assert!(spent(&r) <= round * HOUR, "{:?} after {round} h", spent(&r));
        }
    }
    assert_eq!(spent(&r), 9 * HOUR);
}

/// A former bug: a machine that was always up counted only the time since the last record of another machine.
#[test]
fn records_of_build_servers_take_no_time_from_a_machine_that_is_up() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let server = Machine::new(&world, "server", DAY, 0);
    let r = Rollout::start(store.clone(), server.clone(), SLOW, "ana").unwrap();
    r.by("ana").promote("a").unwrap();
    for run in 0..150 {
        world.advance(10 * MINUTE);
        let clock = Machine::new(&world, &format!("build-{run}"), 2 * MINUTE, 0);
        let build = Rollout::open(store.clone(), clock).unwrap();
        let build = build.by("build");
        build.hold("b", "deploying").or_else(|_| build.resume("b", None)).unwrap();
    }
    assert_eq!(spent(&r), 25 * HOUR);
    // Another process of the server reads the time from the journal. Other machines do so once the server has written a
    // record.
    let again = Rollout::open(store.clone(), server).unwrap();
    assert_eq!(spent(&again), 25 * HOUR);
    again.by("ana").hold("a", "a look").unwrap();
    let elsewhere = Rollout::open(store, Machine::new(&world, "laptop", HOUR, YEAR)).unwrap();
    assert_eq!(spent(&elsewhere), 25 * HOUR);
}

/// A former bug: a wall clock that was ahead made the whole uptime of a machine count.
#[test]
fn a_wrong_wall_clock_adds_no_time_in_stage() {
    for skew in SKEWS {
        let (world, store) = (ManualClock::at(monday() + 400 * DAY), Memory::new());
        let (a, b) = (Machine::new(&world, "a", DAY, 0), Machine::new(&world, "b", 30 * DAY, skew));
        let a = Rollout::start(store.clone(), a, SLOW, "ana").unwrap();
        let b = Rollout::open(store, b).unwrap();
        a.by("ana").promote("a").unwrap();
        assert_eq!(spent(&b), Duration::ZERO, "{skew} ms");
        assert_eq!(unmet(b.by("ben").promote("a")), ["min_duration"]);
        world.advance(20 * HOUR);
        assert_eq!(spent(&b), 20 * HOUR, "{skew} ms");
        b.by("ben").promote("a").unwrap();
    }
}

/// A former bug: a laptop promoted a flag, and the server lost its measured time with each deployment.
#[test]
fn time_that_a_machine_has_measured_survives_its_processes() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let server = Machine::new(&world, "server", DAY, 0);
    let r = Rollout::start(store.clone(), server.clone(), SLOW, "ana").unwrap();
    let laptop = Rollout::open(store.clone(), Machine::new(&world, "laptop", HOUR, 0)).unwrap();
    laptop.by("ana").promote("a").unwrap();
    drop(laptop);
    r.refresh().unwrap();
    let noted: Vec<String> = r.tick().records.iter().map(|it| it.fact.to_string()).collect();
    assert_eq!(noted, ["noted this machine's clock"]);
    assert!(r.tick().records.is_empty(), "the clock is recorded once");
    drop(r);
    world.advance(10 * HOUR);
    let r = Rollout::open(store.clone(), server.clone()).unwrap();
    assert_eq!(spent(&r), 10 * HOUR);

    // After a restart, a refusal starts the count once the machine has been up for ten minutes.
    server.restart("server-2");
    world.advance(5 * MINUTE);
    let promote = || Rollout::open(store.clone(), server.clone()).unwrap().by("ana").promote("a");
    assert_eq!(unmet(promote()), ["min_duration"]);
    let head = |r: &Rollout| r.refresh().and_then(|_| r.records(1)).unwrap().len();
    let before = head(&r);
    world.advance(5 * MINUTE);
    assert_eq!(unmet(promote()), ["min_duration"]);
    assert_eq!(unmet(promote()), ["min_duration"]);
    assert_eq!(head(&r), before + 1);
    assert!(matches!(r.records(before as u64 + 1).unwrap()[0].fact, Fact::Seen { .. }));
    world.advance(19 * HOUR);
    assert_eq!(
        unmet(promote()),
        ["min_duration"],
        "time before the restart that no record has is lost"
    );
    world.advance(HOUR);
    promote().unwrap();
}

/// A former bug: a wall clock slightly behind treated readings as "from before the clock was set back".
#[test]
fn a_reading_up_to_a_minute_in_the_future_is_fresh() {
    for (skew, promotes) in [(50, true), (59_000, true), (61_000, false), (YEAR, false)] {
        let (world, store) = (ManualClock::at(monday()), Memory::new());
        let (a, b) = (Machine::new(&world, "a", DAY, skew), Machine::new(&world, "b", DAY, 0));
        let a = Rollout::start(store.clone(), a, document("", "hold"), "ana").unwrap();
        a.by("ana").promote("a").unwrap();
        a.by("ana").measure("a", "error_rate", percent("0.1%"), None).unwrap();
        let b = Rollout::open(store, b).unwrap();
        let promoted = b.by("ben").promote("a");
        assert_eq!(promoted.is_ok(), promotes, "{skew} ms: {promoted:?}");
        assert_eq!(b.status().age.is_some(), promotes, "{skew} ms");
    }
}

/// The uptime of a virtual machine does not count while the machine is paused.
#[test]
fn a_reading_from_before_a_suspend_is_old() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let vm = Machine::new(&world, "vm", DAY, 0);
    let r = Rollout::start(store, vm.clone(), document("min_duration = \"1h\"", "hold"), "ana")
        .unwrap();
    r.by("ana").promote("a").unwrap();
    world.advance(HOUR);
    r.by("ana").measure("a", "error_rate", percent("0.1%"), None).unwrap();
    world.advance(5 * DAY);
    vm.set_uptime(DAY + HOUR);
    assert_eq!(unmet(r.by("ana").promote("a")), ["trigger"]);
    assert_eq!(spent(&r), HOUR, "the pause does not count");
}

/// A former bug: a machine whose clock was a year ahead deleted sign-offs as expired.
#[test]
fn a_wall_clock_that_is_ahead_expires_no_sign_off() {
    let checklist = r#"checklist = [{ id = "go", text = "Go", expires = "2d" }]"#;
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let a = Machine::new(&world, "a", DAY, 0);
    let a = Rollout::start(store.clone(), a, document(checklist, "hold"), "ana").unwrap();
    a.by("ana").promote("a").unwrap();
    a.by("ana").sign("a", "go", None).unwrap();
    let b = Rollout::open(store, Machine::new(&world, "b", DAY, YEAR)).unwrap();
    b.tick();
    assert!(unmet(b.by("ben").promote("a")).contains(&"checklist"), "expired by the clock of `b`");
    a.refresh().unwrap();
    a.by("ana").measure("a", "error_rate", percent("0.1%"), None).unwrap();
    a.by("ana").promote("a").unwrap();
}
