//! When a source is asked again.

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// What a source may ask to be left alone for, as a multiple of its interval.
const MAX_RETRY_AFTER_INTERVALS: u32 = 20;

/// The times between fetches.
///
/// After a failure any time up to a bound ("full jitter") that begins with half the interval and doubles up to two
/// intervals. So a server that is in trouble is asked no more often than one that is well, on the average, and never by
/// everybody at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// In a row.
    failures: u32,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Pace {
        Pace { interval, failures: 0 }
    }

    /// From half to one and a half of the interval.
    pub(super) fn after_success(&mut self, random: u64) -> Duration {
        self.failures = 0;
        self.interval / 2 + fraction(self.interval, random)
    }

    pub(super) fn after_failure(&mut self, retry_after: Option<Duration>, random: u64) -> Duration {
        let most = self.interval.saturating_mul(2);
        let factor = 2_u32.saturating_pow(self.failures);
        let bound = (self.interval / 2).saturating_mul(factor).min(most);
        self.failures = self.failures.saturating_add(1);
        let asked = retry_after.unwrap_or_default();
        asked.min(self.interval.saturating_mul(MAX_RETRY_AFTER_INTERVALS)) + fraction(bound, random)
    }
}

/// Another number each time.
pub(super) fn random() -> u64 {
    // Each `RandomState` has keys of its own.
    RandomState::new().hash_one(())
}

/// That part of a time which a number is of all numbers.
fn fraction(time: Duration, random: u64) -> Duration {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let nanos = (u128::from(time) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
