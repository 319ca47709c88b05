//! The layout of a flag's counters: the shares that are counted in addition to errors.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::BinCounts;
use super::outcome::{Mark, Outcome};
use super::share_limit::LatencyLimit;
use super::user_set::UserSet;

/// What a flag's counters count in addition to requests and errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// Limits above which requests are slow.
    pub(super) latencies: Vec<LatencyLimit>,
    /// Metrics whose marked requests are counted.
    pub(super) marks: Vec<Mark>,
    /// Metrics whose requests without the mark are counted.
    pub(super) unmarked: Vec<Mark>,
    /// Whether latencies are counted in a histogram.
    pub(super) timed: bool,
}

/// A share of requests: the rule for a hit, and the users who had one.
#[derive(Debug)]
pub(super) struct CountedShare {
    rule: HitRule,
    pub(super) users: UserSet,
}

#[derive(Debug)]
enum HitRule {
    /// Slower than `limit` nanoseconds; 0 while there is no limit. If the limit is learned from control, `quantile`
    /// is the share of control's requests that are within it.
    Slow {
        limit: AtomicU64,
        quantile: Option<f64>,
    },
    Marked(Mark),
    Unmarked(Mark),
}

impl Layout {
    /// Returns one share for each limit, then for each metric in `marks`, then for each metric in `unmarked`.
    pub(super) fn shares(&self) -> Box<[CountedShare]> {
        let slow = self.latencies.iter().map(|limit| match limit {
            LatencyLimit::Fixed(limit) => {
                HitRule::Slow { limit: AtomicU64::new(nanos(*limit)), quantile: None }
            }
            LatencyLimit::OfControl(share) => {
                HitRule::Slow { limit: AtomicU64::new(0), quantile: Some(*share) }
            }
        });
        let marked = self.marks.iter().map(|mark| HitRule::Marked(*mark));
        let unmarked = self.unmarked.iter().map(|mark| HitRule::Unmarked(*mark));
        let rules = slow.chain(marked).chain(unmarked);
        rules.map(|rule| CountedShare { rule, users: UserSet::new() }).collect()
    }
}

impl CountedShare {
    /// Returns whether an outcome is a hit, or `None` if that is unknown: no latency, or no limit yet.
    #[inline]
    pub(super) fn is_hit(&self, outcome: Outcome) -> Option<bool> {
        match &self.rule {
            HitRule::Marked(mark) => Some(outcome.has(*mark)),
            // No outcome can carry this mark, so each would be a hit.
            HitRule::Unmarked(mark) => (*mark != Mark::NONE).then(|| !outcome.has(*mark)),
            HitRule::Slow { limit, .. } => {
                let (took, limit) = (outcome.latency?, limit.load(Ordering::Relaxed));
                (limit > 0).then(|| nanos(took) > limit)
            }
        }
    }

    /// Returns the limit in nanoseconds if it is learned from control; 0 if it is not learned yet.
    pub(super) fn control_limit(&self) -> Option<u64> {
        match &self.rule {
            HitRule::Slow { limit, quantile: Some(_) } => Some(limit.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Sets the limit from control's latencies.
    pub(super) fn learn_limit(&self, control: &BinCounts) {
        if let HitRule::Slow { limit, quantile: Some(share) } = &self.rule {
            limit.store(control.quantile(*share).map_or(0, nanos), Ordering::Relaxed);
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
