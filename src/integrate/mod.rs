//! What a rollout is connected to: where its news goes, and where metrics are read.
//!
//! * [`JsonLines`] and [`Command`] bring a [`Notification`](crate::rollout::Notification) into a file or to a
//!   program; with feature `http`, `Webhook` posts it.
//! * With feature `prometheus`, `Prometheus` reads metrics.
//!
//! What waits for others has a deadline, and no secret stands in what is printed or in an error. The chapter on
//! telling shows them at work.

mod command;
#[cfg(any(feature = "http", feature = "prometheus"))]
mod http;
mod json_lines;
#[cfg(feature = "prometheus")]
mod prometheus;
mod text;
#[cfg(feature = "http")]
mod webhook;

pub use command::Command;
#[cfg(any(feature = "http", feature = "prometheus"))]
pub use http::{BadEndpoint, Endpoint};
pub use json_lines::JsonLines;
#[cfg(feature = "prometheus")]
pub use prometheus::Prometheus;
#[cfg(feature = "http")]
pub use webhook::Webhook;
