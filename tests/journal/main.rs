//! The journal and its directory: the format, and the effects of damage, crashes, full disks and failing
//! disks.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod archive;
mod copy;
mod crash;
mod damage;
mod disk;
mod faults;
mod formats;
mod golden;
#[path = "../support/needs.rs"]
mod needs;
#[cfg(unix)]
mod permissions;
mod power;
mod reading;
mod segments;
mod shared;
#[cfg(feature = "sign")]
mod signed;
mod stores;
mod story;
mod system;
mod tail;

#[test]
fn with_require_all_missing_programs_fail_their_tests() {
    let of_archives = usize::from(cfg!(feature = "archive"));
    needs::are_required(&["system::on_a_full_disk", "python_restores"], 1 + of_archives);
}
