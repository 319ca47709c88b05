//! HTTP, as far as it is needed here: one request and its answer, within a deadline.

mod client;
mod endpoint;

#[cfg(feature = "follow")]
pub(crate) use client::Answer;
pub(crate) use client::Client;
#[cfg(any(feature = "prometheus", feature = "follow"))]
pub(crate) use client::NoAnswer;
pub use endpoint::{BadEndpoint, Endpoint};
