//! The journal and its directory: the format, and what damage, crashes, full and failing disks do to
//! them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod damage;
mod disk;
mod faults;
mod golden;
#[cfg(unix)]
mod permissions;
mod power;
mod reading;
mod stores;
mod story;
mod system;
mod tail;
