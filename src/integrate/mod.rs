//! What a rollout is connected to: where its news goes, and where metrics are read.
//!
//! * [`JsonLines`] and [`Command`] bring a [`Notification`](crate::rollout::Notification) into a file or to a
//!   program; with feature `http`, `Webhook` posts it.
//! * With feature `prometheus`, `Prometheus` reads metrics.
//! * [`Figures`] are what a rollout comes to at a moment, as text for Prometheus.
//!
//! What waits for others has a deadline, and no secret stands in what is printed or in an error. The chapter on
//! telling shows them at work.

mod command;
mod figures;
mod json_lines;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "http")]
mod webhook;

pub use command::Command;
pub use figures::Figures;
pub use json_lines::JsonLines;
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;
#[cfg(feature = "http")]
pub use webhook::Webhook;
