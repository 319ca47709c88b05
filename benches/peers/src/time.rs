//! Timing, and the medians and ratios of the times.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use nix::sys::resource::{UsageWho, getrusage};

use crate::check::check;
use crate::peers::{RawHash, Visitor};
use crate::scenario::{Cursor, Peer, Scenario, Setup};

/// Prints a row for each peer, separated by tabs: its name, the nanoseconds of the first scenario, the ratio to the raw
/// hash in each scenario, and the throughput of two threads as a multiple of one.
pub struct Timing {
    pub rounds: usize,
}

impl Visitor for Timing {
    fn visit<P: Peer>(&mut self) {
        let mut row = String::from(P::NAME);
        let mut scaling = 0.0;
        for scenario in Scenario::ALL {
            if P::NAME != RawHash::NAME {
                // With a separate instance, because some peers cache users.
                check::<P>(scenario);
            }
            let (raw, setup) = (Setup::<RawHash>::new(scenario), Setup::<P>::new(scenario));
            let (nanoseconds, ratio) = compare(&raw, &setup, self.rounds);
            if scenario == Scenario::One {
                row += &format!("\t{nanoseconds:.1}");
                scaling = self::scaling(&setup, self.rounds / 4);
            }
            row += &format!("\t{ratio:.1}");
        }
        println!("{row}\t{scaling:.2}");
    }
}

/// Returns the nanoseconds of a check and its ratio to the raw hash, as medians over rounds. Each round times both by
/// this thread's processor clock.
fn compare<P: Peer>(raw: &Setup<RawHash>, setup: &Setup<P>, rounds: usize) -> (f64, f64) {
    let (mut raw, mut peer) = (Slices::new(raw), Slices::new(setup));
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Alternates which one goes first.
        let (raw_time, time) = if round % 2 == 0 {
            let raw_time = raw.time();
            (raw_time, peer.time())
        } else {
            let time = peer.time();
            (raw.time(), time)
        };
        times.push(time);
        ratios.push(time / raw_time);
    }
    (median(times), median(ratios))
}

/// Runs checks in slices of a few milliseconds.
struct Slices<'a, P: Peer> {
    setup: &'a Setup<P>,
    cursor: Cursor,
    times: usize,
}

impl<'a, P: Peer> Slices<'a, P> {
    const LENGTH: Duration = Duration::from_millis(2);

    /// Finds the number of checks in a slice. This also warms up.
    fn new(setup: &'a Setup<P>) -> Slices<'a, P> {
        let mut slices = Slices { setup, cursor: Cursor::default(), times: 1 };
        while slices.time() * (slices.times as f64) < Self::LENGTH.as_nanos() as f64 {
            slices.times *= 2;
        }
        slices
    }

    /// Runs the next slice and returns the nanoseconds per check.
    fn time(&mut self) -> f64 {
        let start = ThreadTime::now();
        self.setup.run(&mut self.cursor, self.times);
        start.elapsed().as_nanos() as f64 / self.times as f64
    }
}

/// Returns the throughput of two threads as a multiple of one, by the wall clock, because a thread that waits for a lock
/// sleeps. It is the median of `rounds` rounds in which the threads ran at the same time and were not preempted.
fn scaling<P: Peer>(setup: &Setup<P>, rounds: usize) -> f64 {
    const PATIENCE: Duration = Duration::from_secs(6);
    let ratio = |_: usize| Some(rate(setup, 2)? / rate(setup, 1)?);
    let begin = Instant::now();
    let tries = (0..).take_while(|_| begin.elapsed() < PATIENCE);
    median(tries.filter_map(ratio).take(rounds).collect())
}

/// Returns the checks per second of all threads together, or `None` if a thread did not run all the time.
fn rate<P: Peer>(setup: &Setup<P>, threads: usize) -> Option<f64> {
    const RUN: Duration = Duration::from_millis(3);
    let ready = AtomicUsize::new(0);
    let run_thread = || {
        let (mut cursor, mut step) = (Cursor::default(), 1);
        // Spins, because a sleeping thread wakes late.
        ready.fetch_add(1, Ordering::Relaxed);
        while ready.load(Ordering::Relaxed) < threads {
            spin_loop();
        }
        let (preempted, start, mut done) = (preemptions(), Instant::now(), 0);
        loop {
            setup.run(&mut cursor, step);
            done += step;
            let elapsed = start.elapsed();
            if elapsed >= RUN {
                let undisturbed = preemptions() == preempted;
                return undisturbed.then_some((start, done as f64 / elapsed.as_secs_f64()));
            }
            // Enough checks per step that reading the clock does not matter.
            if elapsed < RUN / 100 {
                step *= 2;
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_thread)).collect();
        let runs = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        let runs = runs.collect::<Option<Vec<_>>>()?;
        // If only one processor is free, a thread may start after the other has ended.
        let starts = || runs.iter().map(|(start, _)| *start);
        let apart = starts().max()? - starts().min()?;
        (apart < RUN / 10).then(|| runs.iter().map(|(_, rate)| rate).sum())
    })
}

/// Returns how often the system preempted this thread.
fn preemptions() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("Linux supports it");
    usage.involuntary_context_switches()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    // NaN without figures.
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Times all peers. Runs fewer rounds with `--quick`.
pub fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    crate::peers::visit(&mut Timing { rounds: if quick { 15 } else { 101 } });
}
