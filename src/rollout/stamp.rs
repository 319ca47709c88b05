//! Moments of a rollout, and the time between them.

use std::time::{Duration, SystemTime};

use super::timeline::{Mark, Timeline};

/// How far the clocks of two machines may differ before a moment that lies ahead means nothing.
pub(crate) const AHEAD: Duration = Duration::from_secs(60);

/// A moment of a rollout: what a machine's clocks said.
///
/// Two stamps of one run of a machine say how much time lies between them. For stamps of different runs, [`Now`] asks
/// every machine that has seen both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// The date and time by the wall clock: for people, calendars and dates.
    pub at: SystemTime,
    /// The time that had certainly passed since the rollout began.
    pub time: Duration,
    /// The run of a machine that `at` and the uptime are of, numbered in order of appearance from 0. A restart begins
    /// another run, and so does an uptime that went backwards.
    pub boots: u32,
    /// The uptime of that run.
    pub(super) uptime: Duration,
    /// The record of that moment; of the present, the one that would be next.
    pub(super) record: u64,
}

/// The present moment, and what the machines of a rollout have seen since earlier ones.
///
/// A single [`Stamp`] is one, too, for use without a journal: it knows its own run alone.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use stagegate::rollout::{Now, Stamp};
///
/// let hour = Duration::from_secs(60 * 60);
/// let morning = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
/// let noon = Stamp::new(SystemTime::UNIX_EPOCH + 5 * hour, 4 * hour, 0);
/// assert_eq!(Now::from(noon).spent_since(&morning), 4 * hour);
/// // The wall clock says five hours: what has to be fresh may be as old as that.
/// assert_eq!(Now::from(noon).age_of(&morning), Some(5 * hour));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Now<'t> {
    pub(super) stamp: Stamp,
    pub(super) timeline: Option<&'t Timeline>,
    /// The process's own looks at the journal in this run.
    pub(super) looks: &'t [Mark],
}

impl Stamp {
    /// A moment of a run of a machine, that long after the run began.
    #[must_use]
    pub fn new(at: SystemTime, time: Duration, boots: u32) -> Stamp {
        Stamp { at, time, boots, uptime: time, record: 0 }
    }
}

impl Now<'_> {
    /// The moment itself.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The date and time by the wall clock.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.stamp.at
    }

    /// Returns the time that has certainly passed since an earlier moment, for what has to last.
    ///
    /// Each machine vouches for the time between two of its own readings, by its uptime. The result is the most that
    /// machines can vouch for one after the other, and never more than has truly passed. Wall clocks have no say.
    #[must_use]
    pub fn spent_since(&self, earlier: &Stamp) -> Duration {
        self.between(earlier, &self.stamp)
    }

    /// The same moment for a process that knows no more than the journal says.
    pub(super) fn by_journal(self) -> Self {
        Now { looks: &[], ..self }
    }

    /// The time that has certainly passed between two moments of the past.
    pub(super) fn between(&self, earlier: &Stamp, later: &Stamp) -> Duration {
        match self.timeline {
            Some(timeline) => timeline.certain(earlier, later, self.looks),
            None if earlier.boots == later.boots => later.uptime.saturating_sub(earlier.uptime),
            None => Duration::ZERO,
        }
    }

    /// Returns how old something of an earlier moment may be, for what has to be fresh: the wall clock's difference, or
    /// the time that has certainly passed where that is more.
    ///
    /// A moment up to a minute ahead of this machine's wall clock counts as now. `None`: the age cannot be known, as the
    /// moment lies further ahead, and is of another run.
    #[must_use]
    pub fn age_of(&self, earlier: &Stamp) -> Option<Duration> {
        let spent = self.spent_since(earlier);
        match wall_age(self.stamp.at, earlier.at) {
            Some(age) => Some(age.max(spent)),
            // The machine's own wall clock was set back, and its uptime tells.
            None if self.stamp.boots == earlier.boots => Some(spent),
            None => None,
        }
    }
}

impl From<Stamp> for Now<'static> {
    fn from(stamp: Stamp) -> Now<'static> {
        Now { stamp, timeline: None, looks: &[] }
    }
}

/// How long ago something was by wall clocks; nothing where they differ by a little; `None` where it lies further ahead.
pub(crate) fn wall_age(now: SystemTime, then: SystemTime) -> Option<Duration> {
    match now.duration_since(then) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= AHEAD).then_some(Duration::ZERO),
    }
}
