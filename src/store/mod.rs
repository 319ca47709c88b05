//! Stores, which keep the plan and the journal: a [`Directory`], an etcd (`Etcd`, feature `etcd`), or [`Memory`] for
//! tests.
//!
//! For another store, such as a database, implement [`Store`](crate::rollout::Store). Check it with
//! [`conformance::check`].

pub mod conformance;
mod directory;
#[cfg(feature = "etcd")]
mod etcd;
mod files;
mod memory;

pub use directory::Directory;
#[cfg(feature = "etcd")]
pub use etcd::Etcd;
pub use files::{File, Files, SystemFiles};
pub use memory::Memory;
