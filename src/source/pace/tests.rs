//! A simulated fleet that polls during an outage.

use super::*;
use crate::background::random;

const INTERVAL: Duration = Duration::from_secs(30);

/// A pseudorandom sequence that is the same in each run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Returns the number of requests in each second, for pollers that start together and a server with one outage.
fn requests(pollers: u64, outage: std::ops::Range<u64>, end: u64, retry_after: bool) -> Vec<u32> {
    let mut seconds = vec![0; usize::try_from(end).expect("some minutes")];
    for poller in 0..pollers {
        let (mut numbers, mut pace) = (Numbers(poller), Pace::new(INTERVAL));
        let mut now = pace.after_success(numbers.next());
        while now.as_secs() < end {
            seconds[usize::try_from(now.as_secs()).expect("some minutes")] += 1;
            let retry_after = retry_after.then_some(Duration::from_secs(20));
            now += match outage.contains(&now.as_secs()) {
                true => pace.after_failure(retry_after, numbers.next()),
                false => pace.after_success(numbers.next()),
            };
        }
    }
    seconds
}

/// Returns the rate of the busiest second divided by the mean rate.
#[expect(clippy::float_arithmetic, reason = "a ratio to be printed")]
fn peak_to_mean(seconds: &[u32]) -> f64 {
    let peak = seconds.iter().max().copied().unwrap_or_default();
    let sum: u32 = seconds.iter().sum();
    let count = u32::try_from(seconds.len()).expect("some minutes");
    f64::from(peak) * f64::from(count) / f64::from(sum)
}

#[test]
fn a_fleet_does_not_storm_a_server_that_was_away_for_a_minute() {
    for retry_after in [false, true] {
        // The first minute is left out: not all have polled yet. The outage is in the middle.
        let all = requests(500, 120..180, 300, retry_after);
        let (whole, during) = (peak_to_mean(&all[60..]), peak_to_mean(&all[120..180]));
        println!(
            "500 pollers, outage of 60 s, Retry-After {retry_after}: peak/mean {whole:.2}, within {during:.2}"
        );
        assert!(whole <= 3.0, "{whole}");
        assert!(during <= 3.0, "{during}");
        let back: u32 = all[180..].iter().sum();
        assert!(back > 500, "they never give up");
    }
}

#[test]
fn waits_grow_to_a_bound_and_shrink_at_once() {
    let mut pace = Pace::new(INTERVAL);
    let bounds: Vec<u64> =
        (0..7).map(|_| pace.after_failure(None, u64::MAX).as_secs() + 1).collect();
    assert_eq!(bounds, [15, 30, 60, 60, 60, 60, 60]);
    assert_eq!(pace.after_failure(None, 0), Duration::ZERO);
    assert_eq!(pace.after_success(0), Duration::from_secs(15));
    assert_eq!(pace.after_success(u64::MAX).as_secs(), 44);
    assert_eq!(pace.after_failure(None, u64::MAX).as_secs(), 14);
    // `Retry-After` has an upper bound.
    let day = Duration::from_secs(86_400);
    assert_eq!(pace.after_failure(Some(day), 0), Duration::from_secs(600));
    assert_eq!(pace.after_failure(Some(Duration::from_secs(7)), 0), Duration::from_secs(7));
    (0..100).for_each(|_| assert!(pace.after_failure(None, random()) < Duration::from_secs(60)));
}
