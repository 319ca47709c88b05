//! The journal and its directory: the format, and what damage, crashes, full and failing disks do to
//! them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod damage;
mod disk;
mod faults;
mod golden;
#[path = "../support/needs.rs"]
mod needs;
#[cfg(unix)]
mod permissions;
mod power;
mod reading;
mod stores;
mod story;
mod system;
mod tail;

#[test]
fn what_a_machine_lacks_fails_its_tests_where_everything_is_required() {
    needs::are_required(&["system::on_a_full_disk"], 1);
}
