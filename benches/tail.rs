//! How long the slowest single checks take, idle and while the plan changes 1,000 times a second.
//!
//! Each check is timed by itself, so each figure has the clock's own time in it, which stands in
//! the first row: on most machines it is several times that of a check. It is what the rows differ
//! by that tells: a check that waited for an update would stand out by far.

mod support;

use std::hint::black_box;
use std::time::Instant;

use hdrhistogram::Histogram;
use support::{FLAG, Users};

fn main() {
    // In turns, and long enough that the writer has swapped many times in each.
    let (rounds, checks) = if support::is_smoke_test() { (1, 1_000) } else { (20, 500_000) };
    let gate = support::gate(&support::one_flag("pilot"));
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
    println!("{:.0} swaps/s where the plan changes; ns:\n", support::median(swaps.into_iter()));
    println!("| question | p50 | p99 | p99.9 | p99.99 | max |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, times) in rows {
        let [p50, p99, p999, p9999] =
            [0.5, 0.99, 0.999, 0.9999].map(|q| times.value_at_quantile(q));
        println!("| {name} | {p50} | {p99} | {p999} | {p9999} | {} |", times.max());
    }
}

/// Up to a second, to three digits.
fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_max(1_000_000_000, 3).expect("valid bounds")
}

fn time(times: &mut Histogram<u64>, checks: usize, question: impl Fn(&str) -> bool) {
    let mut users = Users::new();
    for _ in 0..checks {
        let user = users.next();
        let start = Instant::now();
        black_box(question(user));
        let took = start.elapsed().as_nanos();
        times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
    }
}
