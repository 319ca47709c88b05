//! Sources that do all they should not, and gates that keep what they have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod by_hand;
#[path = "../integrate/canary.rs"]
mod canary;
mod damage;
mod hostile;
mod kept;
mod links;
#[path = "../support/needs.rs"]
mod needs;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../integrate/server.rs"]
mod server;
mod tags;
mod world;
mod writers;

#[test]
fn what_a_machine_lacks_fails_its_tests_where_everything_is_required() {
    needs::are_required(&["damage::without_inotify"], 1);
}
