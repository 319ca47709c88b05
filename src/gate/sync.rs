//! The atomics and thread-local variables of a gate. `.ci/loom` replaces them by those of loom.

#[cfg(not(stagegate_loom))]
pub(super) use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(stagegate_loom))]
pub(super) use std::thread_local as thread_static;

#[cfg(stagegate_loom)]
pub(super) use loom::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
/// loom's macro takes no `const` block.
#[cfg(stagegate_loom)]
macro_rules! thread_static {
    ($(#[$attribute:meta])* static $name:ident: $type:ty = const $value:block;) => {
        loom::thread_local! { $(#[$attribute])* static $name: $type = $value; }
    };
}
#[cfg(stagegate_loom)]
pub(super) use thread_static;
