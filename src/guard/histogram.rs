//! A histogram of latencies, accurate to a sixteenth.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::counts::Z_95;

/// A concurrent histogram of latencies.
///
/// Its bins cover 16 µs to about two minutes, with sixteen equal bins between a power of two nanoseconds and the
/// next. Shorter and longer latencies are in the first and the last bin. Takes 1.4 KiB.
#[derive(Debug)]
pub(super) struct Histogram(Box<[AtomicU32]>);

/// The counts of all bins at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BinCounts(Vec<u32>);

/// Bins between a power of two and the next.
const BINS_PER_POWER: usize = 1 << BIN_BITS;
const BIN_BITS: u32 = 4;

/// The range of the bins: from `2^MIN_POWER` to below `2^MAX_POWER` nanoseconds.
const MIN_POWER: u32 = 14;
const MAX_POWER: u32 = 37;

const BINS: usize = (MAX_POWER - MIN_POWER) as usize * BINS_PER_POWER;

impl Histogram {
    pub(super) const BYTES: usize = BINS * size_of::<AtomicU32>();

    pub(super) fn new() -> Histogram {
        Histogram((0..BINS).map(|_| AtomicU32::new(0)).collect())
    }

    /// Returns a histogram that counts nothing.
    pub(super) fn disabled() -> Histogram {
        Histogram(Box::default())
    }

    #[inline]
    pub(super) fn add(&self, nanos: u64) {
        let nanos = nanos.clamp(1 << MIN_POWER, (1 << MAX_POWER) - 1);
        let power = nanos.ilog2();
        // The four bits after the leading one.
        let bin = usize::try_from(nanos >> (power - BIN_BITS)).unwrap_or(0) % BINS_PER_POWER;
        let index = (power - MIN_POWER) as usize * BINS_PER_POWER + bin;
        if let Some(count) = self.0.get(index) {
            // Relaxed: each count stands alone.
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn add_to(&self, bins: &mut BinCounts) {
        bins.0.resize(self.0.len().max(bins.0.len()), 0);
        for (sum, count) in bins.0.iter_mut().zip(&self.0) {
            *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
        }
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

impl BinCounts {
    pub(super) fn add(&mut self, other: &BinCounts) {
        self.0.resize(other.0.len().max(self.0.len()), 0);
        self.0.iter_mut().zip(&other.0).for_each(|(sum, count)| *sum = sum.wrapping_add(*count));
    }

    /// Returns the counts since an earlier moment.
    pub(super) fn since(&self, before: &BinCounts) -> BinCounts {
        let before = before.0.iter().chain(std::iter::repeat(&0));
        BinCounts(self.0.iter().zip(before).map(|(now, then)| now.wrapping_sub(*then)).collect())
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Returns the latency that this share of requests does not exceed, rounded up to the end of its bin. `None`
    /// without requests.
    pub(super) fn quantile(&self, share: f64) -> Option<Duration> {
        self.at_rank(share * self.count() as f64)
    }

    /// Returns the 95% confidence interval of a quantile, with the quantile in the middle.
    ///
    /// The bounds are the order statistics whose ranks are 1.96 standard deviations of a binomial count away
    /// (Conover 1999).
    pub(super) fn quantile_interval(&self, share: f64) -> Option<[Duration; 3]> {
        let count = self.count() as f64;
        let deviation = (count * share * (1.0 - share)).sqrt();
        let rank = |off: f64| self.at_rank((count * share + off * deviation).clamp(1.0, count));
        Some([rank(-Z_95)?, rank(0.0)?, rank(Z_95)?])
    }

    /// Returns the upper end of the bin that holds this rank.
    fn at_rank(&self, rank: f64) -> Option<Duration> {
        let mut below = 0;
        let index = self.0.iter().position(|count| {
            below += u64::from(*count);
            below > 0 && below as f64 >= rank
        })?;
        let power = MIN_POWER + u32::try_from(index / BINS_PER_POWER).ok()?;
        let (bin, width) =
            ((BINS_PER_POWER + index % BINS_PER_POWER) as u64, 1 << (power - BIN_BITS));
        Some(Duration::from_nanos(bin * width + width - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(histogram: &Histogram) -> BinCounts {
        let mut bins = BinCounts::default();
        histogram.add_to(&mut bins);
        bins
    }

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let histogram = Histogram::new();
        assert_eq!(bins(&histogram).quantile(0.95), None);
        for millis in 1..=1_000 {
            histogram.add(millis * 1_000_000);
        }
        let counted = bins(&histogram);
        assert_eq!(counted.count(), 1_000);
        for (share, millis) in [(0.0, 1), (0.5, 500), (0.95, 950), (1.0, 1_000)] {
            let found = counted.quantile(share).expect("there are some");
            let exact = Duration::from_millis(millis);
            assert!(found >= exact && found <= exact + exact / 16, "{share}: {found:?}");
        }
        let [low, middle, high] = counted.quantile_interval(0.95).expect("there are some");
        assert_eq!(middle, counted.quantile(0.95).expect("there are some"));
        let millis = |millis| Duration::from_millis(millis);
        assert!((millis(936)..millis(1_000)).contains(&low), "{low:?}");
        assert!((millis(963)..millis(1_030)).contains(&high), "{high:?}");
    }

    #[test]
    fn latencies_out_of_range_are_in_the_first_and_the_last_bin() {
        let histogram = Histogram::new();
        for nanos in [0, 1, 1 << MIN_POWER, (1 << MAX_POWER) - 1, 1 << MAX_POWER, u64::MAX] {
            histogram.add(nanos);
        }
        let counted = bins(&histogram);
        assert_eq!((counted.0[0], counted.0[BINS - 1], counted.count()), (3, 3, 6));
        assert_eq!(counted.quantile(1.0), Some(Duration::from_nanos((1 << MAX_POWER) - 1)));
    }

    #[test]
    fn counts_since_a_moment_are_those_added_later() {
        let histogram = Histogram::new();
        (0..100).for_each(|_| histogram.add(5_000_000));
        let before = bins(&histogram);
        (0..50).for_each(|_| histogram.add(80_000_000));
        let mut since = bins(&histogram).since(&before);
        assert_eq!(since.count(), 50);
        since.add(&before);
        assert_eq!(since, bins(&histogram));
        assert_eq!(since.since(&BinCounts::default()), since);
        histogram.clear();
        assert_eq!(bins(&histogram).count(), 0);
    }
}
