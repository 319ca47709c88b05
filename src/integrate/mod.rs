//! What a rollout is connected to: where its news goes, and where metrics are read.
//!
//! * [`JsonLines`] and [`Command`] bring a [`Notification`](crate::rollout::Notification) into a file or to a
//!   program; with feature `http`, `Webhook` posts it.
//! * With feature `prometheus`, `Prometheus` reads metrics.
//! * [`Figures`] are what a rollout comes to at a moment, as text for Prometheus; with feature `metrics`, `Metrics`
//!   gives them to a recorder and counts what happens. With feature `tracing`, `Tracing` makes events of it.
//!
//! What waits for others has a deadline, and no secret stands in what is printed or in an error. The chapters on
//! telling and observing show them at work.

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
pub use tracing::{Tracing, trace_evaluation, trace_evaluation_of};
#[cfg(feature = "http")]
pub use webhook::Webhook;
