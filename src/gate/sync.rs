//! The atomics and the lock of a gate, which `.ci/loom` replaces by those of loom.

#[cfg(not(stagegate_loom))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
};

#[cfg(stagegate_loom)]
pub(super) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
};
