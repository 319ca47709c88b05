//! Every verb, through the built binary, as its users run it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod check;
mod diff;
mod edges;
mod etcd;
mod explain;
#[cfg(unix)]
mod fleet;
mod guard;
mod harness;
mod make;
mod messages;
#[cfg(unix)]
mod publish;
mod real;
mod responsible;
mod rollout;
#[cfg(unix)]
mod run;
mod show;
mod timeline;
#[cfg(unix)]
mod tls;
