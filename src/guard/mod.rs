//! Guards: they count the outcomes of requests and judge a flag's triggers by these counts.
//!
//! [`Guard`] counts where requests are served. [`Judge`] turns counts into verdicts, also counts from elsewhere.
//! This module moves no flag, and only its `tower` layer reads a clock. `docs/guards.md` has the methods and sources.
#![allow(clippy::float_arithmetic, reason = "statistics; no user's answer depends on them")]

mod bets;
mod counters;
mod counts;
mod flag_entry;
mod guarded;
mod guarded_flag;
mod histogram;
mod judge;
#[cfg(feature = "tower")]
mod layer;
mod layout;
mod measurement;
#[cfg(test)]
mod oracle;
mod outcome;
mod power;
mod recent;
mod retry;
mod share_limit;
mod stage_monitor;
mod trigger;
mod user_set;
mod verdict;
mod warnings;
mod windows;

pub use counts::{Counts, Look};
pub use guarded::Guard;
pub use guarded_flag::{GuardedFlag, Span};
pub use judge::{ALPHA, Judge, UNEVEN_ALPHA};
#[cfg(feature = "tower")]
pub use layer::{GuardFuture, GuardLayer, GuardService};
pub use measurement::Measurement;
pub use outcome::{Mark, Outcome};
pub use power::{Power, Traffic};
#[cfg(feature = "rollout")]
pub(crate) use retry::RetryAction;
pub use share_limit::LatencyLimit;
pub use stage_monitor::Judgement;
pub use verdict::{Evidence, Finding, Missing, Verdict};
pub use warnings::warnings;
