//! HTTP, as far as it is needed here: one `POST` and its answer, within a deadline.

mod client;
mod endpoint;

pub(super) use client::Client;
#[cfg(feature = "prometheus")]
pub(super) use client::NoAnswer;
pub use endpoint::{BadEndpoint, Endpoint};
