//! What has come lately, from snapshots of what has come at all.

use std::collections::VecDeque;
use std::time::Duration;

use super::counters::Total;
use super::histogram::Classes;

/// All that was counted in a stage up to some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) total: Total,
    /// How long requests took, with the flag and without.
    pub(super) with: Classes,
    pub(super) without: Classes,
}

/// Snapshots of the last hour and one before, so that what has come since one of them is what the last hour came
/// to, or as much time more as it takes for enough requests.
#[derive(Debug)]
pub(super) struct Recent {
    /// Since which what has come is recent.
    oldest: Snapshot,
    /// When those after it were taken, and what they are.
    later: VecDeque<(Duration, Snapshot)>,
    /// When the last one was taken.
    newest: Duration,
}

/// How much is looked back on: enough for the figures of most services to stand still, and little enough to
/// be news.
const LATELY: Duration = Duration::from_secs(60 * 60);

/// How far apart snapshots are, at least.
const SLOT: Duration = Duration::from_secs(10 * 60);

/// Snapshots beside the oldest at the most, however little comes.
pub(super) const MOST: usize = 7;

impl Recent {
    /// From a moment on at which nothing was counted.
    pub(super) fn new(at: Duration) -> Recent {
        Recent { oldest: Snapshot::default(), later: VecDeque::new(), newest: at }
    }

    /// Goes on to now, and returns the snapshot since which what has come is recent. `is_enough` says of one
    /// whether enough has come since.
    pub(super) fn go_on(
        &mut self,
        at: Duration,
        now: &Snapshot,
        is_enough: impl Fn(&Snapshot) -> bool,
    ) -> &Snapshot {
        if at.saturating_sub(self.newest) >= SLOT {
            self.later.push_back((at, now.clone()));
            self.newest = at;
        }
        let is_old = |(taken, snapshot): &(Duration, Snapshot)| {
            at.saturating_sub(*taken) >= LATELY && is_enough(snapshot)
        };
        while self.later.front().is_some_and(is_old) {
            self.oldest = self.later.pop_front().map(|(_, snapshot)| snapshot).unwrap_or_default();
        }
        if self.later.len() > MOST {
            // The oldest is needed still; of those after it the first says least.
            self.later.pop_front();
        }
        &self.oldest
    }
}
