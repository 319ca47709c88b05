//! What was counted between two looks.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::model::Quantity;

/// Outcomes of requests.
///
/// A user who has had an error in this stage counts no more, neither in errors nor in requests: the
/// chapter on guards says why. Whoever counts otherwise has false alarms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Those that took longer than a limit, and of how many requests, as users who were slow once count
    /// no more there either: a pair for each limit of [`Judge::latencies`](super::Judge::latencies), or
    /// the last one for all that follow.
    pub slow: Vec<(u64, u64)>,
    /// Those that a metric of one's own counts, and of how many requests, in the same way: a pair for each of
    /// [`Judge::marked`](super::Judge::marked).
    pub marked: Vec<(u64, u64)>,
    /// Requests without the mark, and all requests, of each metric in [`Judge::unmarked`](super::Judge::unmarked).
    /// The guard ignores later requests of a user who had a request without the mark.
    pub unmarked: Vec<(u64, u64)>,
}

/// What was counted since the look before.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::guard::{Counts, Look};
///
/// let mut look = Look::new(Duration::from_secs(60));
/// look.treatment = Counts { requests: 100, errors: 3, slow: vec![(5, 100)], ..Counts::default() };
/// look.control = Counts { requests: 900, errors: 9, slow: vec![(40, 900)], ..Counts::default() };
/// assert_eq!(look.listed, Counts::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// When, by a clock that only runs on.
    pub at: Duration,
    /// Users who have the flag by their bucket.
    pub treatment: Counts,
    /// Users who do not have it by their bucket.
    pub control: Counts,
    /// Users who have it by a list, or without a bucket having a say: not comparable with control.
    pub listed: Counts,
    /// Users who came for the first time in this stage: with the flag by their bucket, and without.
    pub users: (u64, u64),
    /// Other metrics by their names: what was read of them, and of control where that is known.
    pub values: BTreeMap<Box<str>, (Quantity, Option<Quantity>)>,
}

impl Look {
    /// Nothing, up to now.
    #[must_use]
    pub fn new(at: Duration) -> Look {
        Look { at, ..Look::default() }
    }
}

/// So many standard deviations above the mean are 1% of a normal distribution.
const Z: f64 = 2.326_347_874;

/// What is counted of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Errors,
    /// By the place of the limit.
    Slow(usize),
    /// By the place of the metric.
    Marked(usize),
    /// Requests without a mark; the index in `Counts::unmarked`.
    Unmarked(usize),
}

/// Hits and requests of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) hits: u64,
    pub(super) of: u64,
}

impl Share {
    /// Never more hits than requests.
    pub(super) fn new(counts: &Counts, kind: Kind) -> Share {
        let (hits, of) = match kind {
            Kind::Errors => (counts.errors, counts.requests),
            Kind::Slow(index) => {
                counts.slow.get(index).or(counts.slow.last()).copied().unwrap_or_default()
            }
            Kind::Marked(index) => counts.marked.get(index).copied().unwrap_or_default(),
            Kind::Unmarked(index) => counts.unmarked.get(index).copied().unwrap_or_default(),
        };
        Share { hits: hits.min(of), of }
    }

    pub(super) fn add(&mut self, other: Share) {
        self.hits = self.hits.saturating_add(other.hits);
        self.of = self.of.saturating_add(other.of);
    }

    /// As a number; 0 of none.
    pub(super) fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// What the rate is at most, with 99 of 100 certainty.
    pub(super) fn at_most(self) -> f64 {
        self.between(Z).1
    }

    /// What it is at least.
    pub(super) fn at_least(self) -> f64 {
        self.between(Z).0
    }

    /// Between which two the rate is, each so many standard deviations away (Wilson 1927).
    pub(super) fn between(self, z: f64) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, rate) = (self.of as f64, self.rate());
        let middle = rate + z * z / (2.0 * n);
        let half = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + z * z / n;
        (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}% ({} of {})", self.rate() * 100.0, self.hits, self.of)
    }
}
