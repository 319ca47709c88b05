//! False alarms: how often the guard rolls back a harmless flag.

use std::thread;

use stagegate::Plan;
use stagegate::guard::{ALPHA, Judge};

use super::power::binomial;
use super::world::{Random, Unit, World};

/// A limit of nearly no difference, where the test's claim is hardest to keep.
const WORSE: &str = "worse_than_control_by = \"1%\"";
/// A limit that equals the error rate of all users.
const ABOVE: &str = "above = \"1%\"";

fn judge(limit: &str) -> Judge {
    let document = format!(
        "schema = 1\n[flags.a]\nstages = [{{ name = \"s\", percent = 10 }}, {{ name = \"t\", percent = 100 }}]\n\
         triggers = [{{ metric = \"error_rate\", {limit}, no_data = \"hold\", action = \"rollback\" }}]"
    );
    Judge::new(&Plan::parse(document).unwrap().flag("a").unwrap(), "s").unwrap()
}

const QUIET: World = World {
    looks: 100,
    requests: 1_000,
    activity: None,
    burst: 1.0,
    base: |_| 0.01,
    share: |_| 0.1,
    ratio: 1.0,
};

const WORLDS: [(&str, World); 7] = [
    ("requests of their own", QUIET),
    (
        "an outage that all share",
        World { base: |place| if (0.4..0.6).contains(&place) { 0.05 } else { 0.01 }, ..QUIET },
    ),
    (
        "a base rate that triples while the share grows",
        World {
            base: |place| 0.01 * (1.0 + 2.0 * place),
            share: |place| [0.01, 0.05, 0.25, 0.5][((place * 4.0) as usize).min(3)],
            ..QUIET
        },
    ),
    ("bursts of 3, activity 1.05", World { activity: Some(1.05), burst: 3.0, ..QUIET }),
    ("bursts of 3, activity 1.2", World { activity: Some(1.2), burst: 3.0, ..QUIET }),
    ("bursts of 10, activity 1.05", World { activity: Some(1.05), burst: 10.0, ..QUIET }),
    ("bursts of 10, activity 1.2", World { activity: Some(1.2), burst: 10.0, ..QUIET }),
];

/// Returns in how many of the runs the trigger fires.
fn fired(runs: u64, world: &World, unit: Unit, limit: &str) -> u64 {
    let run = |seed: u64| {
        let mut judge = judge(limit);
        world.run(seed, unit, |look| judge.look(look)[0].verdict.is_breach()).is_some()
    };
    count_runs(runs, run)
}

/// Counts the seeds for which `run` returns `true`, on all cores.
pub(crate) fn count_runs(runs: u64, run: impl Fn(u64) -> bool + Sync) -> u64 {
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let of = |first: u64| {
        let seeds = (first..runs).step_by(usize::try_from(threads).unwrap());
        seeds.filter(|seed| run(*seed)).count() as u64
    };
    let of = &of;
    thread::scope(|scope| {
        let counts: Vec<_> = (0..threads).map(|first| scope.spawn(move || of(first))).collect();
        counts.into_iter().map(|count| count.join().unwrap()).sum()
    })
}

/// Returns the lower and upper bound of the rate, with 95% certainty each (Wilson 1927).
fn bounds(fired: u64, runs: u64) -> (f64, f64) {
    const Z: f64 = 1.644_853_627;
    let (n, rate) = (runs as f64, fired as f64 / runs as f64);
    let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    let bound = |half: f64| (rate + Z * Z / (2.0 * n) + half) / (1.0 + Z * Z / n);
    (bound(-half), bound(half))
}

/// Compares nine digits, because the constant `Z` has ten. For the table in `docs/guards.md`, the exact bound (Clopper
/// and Pearson 1934) is at most 0.0015 percentage points higher. The guide says so.
#[test]
fn bounds_equal_those_of_scipy() {
    let all: serde_json::Value = serde_json::from_str(include_str!("../data/guard.json")).unwrap();
    let rows = all["bounds"].as_array().unwrap();
    assert!(!rows.is_empty());
    for row in rows {
        let [fired, runs] = [0, 1].map(|column| row[column].as_u64().unwrap());
        let [least, most, exact] = [2, 3, 4].map(|column| row[column].as_f64().unwrap());
        let found = bounds(fired, runs);
        assert!((found.0 - least).abs() <= 1e-9 * least.max(1e-9), "{found:?}: {row}");
        assert!((found.1 - most).abs() <= 1e-9 * most, "{found:?}: {row}");
        if runs == 20_000 && (30..100).contains(&fired) {
            assert!((0.0..0.000_015).contains(&(exact - found.1)), "{found:?}: {row}");
        }
    }
}

