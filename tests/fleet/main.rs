//! Several processes on several machines, one journal, and everything that may go wrong: the promises hold.
//!
//! Machines have clocks that differ, stand still, restart and go backwards. Processes are killed at any moment, and their
//! stores fail before and after they write. People act, readings come, documents are edited. `promises.rs` has what must
//! hold all the while, by the numbers of `docs/promises.md`.
//!
//! A failure prints its seed: `STAGEGATE_FLEET_SEED=42 cargo test --all-features --test fleet` runs that one alone.

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
        world.ends();
    }));
    if let Err(panic) = run {
        let story = world.story.join("\n");
        eprintln!("{story}\nseed {seed}: run it alone with STAGEGATE_FLEET_SEED={seed}");
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

/// `cargo test --all-features --test fleet -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn the_promises_hold_for_several_processes_in_100_000_runs() {
    run_all(100_000);
}
