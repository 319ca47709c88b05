//! Tests of every verb through the built binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod check;
mod diff;
mod edges;
mod etcd;
mod etcd_server;
mod explain;
#[cfg(unix)]
mod fleet;
mod guard;
mod harness;
mod keys;
mod make;
mod messages;
mod metric;
#[path = "../../../../tests/support/needs.rs"]
mod needs;
#[cfg(unix)]
mod publish;
mod repeated;
mod responsible;
mod rollout;
#[cfg(unix)]
mod run;
mod show;
mod stores;
mod timeline;
#[cfg(unix)]
mod tls;
#[cfg(unix)]
mod tutorial;

#[test]
fn with_require_all_missing_programs_fail_their_tests() {
    needs::are_required(&["etcd::", "fleet::", "publish::a_fleet_publishes", "tls::"], 7);
}
