//! Stores, which keep the plan and the journal: a [`Directory`], an etcd (`Etcd`, feature `etcd`), or [`Memory`] for
//! tests.
//!
//! For another store, such as a database, implement [`Store`](crate::rollout::Store). Check it with
//! [`conformance::check`].

#[cfg(feature = "archive")]
mod archive;
pub mod conformance;
mod copy;
mod directory;
#[cfg(feature = "etcd")]
mod etcd;
mod files;
mod memory;

use crate::rollout::StoreError;

#[cfg(feature = "archive")]
pub use archive::Archive;
pub use copy::copy;
pub use directory::Directory;
#[cfg(feature = "etcd")]
pub use etcd::Etcd;
pub use files::{File, Files, SystemFiles};
pub use memory::Memory;

/// Returns the error for lines before this one, which is the first that is left.
fn removed_lines(first: u64) -> StoreError {
    let last = first - 1;
    StoreError::missing(format!("lines 1 to {last} of the journal were moved to an archive"))
}
