//! Counts what a flag's users meet, and judges it: [`Guard`] counts where requests are served, and [`Judge`]
//! makes verdicts of counts.
//!
//! Nothing here reads a clock or does anything to a flag. `docs/guards.md` has the methods and their sources.
#![allow(clippy::float_arithmetic, reason = "statistics; no user's answer depends on them")]

mod bets;
mod counters;
mod counts;
mod guarded;
mod histogram;
mod judge;
#[cfg(feature = "tower")]
mod layer;
mod outcome;
mod power;
mod sustained;
mod trigger;
mod users;
mod verdict;
mod warnings;

pub use counts::{Counts, Look};
pub use guarded::{Guard, GuardedFlag, Judgement, Span};
pub use judge::{ALPHA, Judge, UNEVEN_ALPHA};
#[cfg(feature = "tower")]
pub use layer::{GuardFuture, GuardLayer, GuardService};
pub use outcome::Outcome;
pub use power::{Power, Traffic};
pub use trigger::Latency;
pub use verdict::{Evidence, Finding, Missing, Verdict};
pub use warnings::warnings;
