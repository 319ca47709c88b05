//! Several machines on one journal: their clocks differ, they restart, stand still and go backwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stagegate::clock::{Boot, Clock, ManualClock, Moment};
use stagegate::rollout::{Fact, Rollout, Standing};
use stagegate::store::Memory;

use super::{DAY, HOUR, monday, percent, unmet};

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: i64 = 365 * 24 * 60 * 60 * 1000;

/// By how many milliseconds wall clocks are wrong.
const SKEWS: [i64; 7] = [0, 50, -50, 300_000, -300_000, YEAR, -YEAR];

/// A machine: its own wall clock, boot and uptime, all of which can be set.
#[derive(Clone, Debug)]
struct Machine {
    world: ManualClock,
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    boot: String,
    skew: i64,
    /// Its uptime was that when the world's was the other.
    up: (Duration, Duration),
}

impl Machine {
    fn new(world: &ManualClock, boot: &str, up: Duration, skew: i64) -> Machine {
        let hands = Hands { boot: boot.to_owned(), skew, up: (up, world.now().uptime) };
        Machine { world: world.clone(), hands: Arc::new(Mutex::new(hands)) }
    }

    /// From now on the uptime counts from there.
    fn set_uptime(&self, up: Duration) {
        self.hands.lock().unwrap().up = (up, self.world.now().uptime);
    }

    fn restart(&self, boot: &str) {
        self.set_uptime(Duration::ZERO);
        boot.clone_into(&mut self.hands.lock().unwrap().boot);
    }
}

impl Clock for Machine {
    fn now(&self) -> Moment {
        let (world, hands) = (self.world.now(), self.hands.lock().unwrap());
        let skew = Duration::from_millis(hands.skew.unsigned_abs());
        let wall = if hands.skew < 0 { world.wall - skew } else { world.wall + skew };
        let up = hands.up.0 + (world.uptime - hands.up.1);
        Moment::new(wall, up, Boot::new(&*hands.boot))
    }
}

/// One per cent, then everybody; readings of the error rate count for ten minutes.
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

/// Two stages that only take time.
const SLOW: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1, min_duration = "20h" }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "one", percent = 1 }]
"#;

fn spent(rollout: &Rollout) -> Duration {
    rollout.refresh().unwrap();
    rollout.report("a").unwrap().spent
}

/// A flag was rolled back 20 ms after its promotion, by a machine whose clock was 50 ms behind: "no data for an unknown
/// time". One that was a year ahead found "no data for 365d".
#[test]
fn a_machine_with_another_wall_clock_does_not_miss_data() {
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

        // Ten minutes without data are ten minutes without data, whatever day it is.
        world.advance(10 * MINUTE);
        b.tick();
        assert_eq!(b.report("a").unwrap().state.stage, "one", "{skew} ms");
        world.advance(MINUTE);
        b.tick();
        let incident = b.report("a").unwrap().state.incident.unwrap();
        assert_eq!(&*incident.about, "error_rate > 5% (no data for 11m)", "{skew} ms");
    }
}

/// A container was restarted, with the same boot and an uptime from the beginning: a reading five days old promoted, and
/// data that stayed away were not missed for as long as the machine had been up before.
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
        "the last reading of `error_rate` is 5d old, and counts for 10m"
    );
    assert!(r.tick().records.is_empty(), "nobody was there to read: downtime takes nothing back");
    assert_eq!(spent(&r), Duration::ZERO);
    world.advance(11 * MINUTE);
    r.tick();
    let report = r.report("a").unwrap();
    assert_eq!(report.standing, Standing::RolledBack);
    assert_eq!(&*report.state.incident.unwrap().about, "error_rate > 5% (no data for 11m)");
}

/// Until the uptime was what it had been before, no process that began knew of any time.
#[test]
fn a_machine_whose_uptime_went_backwards_counts_on_from_there() {
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

/// Two containers on one host may have the same boot and uptimes of their own.
#[test]
fn containers_that_share_a_boot_count_no_time_that_lies_between_their_uptimes() {
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

/// A machine that was up all the time counted only what had passed since the last record of another.
#[test]
fn build_servers_that_write_in_between_take_no_time_from_a_machine_that_is_up() {
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
    // Another process of that machine knows it from the journal, and so does everybody once it has written.
    let again = Rollout::open(store.clone(), server).unwrap();
    assert_eq!(spent(&again), 25 * HOUR);
    again.by("ana").hold("a", "a look").unwrap();
    let elsewhere = Rollout::open(store, Machine::new(&world, "laptop", HOUR, YEAR)).unwrap();
    assert_eq!(spent(&elsewhere), 25 * HOUR);
}

/// A wall clock that is ahead made a machine's whole uptime count, as it seemed to have started since.
#[test]
fn no_wall_clock_makes_a_stage_seem_older_than_it_is() {
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

/// A flag went up from a laptop, and the server that saw the time pass forgot it with each deployment.
#[test]
fn what_a_machine_has_seen_survives_its_processes() {
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let server = Machine::new(&world, "server", DAY, 0);
    let r = Rollout::start(store.clone(), server.clone(), SLOW, "ana").unwrap();
    let laptop = Rollout::open(store.clone(), Machine::new(&world, "laptop", HOUR, 0)).unwrap();
    laptop.by("ana").promote("a").unwrap();
    drop(laptop);
    r.refresh().unwrap();
    let noted: Vec<String> = r.tick().records.iter().map(|it| it.fact.to_string()).collect();
    assert_eq!(noted, ["noted this machine's clock"]);
    assert!(r.tick().records.is_empty(), "once");
    drop(r);
    world.advance(10 * HOUR);
    let r = Rollout::open(store.clone(), server.clone()).unwrap();
    assert_eq!(spent(&r), 10 * HOUR);

    // After a restart, the first refusal or tick begins to count, where the machine stays.
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
        "what nobody wrote down before the restart is lost"
    );
    world.advance(HOUR);
    promote().unwrap();
}

/// A wall clock that is a little behind found readings "from before the clock was set back".
#[test]
fn a_reading_that_lies_moments_ahead_is_fresh_and_one_far_ahead_is_not() {
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

/// A virtual machine that was paused does not know it by its uptime.
#[test]
fn a_reading_from_before_a_machine_stood_still_is_old() {
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
    assert_eq!(spent(&r), HOUR, "and what it did not see does not count");
}

/// A machine that is a year ahead deleted signatures that expire.
#[test]
fn a_machine_that_is_ahead_takes_no_signature_away() {
    let checklist = r#"checklist = [{ id = "go", text = "Go", expires = "2d" }]"#;
    let (world, store) = (ManualClock::at(monday()), Memory::new());
    let a = Machine::new(&world, "a", DAY, 0);
    let a = Rollout::start(store.clone(), a, document(checklist, "hold"), "ana").unwrap();
    a.by("ana").promote("a").unwrap();
    a.by("ana").sign("a", "go", None).unwrap();
    let b = Rollout::open(store, Machine::new(&world, "b", DAY, YEAR)).unwrap();
    b.tick();
    assert!(unmet(b.by("ben").promote("a")).contains(&"checklist"), "as far as it knows");
    a.refresh().unwrap();
    a.by("ana").measure("a", "error_rate", percent("0.1%"), None).unwrap();
    a.by("ana").promote("a").unwrap();
}
