//! One flag of a guard, where requests are served.

use std::sync::{Arc, OnceLock};
use std::thread;

use super::Outcome;
use super::counters::Counters;
use crate::eval::{AsUser, Placement};
use crate::gate::FlagHandle;

/// One flag of a guard, for asking and for counting.
///
/// It goes on across [updates](super::Guard::update) of the guard.
#[derive(Clone, Debug)]
pub struct GuardedFlag {
    handle: FlagHandle,
    link: Arc<Link>,
}

/// What a flag is counted by, as long as its plan does not ask for something else; then by the next.
///
/// A handle keeps the link it was made with and all that came after. So nothing is locked where requests are
/// served, and counters are given back when the handles of their time are gone.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// `None`: nothing of the flag is counted.
    pub(super) counters: Option<Counters>,
    /// Set once, after which this one is not looked at any more.
    next: OnceLock<Arc<Link>>,
}

impl Link {
    pub(super) fn new(counters: Option<Counters>) -> Link {
        Link { counters, next: OnceLock::new() }
    }

    /// The counters of now.
    #[inline]
    fn last(&self) -> &Link {
        let mut link = self;
        while let Some(next) = link.next.get() {
            link = next;
        }
        link
    }

    /// Has everybody count by another one from now on. The guard's lock is held, so nobody else does.
    pub(super) fn go_on(&self, next: &Arc<Link>) {
        let _ = self.next.set(Arc::clone(next));
    }
}

impl GuardedFlag {
    pub(super) fn new(handle: FlagHandle, link: Arc<Link>) -> GuardedFlag {
        GuardedFlag { handle, link }
    }

    /// Whether the user has the flag, and counts nothing.
    #[inline]
    pub fn is_enabled(&self, user: impl AsUser) -> bool {
        self.handle.is_enabled(user)
    }

    /// A request of a user begins.
    #[inline]
    pub fn enter(&self, user: impl AsUser) -> Span<'_> {
        match &self.link.last().counters {
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

    /// Counts what became of a request that was placed here.
    #[cfg_attr(not(feature = "tower"), expect(dead_code))]
    pub(super) fn count(&self, placed: Placement, outcome: Outcome) {
        if let Some(counters) = &self.link.last().counters {
            counters.record(placed, outcome);
        }
    }

    /// Counts what became of a request of a user, for those who time themselves. The flag is asked once more, as it is now: where a
    /// stage may have begun since the request was answered, [`enter`](GuardedFlag::enter) knows where the user was then.
    #[inline]
    pub fn record(&self, user: impl AsUser, outcome: Outcome) {
        self.enter(user).finish(outcome);
    }
}

/// A request that is being served.
///
/// Dropped, it has ended: with an error where the thread panics, and well otherwise.
#[derive(Debug)]
#[must_use = "dropped at once, it counts a request that is well"]
pub struct Span<'g> {
    /// What is to be counted, until it is.
    counted: Option<(&'g Counters, Placement)>,
    enabled: bool,
}

impl Span<'_> {
    /// Whether the user has the flag: the same for all of the request.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The request has ended so.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        if let Some((counters, placed)) = self.counted.take() {
            counters.record(placed, outcome);
        }
    }

    /// The request is not to be counted: it was never served.
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