/// Checks that false alarms are rarer than α. Fewer than 5,000 runs can only refute that, not prove it.
fn check_false_alarms(runs: u64) {
    let above = (World { share: |_| 0.5, ..QUIET }, ABOVE, "above a limit that is met exactly");
    let worse = WORLDS.into_iter().map(|(name, world)| (world, WORSE, name));
    for (world, limit, name) in worse.chain([above]) {
        let fired = fired(runs, &world, Unit::RiskSet, limit);
        let (least, most) = bounds(fired, runs);
        println!("{name}: {fired} of {runs}, at most {:.2}%", most * 100.0);
        assert!(if runs < 5_000 { least <= ALPHA } else { most <= ALPHA }, "{name}");
    }
}

#[test]
fn a_harmless_flag_is_rarely_rolled_back() {
    check_false_alarms(500);
}

/// Run it with `cargo test --features guard --test guard -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_harmless_flag_is_rarely_rolled_back_in_20_000_runs() {
    check_false_alarms(20_000);
}

/// Simpler methods, which the guard does not use. Each raises false alarms, so the tests above can fail.
#[test]
fn simpler_methods_raise_false_alarms() {
    let runs = 300;
    let bursts = WORLDS[5].1;
    let requests = fired(runs, &bursts, Unit::Requests, WORSE);
    // Heavy users have their first error early, but their later requests still count for their arm.
    let longer = World { looks: 300, ..WORLDS[3].1 };
    let one_error = fired(runs, &longer, Unit::OneError, WORSE);
    // A plain window: twice control's rate in any minute of a day, with 1,000 requests with the flag and 9,000
    // without it per minute.
    let window = count_runs(runs, |seed| {
        let mut random = Random::new(seed);
        (0..24 * 60).any(|_| {
            let with = binomial(&mut random, 1_000, 0.01) as f64 / 1_000.0;
            with > 2.0 * binomial(&mut random, 9_000, 0.01) as f64 / 9_000.0
        })
    });
    let small_window = count_runs(runs, |seed| {
        let twice = |look: &stagegate::guard::Look| {
            let rate = |counts: &stagegate::guard::Counts| {
                counts.errors as f64 / counts.requests.max(1) as f64
            };
            rate(&look.treatment) > 2.0 * rate(&look.control)
        };
        QUIET.run(seed, Unit::Requests, twice).is_some()
    });
    // The pooled counts of all looks, with the normal approximation. While the percentage grows, treatment
    // gets more of the later hours, which are worse.
    let pooled = count_runs(runs, |seed| {
        let (mut t, mut c) = ((0.0, 0.0), (0.0, 0.0));
        let beyond = |look: &stagegate::guard::Look| {
            t = (t.0 + look.treatment.errors as f64, t.1 + look.treatment.requests as f64);
            c = (c.0 + look.control.errors as f64, c.1 + look.control.requests as f64);
            let pooled: f64 = (t.0 + c.0) / (t.1 + c.1);
            let deviation = (pooled * (1.0 - pooled) * (1.0 / t.1 + 1.0 / c.1)).sqrt();
            (t.0 / t.1 - c.0 / c.1) / deviation > 2.326
        };
        WORLDS[2].1.run(seed, Unit::Requests, beyond).is_some()
    });
    println!(
        "of {runs}: requests {requests}, one error {one_error}, window {window}, small windows \
         {small_window}, pooled {pooled}"
    );
    for (name, fired) in [
        ("requests", requests),
        ("one error", one_error),
        ("window", window),
        ("small window", small_window),
        ("pooled", pooled),
    ] {
        assert!(fired as f64 / runs as f64 > 3.0 * ALPHA, "{name}: {fired} of {runs}");
    }
}
