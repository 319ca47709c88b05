//! Where plan and journal live: a [`Directory`], an etcd (`Etcd`, with feature `etcd`), or for tests the [`Memory`].
//!
//! Another store (a database, an object storage with conditional writes) is whatever implements
//! [`Store`](crate::rollout::Store), and passes [`conformance::check`].

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
