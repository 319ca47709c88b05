//! Connections of a rollout to other systems.
//!
//! * Notifications: [`JsonLines`] appends each [`Notification`](crate::rollout::Notification) to a file, [`Command`]
//!   runs a program, and with feature `http`, `Webhook` posts it.
//! * Metrics in: with feature `prometheus`, `Prometheus` reads metrics.
//! * Metrics out: [`Figures`] are a rollout's current state, as text for Prometheus. With feature `metrics`, `Metrics`
//!   gives them to a recorder and counts events.
//! * Events: with feature `tracing`, `Tracing` emits notifications and updates as events.
//!
//! Every wait for another system has a deadline. Output and errors contain no secrets. The chapters on telling and
//! observing have examples.

mod command;
mod figures;
mod json_lines;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "tracing")]
mod tracing;
#[cfg(feature = "http")]
mod webhook;

pub use command::Command;
pub use figures::Figures;
pub use json_lines::JsonLines;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;
#[cfg(feature = "tracing")]
pub use tracing::{Tracing, trace_evaluation, trace_evaluation_with_user};
#[cfg(feature = "http")]
pub use webhook::Webhook;
