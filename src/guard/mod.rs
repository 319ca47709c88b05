//! Judges what a stage's users meet: counts in, verdicts out.
//!
//! Pure: nothing here reads a clock, a file or a gate. `docs/guards.md` has the methods and their sources.
#![allow(clippy::float_arithmetic, reason = "statistics; no user's answer depends on them")]

mod bets;
mod counts;
mod judge;
mod power;
mod sustained;
mod trigger;
mod verdict;

pub use counts::{Counts, Look};
pub use judge::{ALPHA, Judge, UNEVEN_ALPHA};
pub use power::{Power, Traffic};
pub use verdict::{Evidence, Finding, Missing, Verdict};
