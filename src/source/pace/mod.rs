//! The times between two fetches.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::background::{Backoff, fraction};

/// The longest `Retry-After` that is honoured, as a multiple of the interval.
const MAX_RETRY_AFTER_INTERVALS: u32 = 20;

/// The times between two fetches.
///
/// After a success, the wait is random, from half to one and a half of the interval. After a failure, it is random up
/// to a bound, which grows from half the interval to two intervals. So the instances of a fleet spread their requests,
/// and on average a failing server gets no more requests than a healthy one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    backoff: Backoff,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Pace {
        Pace { interval, backoff: Backoff::new(interval / 2, interval.saturating_mul(2)) }
    }

    /// Returns the wait after a success.
    pub(super) fn after_success(&mut self, random: u64) -> Duration {
        self.backoff.reset();
        self.interval / 2 + fraction(self.interval, random)
    }

    /// Returns the wait after a failure.
    pub(super) fn after_failure(&mut self, retry_after: Option<Duration>, random: u64) -> Duration {
        let most = self.interval.saturating_mul(MAX_RETRY_AFTER_INTERVALS);
        retry_after.unwrap_or_default().min(most) + self.backoff.after_failure(random)
    }
}
