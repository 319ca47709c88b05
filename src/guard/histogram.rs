//! How long requests take, to a sixteenth.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Counts of latencies, each in one of sixteen classes between a power of two nanoseconds and the next: from
/// 16 µs to about two minutes, with what is outside in the first and the last class. 1.4 KiB.
#[derive(Debug)]
pub(super) struct Histogram(Box<[AtomicU32]>);

/// How many there are of each class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Classes(Vec<u32>);

/// Classes between two powers of two.
const CLASSES: usize = 1 << CLASS_BITS;
const CLASS_BITS: u32 = 4;

/// The powers of two from and below which latencies are told apart.
const FIRST: u32 = 14;
const LAST: u32 = 37;

const ALL: usize = (LAST - FIRST) as usize * CLASSES;

impl Histogram {
    pub(super) const BYTES: usize = ALL * size_of::<AtomicU32>();

    pub(super) fn new() -> Histogram {
        Histogram((0..ALL).map(|_| AtomicU32::new(0)).collect())
    }

    /// One that counts nothing.
    pub(super) fn none() -> Histogram {
        Histogram(Box::default())
    }

    #[inline]
    pub(super) fn add(&self, nanos: u64) {
        let nanos = nanos.clamp(1 << FIRST, (1 << LAST) - 1);
        let power = nanos.ilog2();
        // The four digits behind the first one.
        let class = usize::try_from(nanos >> (power - CLASS_BITS)).unwrap_or(0) % CLASSES;
        let place = (power - FIRST) as usize * CLASSES + class;
        if let Some(count) = self.0.get(place) {
            // Relaxed: a statistic.
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn add_to(&self, classes: &mut Classes) {
        classes.0.resize(self.0.len().max(classes.0.len()), 0);
        for (sum, count) in classes.0.iter_mut().zip(&self.0) {
            *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
        }
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

impl Classes {
    pub(super) fn add(&mut self, other: &Classes) {
        self.0.resize(other.0.len().max(self.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum = sum.wrapping_add(*count));
    }

    /// What has come since.
    pub(super) fn since(&self, before: &Classes) -> Classes {
        let before = before.0.iter().chain(std::iter::repeat(&0));
        Classes(self.0.iter().zip(before).map(|(now, then)| now.wrapping_sub(*then)).collect())
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// What that share of them does not exceed, rounded up to the class's end; none of none.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        self.at_rank(share * self.count() as f64)
    }

    /// The quantile, and between which two it is with a certainty of 95%: by the order statistics whose ranks
    /// are two standard deviations of a binomial count away (Conover 1999).
    pub(super) fn quantile_between(&self, share: f64) -> Option<[Duration; 3]> {
        let count = self.count() as f64;
        let deviation = (count * share * (1.0 - share)).sqrt();
        let rank = |off: f64| self.at_rank((count * share + off * deviation).clamp(1.0, count));
        Some([rank(-1.96)?, rank(0.0)?, rank(1.96)?])
    }

    fn at_rank(&self, rank: f64) -> Option<Duration> {
        let mut below = 0;
        let place = self.0.iter().position(|count| {
            below += u64::from(*count);
            below > 0 && below as f64 >= rank
        })?;
        let power = FIRST + u32::try_from(place / CLASSES).ok()?;
        let (class, width) = ((CLASSES + place % CLASSES) as u64, 1 << (power - CLASS_BITS));
        Some(Duration::from_nanos(class * width + width - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(histogram: &Histogram) -> Classes {
        let mut classes = Classes::default();
        histogram.add_to(&mut classes);
        classes
    }

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let histogram = Histogram::new();
        assert_eq!(classes(&histogram).quantile(0.95), None);
        for millis in 1..=1_000 {
            histogram.add(millis * 1_000_000);
        }
        let counted = classes(&histogram);
        assert_eq!(counted.count(), 1_000);
        for (share, millis) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1_000)] {
            let found = counted.quantile(share).expect("there are some");
            let exact = Duration::from_millis(millis);
            assert!(found >= exact && found <= exact + exact / 16, "{share}: {found:?}");
        }
        let [low, middle, high] = counted.quantile_between(0.95).expect("there are some");
        assert_eq!(middle, counted.quantile(0.95).expect("there are some"));
        let millis = |millis| Duration::from_millis(millis);
        assert!((millis(936)..millis(1_000)).contains(&low), "{low:?}");
        assert!((millis(963)..millis(1_030)).contains(&high), "{high:?}");
    }

    #[test]
    fn what_is_outside_is_in_the_first_and_the_last_class() {
        let histogram = Histogram::new();
        for nanos in [0, 1, 1 << FIRST, (1 << LAST) - 1, 1 << LAST, u64::MAX] {
            histogram.add(nanos);
        }
        let counted = classes(&histogram);
        assert_eq!((counted.0[0], counted.0[ALL - 1], counted.count()), (3, 3, 6));
        assert_eq!(counted.quantile(1.0), Some(Duration::from_nanos((1 << LAST) - 1)));
    }

    #[test]
    fn what_has_come_since_is_what_was_added() {
        let histogram = Histogram::new();
        (0..100).for_each(|_| histogram.add(5_000_000));
        let before = classes(&histogram);
        (0..50).for_each(|_| histogram.add(80_000_000));
        let mut since = classes(&histogram).since(&before);
        assert_eq!(since.count(), 50);
        since.add(&before);
        assert_eq!(since, classes(&histogram));
        assert_eq!(since.since(&Classes::default()), since);
        histogram.clear();
        assert_eq!(classes(&histogram).count(), 0);
    }
}
