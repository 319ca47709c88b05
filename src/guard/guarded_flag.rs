//! A handle to one flag of a guard, and the span of one request.

use std::sync::{Arc, OnceLock};
use std::thread;

use super::Outcome;
use super::counters::Counters;
use crate::eval::{AsUser, Placement};
use crate::gate::FlagHandle;

/// A handle to one flag of a guard: it checks the flag and counts outcomes.
///
/// The handle stays valid across [updates](super::Guard::update) of the guard.
#[derive(Clone, Debug)]
pub struct GuardedFlag {
    handle: FlagHandle,
    link: Arc<CounterLink>,
}

/// The counters of one flag, and the link to the counters that replace them after an update of the plan.
///
/// A handle keeps its first link and follows the replacements, so requests take no lock. Counters are freed when
/// the last handle that was made with them or with earlier ones is dropped.
#[derive(Debug, Default)]
pub(super) struct CounterLink {
    /// `None` if the guard does not count the flag.
    pub(super) counters: Option<Counters>,
    /// The replacement. Set at most once; from then on, these counters are out of use.
    next: OnceLock<Arc<CounterLink>>,
}

impl CounterLink {
    pub(super) fn new(counters: Option<Counters>) -> CounterLink {
        CounterLink { counters, next: OnceLock::new() }
    }

    /// Follows the replacements to the counters in use.
    #[inline]
    fn newest(&self) -> &CounterLink {
        let mut link = self;
        while let Some(next) = link.next.get() {
            link = next;
        }
        link
    }

    /// Makes every handle count in `next` from now on. The caller holds the guard's lock, so `set` cannot fail.
    pub(super) fn replace_with(&self, next: &Arc<CounterLink>) {
        let _ = self.next.set(Arc::clone(next));
    }
}

impl GuardedFlag {
    pub(super) fn new(handle: FlagHandle, link: Arc<CounterLink>) -> GuardedFlag {
        GuardedFlag { handle, link }
    }

    /// Returns whether the user has the flag. Counts nothing.
    #[inline]
    pub fn is_enabled(&self, user: impl AsUser) -> bool {
        self.handle.is_enabled(user)
    }

    /// Begins a user's request. The request is counted when the returned span ends.
    #[inline]
    pub fn enter(&self, user: impl AsUser) -> Span<'_> {
        match &self.link.newest().counters {
            Some(counters) => {
                let placed = self.handle.place(&user);
                let enabled = placed.is_some_and(|placed| placed.enabled);
                Span { counted: placed.map(|placed| (counters, placed)), enabled }
            }
            None => Span { counted: None, enabled: self.handle.is_enabled(user) },
        }
    }

    #[cfg_attr(not(feature = "tower"), expect(dead_code))]
    pub(super) fn place(&self, user: &impl AsUser) -> Option<Placement> {
        self.handle.place(user)
    }

    /// Counts the outcome of a request whose [`Placement`] came from [`place`](GuardedFlag::place).
    #[cfg_attr(not(feature = "tower"), expect(dead_code))]
    pub(super) fn count(&self, placed: Placement, outcome: Outcome) {
        if let Some(counters) = &self.link.newest().counters {
            counters.record(placed, outcome);
        }
    }

    /// Counts the outcome of a user's request that has ended.
    ///
    /// This checks the flag again, in its current stage. Use [`enter`](GuardedFlag::enter) if the flag may have
    /// moved during the request: the span keeps the answer from the beginning of the request.
    #[inline]
    pub fn record(&self, user: impl AsUser, outcome: Outcome) {
        self.enter(user).finish(outcome);
    }
}

/// A request that is being served.
///
/// A dropped span counts as a success, or as an error if its thread panics.
#[derive(Debug)]
#[must_use = "a span that is dropped at once counts as a success"]
pub struct Span<'g> {
    /// `None` once the request is counted, or if the guard does not count the flag.
    counted: Option<(&'g Counters, Placement)>,
    enabled: bool,
}

impl Span<'_> {
    /// Returns whether the user has the flag. The answer stays the same for the whole request.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Ends the request with this outcome and counts it.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        if let Some((counters, placed)) = self.counted.take() {
            counters.record(placed, outcome);
        }
    }

    /// Ends the request without counting it, for a request that was never served.
    pub fn discard(mut self) {
        self.counted = None;
    }
}

impl Drop for Span<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((counters, placed)) = self.counted.take() {
            let outcome = if thread::panicking() { Outcome::error() } else { Outcome::ok() };
            counters.record(placed, outcome);
        }
    }
}
