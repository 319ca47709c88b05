//! The throughput of one thread and of two, idle and while the plan changes 1,000 times a second.

#![allow(clippy::float_arithmetic, reason = "printed rates")]

mod support;

use std::time::Duration;

use support::{FLAG, median, rate};

fn main() {
    let smoke = support::is_smoke_test();
    let rounds = if smoke { 1 } else { 15 };
    let run = Duration::from_millis(if smoke { 5 } else { 200 });
    let gate = support::gate(support::one_flag("pilot"));
    let (handle, by_name) = (gate.flag(FLAG), gate.clone());
    println!("| check | plan | 1 thread, M/s | 2 threads, M/s | 2 : 1 |");
    println!("| --- | --- | --- | --- | --- |");
    compare("handle", rounds, run, &gate, |user| handle.is_enabled(user));
    compare("by name", rounds, run, &gate, |user| by_name.is_enabled(user, FLAG));
}

/// Prints two rows. The four runs of a round follow one another, so that a slow phase of the machine affects all of
/// them. Each ratio is from one round.
fn compare(
    name: &str,
    rounds: usize,
    run: Duration,
    gate: &stagegate::Gate,
    check: impl Fn(&str) -> bool + Sync,
) {
    let (mut idle, mut swapped, mut swaps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        idle.push([1, 2].map(|threads| rate(threads, run, &check)));
        swapped.push([1, 2].map(|threads| {
            let (rate, seen) = support::under_swaps(gate, || rate(threads, run, &check));
            swaps.push(seen);
            rate
        }));
    }
    let swaps = median(swaps.into_iter());
    for (plan, rates) in [("idle", idle), (&*format!("{swaps:.0} swaps/s"), swapped)] {
        let one = median(rates.iter().map(|rates| rates[0]));
        let two = median(rates.iter().map(|rates| rates[1]));
        let ratio = median(rates.iter().map(|rates| rates[1] / rates[0]));
        println!("| {name} | {plan} | {:.1} | {:.1} | {ratio:.2} |", one / 1e6, two / 1e6);
    }
}
