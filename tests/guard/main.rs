//! The guard: its counts, verdicts and actions. Simulations and reference values check how often a verdict is
//! wrong, and how soon the guard finds a fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "statistics"
)]

#[cfg(feature = "rollout")]
mod acting;
mod counting;
mod direction;
mod ga;
mod latches;
mod measuring;
mod power;
mod quiet;
mod verdicts;
mod warnings;
mod world;
