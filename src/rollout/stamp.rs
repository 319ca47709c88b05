//! Moments of a rollout.

use std::time::{Duration, SystemTime};

use crate::clock::Moment;

/// A moment of a rollout, by which time spent and age are judged: each on the safe side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// What the clock on the wall said: for people, calendars and dates.
    pub at: SystemTime,
    /// The time that had certainly passed since the rollout began.
    pub time: Duration,
    /// How many restarts of the machine the rollout had seen.
    pub boots: u32,
}

impl Stamp {
    /// A moment.
    #[must_use]
    pub fn new(at: SystemTime, time: Duration, boots: u32) -> Stamp {
        Stamp { at, time, boots }
    }

    /// The time that has certainly passed since an earlier moment: never more than truly has. For
    /// what has to last.
    #[must_use]
    pub fn spent_since(&self, earlier: &Stamp) -> Duration {
        self.time.saturating_sub(earlier.time)
    }

    /// How old something of an earlier moment may be: never less than it truly is, for what must be
    /// fresh, as long as the clock on the wall is right or runs back. `None`: that cannot be known,
    /// as the machine was restarted and its clock set back.
    #[must_use]
    pub fn age_of(&self, earlier: &Stamp) -> Option<Duration> {
        let spent = self.spent_since(earlier);
        if self.boots == earlier.boots {
            return Some(spent);
        }
        let wall = self.at.duration_since(earlier.at).ok()?;
        Some(wall.max(spent))
    }
}

/// How far the rollout's time has come: the last reading and what had passed by then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// `None` before the first record.
    last: Option<(Moment, Stamp)>,
}

impl Timeline {
    /// The moment of a reading that is no earlier than the last.
    pub(crate) fn stamp(&self, now: &Moment) -> Stamp {
        let Some((last, stamp)) = &self.last else {
            return Stamp::new(now.wall, Duration::ZERO, 0);
        };
        let boots = stamp.boots + u32::from(now.boot != last.boot);
        Stamp::new(now.wall, stamp.time + now.since(last), boots)
    }

    /// Goes on to the reading of a record, by which that much time had passed.
    pub(crate) fn resume(&mut self, at: Moment, time: Duration) -> Stamp {
        let stamp = Stamp { time, ..self.stamp(&at) };
        self.last = Some((at, stamp));
        stamp
    }
}
