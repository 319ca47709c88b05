//! Proves that readers see whole versions in order while several threads update, that no update is
//! lost, and that a handle answers for its own flag while flags come and go.
//!
//! Every loop is bounded by a count. `STAGEGATE_TEST_SMALL` in the environment, or Miri, makes the
//! counts small: enough for a tool that watches every memory access.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod handles;
mod order;
mod versions;

use std::sync::Barrier;
use std::thread;

/// A count for ordinary runs, and one for slow tools.
fn sized(full: u32, small: u32) -> u32 {
    let is_small = cfg!(miri) || std::env::var_os("STAGEGATE_TEST_SMALL").is_some();
    if is_small { small } else { full }
}

/// Runs all of these at the same time, and fails when one does.
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
