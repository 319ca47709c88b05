//! The latency of the slowest checks, idle and while the plan changes 1,000 times a second. The latency of rollbacks
//! while another thread puts documents with a million listed users in force.
//!
//! Each check is timed separately, so each figure includes reading the clock. The first row shows the clock alone,
//! which on most machines takes several times as long as a check. Compare the rows: a check that waited for an update
//! would be far slower.

#![allow(clippy::unwrap_used, reason = "a bench that cannot start panics")]

mod support;

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use support::{FLAG, Users};

fn main() {
    // Rounds alternate between the rows. Each run is long enough for many swaps.
    let (rounds, checks) = if support::is_smoke_test() { (1, 1_000) } else { (20, 500_000) };
    let gate = support::gate(support::one_flag("pilot"));
    let handle = gate.flag(FLAG);
    let mut rows =
        ["the clock alone", "handle, idle", "handle, swaps", "by name, idle", "by name, swaps"]
            .map(|name| (name, new_histogram()));
    let mut swaps = Vec::new();
    let [clock, handle_idle, handle_swaps, name_idle, name_swaps] = &mut rows;
    for _ in 0..rounds {
        let by_handle = |user: &str| handle.is_enabled(user);
        let by_name = |user: &str| gate.is_enabled(user, FLAG);
        time(&mut clock.1, checks, |_| true);
        time(&mut handle_idle.1, checks, by_handle);
        swaps.push(support::under_swaps(&gate, || time(&mut handle_swaps.1, checks, by_handle)).1);
        time(&mut name_idle.1, checks, by_name);
        swaps.push(support::under_swaps(&gate, || time(&mut name_swaps.1, checks, by_name)).1);
    }
    println!(
        "{:.0} swaps/s in the rows with swaps; times in ns:\n",
        support::median(swaps.into_iter())
    );
    println!("| check | p50 | p99 | p99.9 | p99.99 | max |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, times) in rows {
        let [p50, p99, p999, p9999] =
            [0.5, 0.99, 0.999, 0.9999].map(|q| times.value_at_quantile(q));
        println!("| {name} | {p50} | {p99} | {p999} | {p9999} | {} |", times.max());
    }
    rollbacks();
}

/// Measures rollbacks, idle and during updates of whole documents.
fn rollbacks() {
    let (rollbacks, users) =
        if support::is_smoke_test() { (10, 1_000) } else { (2_000, 1_000_000) };
    let documents = [0, 1].map(|first| {
        let listed: Vec<_> = (first..first + users).map(|user| format!("\"u{user}\"")).collect();
        let group = format!("users = [{}]", listed.join(","));
        format!("limits.per_update = 100\n{}", support::with_group(&group))
    });
    let gate = support::gate(documents[0].as_str());
    let time = || {
        let mut times = new_histogram();
        for _ in 0..rollbacks {
            let start = Instant::now();
            gate.roll_back(FLAG).unwrap();
            times.saturating_record(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
            gate.set_stage(FLAG, "pilot").unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        times
    };
    let idle = time();
    let stop = AtomicBool::new(false);
    let (busy, updates) = thread::scope(|scope| {
        let updates = scope.spawn(|| {
            let mut updates = 0;
            while !stop.load(Ordering::Relaxed) {
                gate.update(documents[updates % 2].as_str()).unwrap();
                updates += 1;
            }
            updates
        });
        let busy = time();
        stop.store(true, Ordering::Relaxed);
        (busy, updates.join().unwrap())
    });
    println!("\n{updates} documents with {users} listed users; times in µs:\n");
    println!("| rollback | p50 | p99 | p99.9 | max |");
    println!("| --- | --- | --- | --- | --- |");
    for (name, times) in [("idle", idle), ("during updates", busy)] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| times.value_at_quantile(q) / 1_000);
        println!("| {name} | {p50} | {p99} | {p999} | {} |", times.max() / 1_000);
    }
}

/// Creates a histogram of up to one second, with three significant digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(1_000_000_000, 3).expect("valid bounds")
}

fn time(times: &mut Histogram<u64>, checks: usize, check: impl Fn(&str) -> bool) {
    let mut users = Users::new();
    for _ in 0..checks {
        let user = users.next();
        let start = Instant::now();
        black_box(check(user));
        let took = start.elapsed().as_nanos();
        times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
    }
}
