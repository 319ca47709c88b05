//! Readers on every core ask without pause while a flag moves through its stages and back.
//!
//! Every answer is checked against the one version it says it came from: no reader may ever see a
//! mix of two, nor an older version after a newer one. Exits with 1 if one did.
//!
//! Run it with `cargo run --release --example hot_swap`.

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use stagegate::{FlagHandle, Gate, UpdateError};

const DOCUMENT: &str = r#"
    schema = 1
    [groups.team]
    users = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    [flags.new-checkout]
    stages = [
        { name = "internal", groups = ["team"] },
        { name = "pilot", percent = 10 },
        { name = "expanded", percent = 25 },
        { name = "ga", percent = 100 },
    ]
"#;

/// In the order in which the flag moves, over and over. The first version is off.
const STAGES: [&str; 5] = ["off", "internal", "pilot", "expanded", "ga"];
const USERS: usize = 50_000;
const ROUNDS: usize = 80;
/// Asked by all readers together before the flag moves on.
const QUESTIONS_A_MOVE: usize = 5_000;
/// Asked by a reader before it counts them for the others to see.
const BATCH: usize = 100;

/// Relaxed, both: they pace the run, and nothing is read on the strength of them.
#[derive(Default)]
struct Pace {
    asked: AtomicUsize,
    done: AtomicBool,
}

/// By stage of the version that answered.
#[derive(Default)]
struct Tally {
    asked: [usize; STAGES.len()],
    enabled: [usize; STAGES.len()],
    violations: usize,
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hot_swap: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize, Box<dyn std::error::Error>> {
    let gate = Gate::from_document(DOCUMENT)?;
    let new_checkout = gate.flag("new-checkout");

    // Who belongs where does not depend on the stage, so it is known before anything moves.
    let cohorts: Vec<usize> = (0..USERS)
        .filter_map(|user| new_checkout.cohort(user))
        .filter_map(|cohort| STAGES.iter().position(|stage| cohort == *stage))
        .collect();
    assert_eq!(cohorts.len(), USERS, "everybody is in by ga");

    let readers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let pace = Pace::default();
    let (moved, tally) = thread::scope(|scope| {
        let read = |reader| {
            let (flag, first) = (new_checkout.clone(), reader * USERS / readers);
            let (cohorts, pace) = (&cohorts, &pace);
            scope.spawn(move || read(&flag, cohorts, first, pace))
        };
        let threads: Vec<_> = (0..readers).map(read).collect();
        let moved = move_stages(&gate, &pace);
        // Also when a move was refused: readers must not go on for ever.
        pace.done.store(true, Ordering::Relaxed);
        let tallies = threads.into_iter().map(|thread| thread.join().expect("no reader panics"));
        (moved, tallies.fold(Tally::default(), |sum, tally| sum.plus(&tally)))
    });
    moved?;

    let asked: usize = tally.asked.iter().sum();
    println!("{readers} readers, {asked} questions, {} versions\n", gate.version());
    println!("{:10}{:>12}{:>12}{:>10}", "stage", "asked", "enabled", "share");
    for (stage, (asked, enabled)) in STAGES.iter().zip(tally.asked.iter().zip(&tally.enabled)) {
        let hundredths = enabled * 10_000 / asked.max(&1);
        let share = format!("{}.{:02}%", hundredths / 100, hundredths % 100);
        println!("{stage:10}{asked:>12}{enabled:>12}{share:>10}");
    }
    println!("\nanswers that did not fit their version: {}", tally.violations);
    Ok(tally.violations)
}

/// One stage up at a time, from the last one off, and again.
fn move_stages(gate: &Gate, pace: &Pace) -> Result<(), UpdateError> {
    for stage in STAGES.iter().cycle().skip(1).take(ROUNDS * STAGES.len()) {
        gate.set_stage("new-checkout", stage)?;
        let enough = pace.asked.load(Ordering::Relaxed) + QUESTIONS_A_MOVE;
        while pace.asked.load(Ordering::Relaxed) < enough {
            thread::yield_now();
        }
    }
    Ok(())
}

fn read(flag: &FlagHandle, cohorts: &[usize], first: usize, pace: &Pace) -> Tally {
    let mut tally = Tally::default();
    let mut users = cohorts.iter().enumerate().cycle().skip(first);
    let mut newest = 0;
    while !pace.done.load(Ordering::Relaxed) {
        for (user, cohort) in users.by_ref().take(BATCH) {
            let answer = flag.evaluate(user);
            // Version 1 is off and every move makes the next one, so the number tells the stage.
            let moves = usize::try_from(answer.version - 1).expect("a few hundred");
            let position = moves % STAGES.len();
            let fits = answer.stage.is_some_and(|stage| stage == STAGES[position])
                && answer.enabled == (*cohort <= position)
                && answer.version >= newest;
            newest = answer.version;
            tally.asked[position] += 1;
            tally.enabled[position] += usize::from(answer.enabled);
            tally.violations += usize::from(!fits);
        }
        pace.asked.fetch_add(BATCH, Ordering::Relaxed);
    }
    tally
}

impl Tally {
    fn plus(mut self, other: &Tally) -> Tally {
        for index in 0..STAGES.len() {
            self.asked[index] += other.asked[index];
            self.enabled[index] += other.enabled[index];
        }
        self.violations += other.violations;
        self
    }
}
