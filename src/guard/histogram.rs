//! How long requests take, to an eighth.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts of latencies, each in one of eight classes between a power of two nanoseconds and the next: 2 KiB.
#[derive(Debug)]
pub(super) struct Histogram(Box<[AtomicU32]>);

const CLASSES: u64 = 8;

impl Histogram {
    pub(super) const BYTES: usize = 64 * 8 * size_of::<AtomicU32>();

    pub(super) fn new() -> Histogram {
        Histogram((0..64 * CLASSES).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn add(&self, nanos: u64) {
        let power = u64::from(nanos.max(CLASSES).ilog2());
        let class = (nanos.max(CLASSES) >> (power - 3)) - CLASSES;
        let place = usize::try_from(power * CLASSES + class).unwrap_or(usize::MAX);
        if let Some(count) = self.0.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(count.load(Ordering::Relaxed))).sum()
    }

    /// What that share of them does not exceed, rounded up to the class's end; none of none.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        let all = self.count();
        let mut below = 0;
        let place = self.0.iter().position(|count| {
            below += u64::from(count.load(Ordering::Relaxed));
            below > 0 && below as f64 >= share * all as f64
        })? as u64;
        let (power, class) = (place / CLASSES, place % CLASSES);
        // Powers below the third have no classes: nothing is that fast.
        let width = 1_u64.checked_shl(u32::try_from(power.checked_sub(3)?).ok()?)?;
        Some(Duration::from_nanos(
            (CLASSES + class).saturating_mul(width).saturating_add(width - 1),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_an_eighth() {
        let histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.95), None);
        for millis in 1..=1_000 {
            histogram.add(millis * 1_000_000);
        }
        assert_eq!(histogram.count(), 1_000);
        for (share, millis) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1_000)] {
            let found = histogram.quantile(share).expect("there are some");
            let exact = Duration::from_millis(millis);
            assert!(found >= exact && found <= exact + exact / 8, "{share}: {found:?}");
        }
        histogram.add(0);
        histogram.add(u64::MAX);
        assert_eq!(histogram.quantile(1.0), Some(Duration::from_nanos(u64::MAX)));
    }
}
