//! The counts between two looks, and rates with their confidence bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::plan::model::Quantity;

/// Counts of request outcomes in one arm.
///
/// Leave out all requests of a user after the user's first error in the stage, errors included. Otherwise the judge
/// raises false alarms; `docs/guards.md` says why. The same holds for each pair below: leave out a user's requests
/// after the first slow, marked or unmarked one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number of requests.
    pub requests: u64,
    /// The number of requests that failed.
    pub errors: u64,
    /// Slow requests and all requests, for each limit in [`Judge::latencies`](super::Judge::latencies). The last pair
    /// also stands for limits beyond the end of this list.
    pub slow: Vec<(u64, u64)>,
    /// Marked requests and all requests, for each metric in [`Judge::marked`](super::Judge::marked).
    pub marked: Vec<(u64, u64)>,
    /// Requests without the mark and all requests, for each metric in [`Judge::unmarked`](super::Judge::unmarked).
    pub unmarked: Vec<(u64, u64)>,
}

/// The counts and readings since the last look.
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
    /// Time of the look, by a monotonic clock.
    pub at: Duration,
    /// Requests of users who have the flag because of their bucket.
    pub treatment: Counts,
    /// Requests of users who lack the flag because of their bucket.
    pub control: Counts,
    /// Requests of users who have the flag for another reason, such as a list. They cannot be compared with control.
    pub listed: Counts,
    /// Users with their first request in this stage: in treatment and in control.
    pub users: (u64, u64),
    /// Readings of other metrics by name: the value, and control's value if it is known.
    pub readings: BTreeMap<Box<str>, (Quantity, Option<Quantity>)>,
}

impl Look {
    /// Returns a look at this time, with no counts and no readings.
    #[must_use]
    pub fn new(at: Duration) -> Look {
        Look { at, ..Look::default() }
    }
}

/// Standard deviations of a normal distribution: 1% lies above.
const Z_99_ONE_SIDED: f64 = 2.326_347_874;

/// Standard deviations of a normal distribution: 95% lies within, on both sides of the mean.
pub(super) const Z_95: f64 = 1.96;

/// The share of requests that a trigger tests. The number is the index in the list of [`Counts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShareKind {
    Errors,
    Slow(usize),
    Marked(usize),
    Unmarked(usize),
}

/// Hits (errors, slow, marked or unmarked requests) among `of` requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) hits: u64,
    pub(super) of: u64,
}

impl Share {
    /// Returns the share of this kind. Hits are capped at the number of requests.
    pub(super) fn new(counts: &Counts, kind: ShareKind) -> Share {
        let (hits, of) = match kind {
            ShareKind::Errors => (counts.errors, counts.requests),
            ShareKind::Slow(index) => {
                counts.slow.get(index).or(counts.slow.last()).copied().unwrap_or_default()
            }
            ShareKind::Marked(index) => counts.marked.get(index).copied().unwrap_or_default(),
            ShareKind::Unmarked(index) => counts.unmarked.get(index).copied().unwrap_or_default(),
        };
        Share { hits: hits.min(of), of }
    }

    pub(super) fn add(&mut self, other: Share) {
        self.hits = self.hits.saturating_add(other.hits);
        self.of = self.of.saturating_add(other.of);
    }

    /// Returns hits divided by requests, or 0 without requests.
    pub(super) fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }

    /// Returns the upper bound of the rate with 99% certainty.
    pub(super) fn at_most(self) -> f64 {
        self.interval(Z_99_ONE_SIDED).1
    }

    /// Returns the lower bound of the rate with 99% certainty.
    pub(super) fn at_least(self) -> f64 {
        self.interval(Z_99_ONE_SIDED).0
    }

    /// Returns the confidence interval of the rate for `z` standard deviations (Wilson 1927).
    pub(super) fn interval(self, z: f64) -> (f64, f64) {
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

/// Shares of the same kind in both arms. Control is empty if the trigger does not compare with control.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ArmShares {
    pub(super) treatment: Share,
    pub(super) control: Share,
}

impl ArmShares {
    pub(super) fn add(&mut self, other: ArmShares) {
        self.treatment.add(other.treatment);
        self.control.add(other.control);
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}% ({} of {})", self.rate() * 100.0, self.hits, self.of)
    }
}
