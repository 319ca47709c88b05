//! The cost of counting and judging outcomes, and the time from a fault until the flag is rolled back.
#![allow(clippy::unwrap_used, clippy::float_arithmetic, reason = "a bench that fails panics")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use stagegate::clock::SystemClock;
use stagegate::guard::{Guard, Outcome};
use stagegate::rollout::Rollout;
use stagegate::store::Memory;
use stagegate::{Gate, Plan};
use support::{FLAG, median, rate};
use xxhash_rust::xxh3::xxh3_64;

type Check<'c> = dyn Fn(&str) -> bool + Sync + 'c;

const TRIGGERS: &str = "triggers = [\
    { metric = \"error_rate\", worse_than_control_by = \"50%\", no_data = \"hold\", action = \"rollback\" },\
    { metric = \"latency_p95\", above = \"3s\", no_data = \"hold\", action = \"rollback\" }]";

fn document(flags: usize) -> String {
    let mut document = String::from(
        "schema = 1\n[[plans.p.stages]]\nname = \"pilot\"\npercent = 25\n[[plans.p.stages]]\nname = \"ga\"\npercent = 100\n",
    );
    let triggers = TRIGGERS.replacen("triggers", "plans.p.triggers", 1);
    document = document.replace("schema = 1\n", &format!("schema = 1\n{triggers}\n"));
    for number in 0..flags {
        let key = if number == 0 { FLAG.to_owned() } else { support::flag_key(number) };
        document += &format!("[flags.{key}]\nplan = \"p\"\nstage = \"pilot\"\n");
    }
    document
}

fn guarded(flags: usize) -> (Gate, Guard) {
    let plan = Plan::parse(document(flags)).unwrap();
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    guard.look(Duration::ZERO);
    (gate, guard)
}

fn main() {
    let smoke = support::is_smoke_test();
    let (rounds, run) = if smoke { (1, 5) } else { (15, 200) };
    counting(rounds, Duration::from_millis(run));
    println!("\n| what | median | max |\n| --- | --- | --- |");
    judging(if smoke { 3 } else { 200 });
    rolling_back(if smoke { 3 } else { 300 });
    let (_, guard) = guarded(1);
    println!("| bytes of a flag with two triggers, one on a latency | {} | |", guard.bytes());
}

/// Prints the nanoseconds of each check on one thread, and the throughput of two threads as a multiple of one.
fn counting(rounds: usize, run: Duration) {
    let (gate, guard) = guarded(1);
    let (handle, guarded) = (gate.flag(FLAG), guard.flag(FLAG));
    let took = Duration::from_millis(20);
    let checks: [(&str, &Check<'_>); 5] = [
        ("raw hash", &|user| xxh3_64(user.as_bytes()) & 1 == 0),
        ("handle", &|user| handle.is_enabled(user)),
        ("evaluate, handle", &|user| handle.evaluate(user).enabled),
        ("enter and finish", &|user| {
            let request = guarded.enter(user);
            let enabled = request.is_enabled();
            request.finish(Outcome::ok());
            enabled
        }),
        ("enter and finish, with a latency", &|user| {
            let request = guarded.enter(user);
            let enabled = request.is_enabled();
            request.finish(Outcome::ok().took(took));
            enabled
        }),
    ];
    let mut times: Vec<Vec<[f64; 2]>> = vec![Vec::new(); checks.len()];
    for _ in 0..rounds {
        for (times, (_, check)) in times.iter_mut().zip(checks) {
            times.push([1, 2].map(|threads| rate(threads, run, check)));
        }
    }
    println!("| check | ns | above the plain check | 2 : 1 |\n| --- | --- | --- | --- |");
    let nanos = |times: &[[f64; 2]]| median(times.iter().map(|rates| 1e9 / rates[0]));
    let plain = nanos(&times[1]);
    for (times, (name, _)) in times.iter().zip(checks) {
        let ratio = median(times.iter().map(|rates| rates[1] / rates[0]));
        println!("| {name} | {:.1} | {:.1} | {ratio:.2} |", nanos(times), nanos(times) - plain);
    }
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let (middle, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("| {what} | {:.0} µs | {:.0} µs |", micros(middle), micros(most));
}

/// Measures a look at 1,000 flags, each with new outcomes.
fn judging(count: usize) {
    let (_, guard) = guarded(1_000);
    let flags: Vec<_> = (1..1_000).map(|number| guard.flag(&support::flag_key(number))).collect();
    let mut times = Vec::new();
    for number in 1..=count as u64 {
        for (index, flag) in flags.iter().enumerate() {
            flag.record(
                number * 1_000 + index as u64,
                Outcome::ok().took(Duration::from_millis(5)),
            );
        }
        let start = Instant::now();
        assert_eq!(guard.look(Duration::from_secs(number)).len(), 1_000);
        times.push(start.elapsed());
    }
    row("a look at 1,000 flags", &mut times);
}

/// Measures the time from the breaching outcome until two threads that check without a pause see the flag off. The guard
/// judges right after that outcome.
fn rolling_back(count: usize) {
    let (mut times, mut looks) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let rollout =
            Rollout::start(Memory::new(), SystemClock::new(), document(1).as_str(), "ana").unwrap();
        let guard = Guard::new(rollout.gate(), rollout.plan());
        rollout.judge(&guard);
        let on = (0_u64..).find(|user| rollout.gate().is_enabled(*user, FLAG)).unwrap();
        let (begun, off, start) = (AtomicU64::new(0), AtomicU64::new(0), Instant::now());
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let handle = rollout.gate().flag(FLAG);
                    begun.fetch_add(1, Ordering::AcqRel);
                    while handle.is_enabled(on) && !done.load(Ordering::Relaxed) {}
                    let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap();
                    off.fetch_max(nanos, Ordering::AcqRel);
                });
            }
            while begun.load(Ordering::Acquire) < 2 {}
            let flag = guard.flag(FLAG);
            for user in 0_u64.. {
                let request = flag.enter(user);
                let fails = request.is_enabled();
                let before = start.elapsed();
                request.finish(if fails { Outcome::error() } else { Outcome::ok() });
                if user % 32 == 31 {
                    let judged = rollout.judge(&guard);
                    if judged.iter().any(|report| !report.actions.is_empty()) {
                        times.push(before);
                        break;
                    }
                    looks.push(start.elapsed() - before);
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        let last = times.last_mut().unwrap();
        *last = Duration::from_nanos(off.load(Ordering::Acquire)).saturating_sub(*last);
    }
    row("a look by a rollout that finds nothing", &mut looks);
    row("from the breaching outcome until two readers see it", &mut times);
}
