//! Readers on every core check a flag without pause while it moves through its stages and back.
//!
//! Each answer is compared with the version that it names. No reader may see a mix of two versions, or an older version after
//! a newer one. Exits with 1 if a reader did.
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

/// The flag's stages in the order of its moves, which repeats. The first version is off.
const STAGES: [&str; 5] = ["off", "internal", "pilot", "expanded", "ga"];
const USERS: usize = 50_000;
const ROUNDS: usize = 80;
/// The number of checks, by all readers together, between two moves.
const CHECKS_PER_MOVE: usize = 5_000;
/// The number of checks after which a reader updates the shared counter.
const BATCH: usize = 100;

/// Shared progress. Relaxed, because both atomics only pace the run and guard no other data.
#[derive(Default)]
struct Pace {
    checked: AtomicUsize,
    done: AtomicBool,
}

/// Counts by the stage of the version that answered.
#[derive(Default)]
struct Tally {
    checked: [usize; STAGES.len()],
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

    // Cohorts do not depend on the current stage, so compute them before the flag moves.
    let cohorts: Vec<usize> = (0..USERS)
        .filter_map(|user| new_checkout.cohort(user))
        .filter_map(|cohort| STAGES.iter().position(|stage| cohort == *stage))
        .collect();
    assert_eq!(cohorts.len(), USERS, "all users have the flag at ga");

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
        // Stop the readers also after a refused move.
        pace.done.store(true, Ordering::Relaxed);
        let tallies = threads.into_iter().map(|thread| thread.join().expect("no reader panics"));
        (moved, tallies.fold(Tally::default(), |sum, tally| sum.plus(&tally)))
    });
    moved?;

    let checked: usize = tally.checked.iter().sum();
    println!("{readers} readers, {checked} checks, {} versions\n", gate.version());
    println!("{:10}{:>12}{:>12}{:>10}", "stage", "checked", "enabled", "share");
    for (stage, (checked, enabled)) in STAGES.iter().zip(tally.checked.iter().zip(&tally.enabled)) {
        let hundredths = enabled * 10_000 / checked.max(&1);
        let share = format!("{}.{:02}%", hundredths / 100, hundredths % 100);
        println!("{stage:10}{checked:>12}{enabled:>12}{share:>10}");
    }
    println!("\nanswers that do not match their version: {}", tally.violations);
    Ok(tally.violations)
}

/// Moves the flag one stage up at a time, from the last stage to off, and again.
fn move_stages(gate: &Gate, pace: &Pace) -> Result<(), UpdateError> {
    for stage in STAGES.iter().cycle().skip(1).take(ROUNDS * STAGES.len()) {
        gate.set_stage("new-checkout", stage)?;
        let enough = pace.checked.load(Ordering::Relaxed) + CHECKS_PER_MOVE;
        while pace.checked.load(Ordering::Relaxed) < enough {
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
            // Version 1 is off and every move adds one, so the number determines the stage.
            let moves = usize::try_from(answer.version - 1).expect("a few hundred");
            let position = moves % STAGES.len();
            let matches = answer.stage.is_some_and(|stage| stage == STAGES[position])
                && answer.enabled == (*cohort <= position)
                && answer.version >= newest;
            newest = answer.version;
            tally.checked[position] += 1;
            tally.enabled[position] += usize::from(answer.enabled);
            tally.violations += usize::from(!matches);
        }
        pace.checked.fetch_add(BATCH, Ordering::Relaxed);
    }
    tally
}

impl Tally {
    fn plus(mut self, other: &Tally) -> Tally {
        for index in 0..STAGES.len() {
            self.checked[index] += other.checked[index];
            self.enabled[index] += other.enabled[index];
        }
        self.violations += other.violations;
        self
    }
}
