//! Where nothing is wrong: how often a flag is taken back all the same.

use std::thread;

use stagegate::Plan;
use stagegate::guard::{ALPHA, Judge};

use super::power::binomial;
use super::world::{Random, Unit, World};

/// The limit is nearly that treatment be no worse at all: what the test claims is hardest there.
const WORSE: &str = "worse_than_control_by = \"1%\"";
/// At the very rate that all have.
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

/// In how many of so many runs something fires.
fn fired(runs: u64, world: &World, unit: Unit, limit: &str) -> u64 {
    let run = |seed: u64| {
        let mut judge = judge(limit);
        world.run(seed, unit, |look| judge.look(look)[0].verdict.is_breach()).is_some()
    };
    counted(runs, run)
}

/// On all cores.
pub(crate) fn counted(runs: u64, run: impl Fn(u64) -> bool + Sync) -> u64 {
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

/// What a rate of so many of so many is at least and at most, with 95 of 100 certainty each (Wilson 1927).
fn bounds(fired: u64, runs: u64) -> (f64, f64) {
    const Z: f64 = 1.644_853_627;
    let (n, rate) = (runs as f64, fired as f64 / runs as f64);
    let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
    let bound = |half: f64| (rate + Z * Z / (2.0 * n) + half) / (1.0 + Z * Z / n);
    (bound(-half), bound(half))
}

/// To nine digits, as the deviate has ten. In the table of the chapter, what is exact (Clopper and Pearson 1934)
/// is more by a thousandth of a percent, as the chapter says.
#[test]
fn bounds_are_those_of_scipy() {
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

/// 20,000 runs prove it; so few as by default can only refute it.
fn stay_quiet(runs: u64) {
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
fn a_flag_that_does_no_harm_is_hardly_ever_taken_back() {
    stay_quiet(500);
}

/// `cargo test --features guard --test guard -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
fn a_flag_that_does_no_harm_is_hardly_ever_taken_back_in_20_000_runs() {
    stay_quiet(20_000);
}

/// What the guard does not do, and why: each cries wolf, so the tests above can fail.
#[test]
fn other_ways_of_counting_cry_wolf() {
    let runs = 300;
    let bursts = WORLDS[5].1;
    let requests = fired(runs, &bursts, Unit::Requests, WORSE);
    // Heavy users err early, and stay among the requests of their arm.
    let longer = World { looks: 300, ..WORLDS[3].1 };
    let one_error = fired(runs, &longer, Unit::OneError, WORSE);
    // A plain window: twice control's rate in one minute of a day, of 1,000 requests with the flag and 9,000
    // without.
    let window = counted(runs, |seed| {
        let mut random = Random::new(seed);
        (0..24 * 60).any(|_| {
            let with = binomial(&mut random, 1_000, 0.01) as f64 / 1_000.0;
            with > 2.0 * binomial(&mut random, 9_000, 0.01) as f64 / 9_000.0
        })
    });
    let small_window = counted(runs, |seed| {
        let twice = |look: &stagegate::guard::Look| {
            let rate = |counts: &stagegate::guard::Counts| {
                counts.errors as f64 / counts.requests.max(1) as f64
            };
            rate(&look.treatment) > 2.0 * rate(&look.control)
        };
        QUIET.run(seed, Unit::Requests, twice).is_some()
    });
    // Counts of all looks together, by the normal approximation: while the share grows, the later
    // and worse hours are treatment's.
    let pooled = counted(runs, |seed| {
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
