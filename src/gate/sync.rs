//! The atomics of a gate, which `.ci/loom` replaces by those of loom.

#[cfg(not(stagegate_loom))]
pub(super) use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};

#[cfg(stagegate_loom)]
pub(super) use loom::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
