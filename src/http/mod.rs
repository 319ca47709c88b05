//! HTTP, as far as it is needed here: one request and its answer, within a deadline.

mod client;
mod endpoint;

pub(crate) use client::Client;
#[cfg(feature = "prometheus")]
pub(crate) use client::NoAnswer;
pub use endpoint::{BadEndpoint, Endpoint};
