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
mod metric;
#[path = "../../../../tests/support/needs.rs"]
mod needs;
#[cfg(unix)]
mod publish;
mod real;
mod repeated;
mod responsible;
mod rollout;
#[cfg(unix)]
mod run;
mod show;
mod timeline;
#[cfg(unix)]
mod tls;

#[test]
fn what_a_machine_lacks_fails_its_tests_where_everything_is_required() {
    needs::are_required(&["etcd::", "fleet::", "publish::what_a_fleet", "tls::"], 7);
}
