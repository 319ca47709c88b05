//! The clock, and what is made of its figures.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use nix::sys::resource::{UsageWho, getrusage};

use crate::check::check;
use crate::peers::{RawHash, Visitor};
use crate::work::{Asking, Peer, Turn, Work};

/// Prints a row for each peer: its name, nanoseconds of the first work, the ratio to the raw hash
/// of each, how two threads compare with one; separated by tabs.
pub struct Timing {
    pub rounds: usize,
}

impl Visitor for Timing {
    fn visit<P: Peer>(&mut self) {
        let mut row = String::from(P::NAME);
        let mut scaling = 0.0;
        for work in Work::ALL {
            if P::NAME != RawHash::NAME {
                // Not the one that is timed: some remember users.
                check::<P>(work);
            }
            let (raw, asking) = (Asking::<RawHash>::new(work), Asking::<P>::new(work));
            let (nanoseconds, ratio) = compare(&raw, &asking, self.rounds);
            if work == Work::One {
                row += &format!("\t{nanoseconds:.1}");
                scaling = scale(&asking, self.rounds / 4);
            }
            row += &format!("\t{ratio:.1}");
        }
        println!("{row}\t{scaling:.2}");
    }
}

/// Nanoseconds of a check, and its ratio to the raw hash: medians over rounds, in each of which
/// both take their turn on this thread's processor clock.
fn compare<P: Peer>(raw: &Asking<RawHash>, asking: &Asking<P>, rounds: usize) -> (f64, f64) {
    let (mut raw, mut peer) = (Slices::new(raw), Slices::new(asking));
    let (mut times, mut ratios) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Neither is always the first.
        let (floor, time) = if round % 2 == 0 {
            let floor = raw.time();
            (floor, peer.time())
        } else {
            let time = peer.time();
            (raw.time(), time)
        };
        times.push(time);
        ratios.push(time / floor);
    }
    (median(times), median(ratios))
}

/// Asks in slices of some milliseconds.
struct Slices<'a, P: Peer> {
    asking: &'a Asking<P>,
    turn: Turn,
    times: usize,
}

impl<'a, P: Peer> Slices<'a, P> {
    const LENGTH: Duration = Duration::from_millis(2);

    /// Finds how many questions a slice has, which warms up too.
    fn new(asking: &'a Asking<P>) -> Slices<'a, P> {
        let mut slices = Slices { asking, turn: Turn::default(), times: 1 };
        while slices.time() * (slices.times as f64) < Self::LENGTH.as_nanos() as f64 {
            slices.times *= 2;
        }
        slices
    }

    /// Nanoseconds of a question in the next slice.
    fn time(&mut self) -> f64 {
        let start = ThreadTime::now();
        self.asking.ask(&mut self.turn, self.times);
        start.elapsed().as_nanos() as f64 / self.times as f64
    }
}

/// Questions of two threads to those of one, by the wall clock: who waits for a lock sleeps. The
/// median of so many rounds in which both ran at once and nobody else took a processor.
fn scale<P: Peer>(asking: &Asking<P>, rounds: usize) -> f64 {
    const PATIENCE: Duration = Duration::from_secs(6);
    let ratio = |_: usize| Some(rate(asking, 2)? / rate(asking, 1)?);
    let begin = Instant::now();
    let tries = (0..).take_while(|_| begin.elapsed() < PATIENCE);
    median(tries.filter_map(ratio).take(rounds).collect())
}

/// Questions a second, of all threads together; none where they did not all run all the time.
fn rate<P: Peer>(asking: &Asking<P>, threads: usize) -> Option<f64> {
    const RUN: Duration = Duration::from_millis(3);
    let ready = AtomicUsize::new(0);
    let ask = || {
        let (mut turn, mut step) = (Turn::default(), 1);
        // Spins, since who sleeps wakes late.
        ready.fetch_add(1, Ordering::Relaxed);
        while ready.load(Ordering::Relaxed) < threads {
            spin_loop();
        }
        let (pushed, start, mut asked) = (pushed_aside(), Instant::now(), 0);
        loop {
            asking.ask(&mut turn, step);
            asked += step;
            let elapsed = start.elapsed();
            if elapsed >= RUN {
                let undisturbed = pushed_aside() == pushed;
                return undisturbed.then_some((start, asked as f64 / elapsed.as_secs_f64()));
            }
            // So many that looking at the clock is nothing beside them, and no more.
            if elapsed < RUN / 100 {
                step *= 2;
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        let runs = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        let runs = runs.collect::<Option<Vec<_>>>()?;
        // One may begin when the other is done, where only one processor is free.
        let starts = || runs.iter().map(|(start, _)| *start);
        let apart = starts().max()? - starts().min()?;
        (apart < RUN / 10).then(|| runs.iter().map(|(_, rate)| rate).sum())
    })
}

/// How often this thread had to leave the processor to others, although it had work.
fn pushed_aside() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("Linux has it");
    usage.involuntary_context_switches()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    // Not a number where there are none.
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Rounds: fewer with `--quick`.
pub fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    crate::peers::visit(&mut Timing { rounds: if quick { 15 } else { 101 } });
}
