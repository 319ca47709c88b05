//! The promises hold for several processes on several machines that share one journal, whatever goes wrong.
//!
//! The machines' clocks differ, stop, restart and go backwards. Processes are killed at any moment, and their stores
//! fail before and after a write. People act, metrics are measured, documents are edited. `promises.rs` checks the
//! promises after each step, under their numbers in `docs/promises.md`.
//!
//! A failure prints its seed. `STAGEGATE_FLEET_SEED=42 cargo test --all-features --test fleet` runs only that seed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod document;
mod machine;
mod promises;
mod random;
mod truth;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::World;

const STEPS: usize = 60;

fn run(seed: u64) {
    let mut world = World::new(seed);
    let run = catch_unwind(AssertUnwindSafe(|| {
        (0..STEPS).for_each(|_| world.step());
        world.end_faults_and_compare();
    }));
    if let Err(panic) = run {
        let story = world.story.join("\n");
        eprintln!("{story}\nseed {seed}: to run only this seed, set STAGEGATE_FLEET_SEED={seed}");
        resume_unwind(panic);
    }
}

fn run_all(count: u64) {
    match std::env::var("STAGEGATE_FLEET_SEED") {
        Ok(seed) => run(seed.parse().unwrap()),
        Err(_) => (0..count).for_each(run),
    }
}

#[test]
fn the_promises_hold_for_several_processes() {
    run_all(1_000);
}

/// Run it with `cargo test --all-features --test fleet -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn the_promises_hold_for_several_processes_in_100_000_runs() {
    run_all(100_000);
}
