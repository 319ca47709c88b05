//! Background threads: starting, waking and stopping them, and the waits between their retries.

mod backoff;
mod worker;

#[cfg(feature = "follow")]
pub(crate) use backoff::fraction;
pub(crate) use backoff::{Backoff, random};
pub(crate) use worker::{Signal, Worker};
