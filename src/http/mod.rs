//! A small HTTP client: one request and its response, within a deadline.

mod client;
mod endpoint;
#[cfg(feature = "etcd")]
mod stream;

pub(crate) use client::Client;
#[cfg(any(feature = "etcd", feature = "prometheus", feature = "follow"))]
pub(crate) use client::RequestError;
#[cfg(any(feature = "etcd", feature = "follow"))]
pub(crate) use client::Response;
pub use endpoint::{BadEndpoint, Endpoint};
#[cfg(feature = "etcd")]
pub(crate) use stream::Lines;
