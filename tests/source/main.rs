//! Misbehaving sources: the gate keeps the last good plan.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../integrate/canary.rs"]
mod canary;
mod custom_source;
mod damage;
mod etags;
mod hostile;
mod last_known_good;
mod links;
#[path = "../support/needs.rs"]
mod needs;
#[allow(dead_code, reason = "other test binaries use the rest")]
#[path = "../integrate/server.rs"]
mod server;
mod world;
mod writers;

#[test]
fn with_require_all_missing_programs_fail_their_tests() {
    needs::are_required(&["damage::without_inotify"], 1);
}
