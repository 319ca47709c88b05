//! Where plan and journal live: a [`Directory`], or for tests the [`Memory`].
//!
//! Another store (a database, an object storage with conditional writes) is whatever implements
//! [`Store`](crate::rollout::Store), and passes [`conformance::check`].

pub mod conformance;
mod directory;
mod files;
mod memory;

pub use directory::Directory;
pub use files::{File, Files, SystemFiles};
pub use memory::Memory;
