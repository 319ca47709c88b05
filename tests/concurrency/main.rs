//! While several threads update, readers see whole versions in order, no update is lost, and a handle
//! answers for its own flag.
//!
//! Every loop has a fixed number of rounds. The environment variable `STAGEGATE_TEST_SMALL`, or Miri,
//! makes the numbers small, for tools that check every memory access.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod handles;
mod order;
mod versions;

use std::sync::Barrier;
use std::thread;

/// Returns `full` for ordinary runs and `small` for slow tools.
fn sized(full: u32, small: u32) -> u32 {
    let is_small = cfg!(miri) || std::env::var_os("STAGEGATE_TEST_SMALL").is_some();
    if is_small { small } else { full }
}

/// Runs all jobs at the same time. Panics if one of them panics.
fn together(jobs: Vec<Box<dyn FnOnce() + Send + '_>>) {
    let start = Barrier::new(jobs.len());
    thread::scope(|scope| {
        for job in jobs {
            scope.spawn(|| {
                start.wait();
                job();
            });
        }
    });
}
