//! What is counted of requests beside whether they fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::counted::Latency;
use super::histogram::Classes;
use super::outcome::{Mark, Outcome};
use super::users::Users;

/// What is counted beside requests and errors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// From when on requests are slow.
    pub(super) latencies: Vec<Latency>,
    /// Metrics of one's own.
    pub(super) marks: Vec<Mark>,
    /// Metrics of one's own of which the requests without the mark are counted.
    pub(super) unmarked: Vec<Mark>,
    /// Whether it is to be known how long requests take.
    pub(super) timed: bool,
}

/// One thing that a request may be, and which users had one that was.
#[derive(Debug)]
pub(super) struct Shared {
    kind: ShareKind,
    pub(super) users: Users,
}

#[derive(Debug)]
enum ShareKind {
    /// Slower than this many nanoseconds; 0: there is no limit yet. Where it is to be had of requests without the
    /// flag, the share of them that is no slower.
    Slow(AtomicU64, Option<f64>),
    Marked(Mark),
    Unmarked(Mark),
}

impl Layout {
    /// First those who were slow, by each limit, then those who were marked, then those who were not.
    pub(super) fn shares(&self) -> Box<[Shared]> {
        let slow = self.latencies.iter().map(|limit| match limit {
            Latency::Limit(limit) => ShareKind::Slow(AtomicU64::new(nanos(*limit)), None),
            Latency::OfControl(share) => ShareKind::Slow(AtomicU64::new(0), Some(*share)),
        });
        let marked = self.marks.iter().map(|mark| ShareKind::Marked(*mark));
        let unmarked = self.unmarked.iter().map(|mark| ShareKind::Unmarked(*mark));
        let kinds = slow.chain(marked).chain(unmarked);
        kinds.map(|kind| Shared { kind, users: Users::new() }).collect()
    }
}

impl Shared {
    /// Whether an outcome is one; `None` where that is not known.
    #[inline]
    pub(super) fn is_hit(&self, outcome: Outcome) -> Option<bool> {
        match &self.kind {
            ShareKind::Marked(mark) => Some(outcome.has(*mark)),
            // Nothing can be marked with what no metric counts.
            ShareKind::Unmarked(mark) => (*mark != Mark::NONE).then(|| !outcome.has(*mark)),
            ShareKind::Slow(limit, _) => {
                let (took, limit) = (outcome.latency?, limit.load(Ordering::Relaxed));
                (limit > 0).then(|| nanos(took) > limit)
            }
        }
    }

    /// The limit of now, in nanoseconds, where it is to be had of requests without the flag; 0: none yet.
    pub(super) fn control_limit(&self) -> Option<u64> {
        match &self.kind {
            ShareKind::Slow(limit, Some(_)) => Some(limit.load(Ordering::Relaxed)),
            _ => None,
        }
    }

    /// Has that limit of these.
    pub(super) fn freeze(&self, control: &Classes) {
        if let ShareKind::Slow(limit, Some(share)) = &self.kind {
            limit.store(control.quantile(*share).map_or(0, nanos), Ordering::Relaxed);
        }
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
