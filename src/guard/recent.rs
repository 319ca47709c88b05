//! The counts of the last hour, from snapshots of all counts of the stage.

use std::collections::VecDeque;
use std::time::Duration;

use super::counters::Total;
use super::histogram::BinCounts;

/// The counts of a stage up to one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct CountSnapshot {
    pub(super) total: Total,
    /// Latencies of requests with the flag.
    pub(super) with: BinCounts,
    /// Latencies of requests without the flag.
    pub(super) without: BinCounts,
}

/// Snapshots of the last hour, and an older one. The recent counts are the counts since the older one. They cover an
/// hour, or longer if an hour has too few requests.
#[derive(Debug)]
pub(super) struct RecentCounts {
    /// The beginning of the recent counts.
    oldest: CountSnapshot,
    /// The snapshots after `oldest`, with their times.
    later: VecDeque<(Duration, CountSnapshot)>,
    /// Time of the last snapshot.
    newest: Duration,
}

/// The time that recent counts cover: long enough for steady figures, short enough to show a change.
const RECENT_SPAN: Duration = Duration::from_secs(60 * 60);

/// Least time between two snapshots.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Most snapshots in addition to `oldest`, also if requests are rare.
pub(super) const MAX_SNAPSHOTS: usize = 7;

impl RecentCounts {
    /// Begins at a moment at which nothing was counted.
    pub(super) fn new(at: Duration) -> RecentCounts {
        RecentCounts { oldest: CountSnapshot::default(), later: VecDeque::new(), newest: at }
    }

    /// Moves on to `at`, and returns the snapshot at which the recent counts begin. `is_enough` says whether enough
    /// requests came after a snapshot.
    pub(super) fn advance(
        &mut self,
        at: Duration,
        now: &CountSnapshot,
        is_enough: impl Fn(&CountSnapshot) -> bool,
    ) -> &CountSnapshot {
        if at.saturating_sub(self.newest) >= SNAPSHOT_INTERVAL {
            self.later.push_back((at, now.clone()));
            self.newest = at;
        }
        let is_old = |(taken, snapshot): &(Duration, CountSnapshot)| {
            at.saturating_sub(*taken) >= RECENT_SPAN && is_enough(snapshot)
        };
        while self.later.front().is_some_and(is_old) {
            self.oldest = self.later.pop_front().map(|(_, snapshot)| snapshot).unwrap_or_default();
        }
        if self.later.len() > MAX_SNAPSHOTS {
            // `oldest` is still in use. Of the later ones, the first is the least useful.
            self.later.pop_front();
        }
        &self.oldest
    }
}
