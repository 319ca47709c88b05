//! Random waits between retries, so that many processes do not retry at the same moment.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The waits between retries: after each failure, a random time up to a bound ("full jitter").
///
/// The bound starts at `first`, and doubles with each failure in a row up to `most`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    /// Failures in a row.
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most, failures: 0 }
    }

    /// Returns the bound of the next wait.
    pub(crate) fn bound(&self) -> Duration {
        self.first.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.most)
    }

    /// Counts a failure and returns the wait after it, which is shorter than [`bound`](Backoff::bound) was.
    pub(crate) fn after_failure(&mut self, random: u64) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        fraction(bound, random)
    }

    /// Ends the row of failures: the next bound is the first one.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Returns a new random number with each call.
pub(crate) fn random() -> u64 {
    // Each `RandomState` has its own keys.
    RandomState::new().hash_one(())
}

/// Returns `time * random / 2^64`.
pub(crate) fn fraction(time: Duration, random: u64) -> Duration {
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let nanos = (u128::from(time) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_most_and_start_again() {
        let (first, most) = (Duration::from_secs(10), Duration::from_secs(60));
        let mut backoff = Backoff::new(first, most);
        for _ in 0..2 {
            for seconds in [10, 20, 40, 60, 60] {
                let bound = backoff.bound();
                assert_eq!(bound, Duration::from_secs(seconds));
                let longest = backoff.after_failure(u64::MAX);
                assert!(longest < bound && longest > bound - Duration::from_millis(1));
            }
            assert_eq!(backoff.after_failure(0), Duration::ZERO);
            backoff.reset();
        }
        assert_eq!(Backoff::new(most, first).bound(), first);
        let mut longest = Backoff::new(Duration::MAX, Duration::MAX);
        for _ in 0..100 {
            longest.after_failure(u64::MAX);
        }
        assert_eq!(longest.bound(), Duration::MAX);
    }

    #[test]
    fn waits_are_spread_over_the_whole_bound() {
        let bound = Duration::from_secs(1);
        let wait = |_| Backoff::new(bound, bound).after_failure(random());
        let waits: Vec<Duration> = (0..1_000).map(wait).collect();
        assert!(waits.iter().all(|wait| *wait < bound));
        let early = waits.iter().filter(|wait| **wait < bound / 4).count();
        assert!((150..350).contains(&early), "{early}");
    }
}
