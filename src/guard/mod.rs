//! Counts what a flag's users meet, and judges it: [`Guard`] counts where requests are served, and [`Judge`]
//! makes verdicts of counts.
//!
//! Nothing here reads a clock or does anything to a flag. `docs/guards.md` has the methods and their sources.
#![allow(clippy::float_arithmetic, reason = "statistics; no user's answer depends on them")]

mod bets;
mod counted;
mod counters;
mod counts;
mod flag;
mod guarded;
mod histogram;
mod judge;
#[cfg(feature = "tower")]
mod layer;
mod measured;
#[cfg(test)]
mod oracle;
mod outcome;
mod owed;
mod power;
mod recent;
mod shares;
mod sustained;
mod trigger;
mod users;
mod verdict;
mod warnings;
mod watched;

pub use counted::Latency;
pub use counts::{Counts, Look};
pub use flag::{GuardedFlag, Span};
pub use guarded::Guard;
pub use judge::{ALPHA, Judge, UNEVEN_ALPHA};
#[cfg(feature = "tower")]
pub use layer::{GuardFuture, GuardLayer, GuardService};
pub use measured::Measurement;
pub use outcome::{Mark, Outcome};
#[cfg(feature = "rollout")]
pub(crate) use owed::Owed;
pub use power::{Power, Traffic};
pub use verdict::{Evidence, Finding, Missing, Verdict};
pub use warnings::warnings;
pub use watched::Judgement;
