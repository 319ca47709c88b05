//! HTTP, as far as it is needed here: one request and its answer, within a deadline.

pub(crate) mod base64;
mod client;
mod endpoint;
#[cfg(feature = "etcd")]
mod stream;

#[cfg(any(feature = "etcd", feature = "follow"))]
pub(crate) use client::Answer;
pub(crate) use client::Client;
#[cfg(any(feature = "etcd", feature = "prometheus", feature = "follow"))]
pub(crate) use client::NoAnswer;
pub use endpoint::{BadEndpoint, Endpoint};
#[cfg(feature = "etcd")]
pub(crate) use stream::Lines;
