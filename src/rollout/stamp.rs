//! Moments of a rollout, and the elapsed time between them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_derive::{Deserialize, Serialize};

use super::uptime_history::{UptimeHistory, UptimeReading};

/// Maximum difference between the wall clocks of two machines. A moment up to this far ahead counts as now. The age of
/// a moment further ahead is unknown.
pub(crate) const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A moment of a rollout, as read from a machine's wall clock and uptime.
///
/// Two stamps of one run of a machine determine the elapsed time between them. For stamps of different runs, [`Now`]
/// uses the readings of every machine in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SavedStamp", into = "SavedStamp")]
#[non_exhaustive]
pub struct Stamp {
    /// The date and time by the wall clock: for people, calendars and dates.
    pub at: SystemTime,
    /// The time that had certainly passed since the rollout began.
    pub time: Duration,
    /// The run of the machine that read the clocks, numbered in order of appearance from 0. A restart begins another
    /// run. So does an uptime that goes backwards.
    pub run: u32,
    /// The uptime in that run.
    pub(super) uptime: Duration,
    /// The number of the record written at that moment. For the present, the number of the next record.
    pub(super) record: u64,
}

/// The present moment, with the clock readings needed to measure the time since earlier moments.
///
/// To use it without a journal, convert a single [`Stamp`]. Such a `Now` can measure only the time since moments of the
/// same run.
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
/// assert_eq!(Now::from(noon).elapsed_since(&morning), 4 * hour);
/// // The wall clock says five hours, so a reading may be that old.
/// assert_eq!(Now::from(noon).age_of(&morning), Some(5 * hour));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Now<'t> {
    pub(super) stamp: Stamp,
    pub(super) uptimes: Option<&'t UptimeHistory>,
    /// The moments at which this process read the journal, in this run of the machine.
    pub(super) reads: &'t [UptimeReading],
}

/// A stamp in a record, with its times in milliseconds: `at` since 1970, `time`, `run`, `uptime`, `record`.
#[derive(Serialize, Deserialize)]
struct SavedStamp(i64, u64, u32, u64, u64);

impl From<Stamp> for SavedStamp {
    fn from(stamp: Stamp) -> SavedStamp {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let at = Timestamp::try_from(stamp.at).unwrap_or(Timestamp::MAX).as_millisecond();
        SavedStamp(at, millis(stamp.time), stamp.run, millis(stamp.uptime), stamp.record)
    }
}

impl From<SavedStamp> for Stamp {
    fn from(SavedStamp(at, time, run, uptime, record): SavedStamp) -> Stamp {
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX).into();
        let (time, uptime) = (Duration::from_millis(time), Duration::from_millis(uptime));
        Stamp { at, time, run, uptime, record }
    }
}

impl Stamp {
    /// Creates a moment of a machine's run. `time` is the time since the run began.
    #[must_use]
    pub fn new(at: SystemTime, time: Duration, run: u32) -> Stamp {
        Stamp { at, time, run, uptime: time, record: 0 }
    }
}

impl Now<'_> {
    /// Returns the moment without the readings.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Returns the date and time by the wall clock.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.stamp.at
    }

    /// Returns the time that has certainly passed since an earlier moment. Use it for minimum durations.
    ///
    /// Each machine vouches for the time between two of its own readings, by its uptime. The result is the most that
    /// machines can vouch for, one after the other. It is never more than the true time. Wall clocks are ignored.
    #[must_use]
    pub fn elapsed_since(&self, earlier: &Stamp) -> Duration {
        self.between(earlier, &self.stamp)
    }

    /// Returns the same moment without this process's own reads, so that every process computes the same durations.
    pub(super) fn by_journal(self) -> Self {
        Now { reads: &[], ..self }
    }

    /// Returns the time that has certainly passed between two earlier moments.
    pub(super) fn between(&self, earlier: &Stamp, later: &Stamp) -> Duration {
        match self.uptimes {
            Some(uptimes) => uptimes.certain_time(earlier, later, self.reads),
            None if earlier.run == later.run => later.uptime.saturating_sub(earlier.uptime),
            None => Duration::ZERO,
        }
    }

    /// Returns the age of an earlier moment: the wall clock's difference or the time that has certainly passed,
    /// whichever is more. Use it to decide whether data is fresh.
    ///
    /// A moment up to one minute ahead of this machine's wall clock counts as now. `None` means that the age is
    /// unknown, because the moment is further ahead and of another run.
    #[must_use]
    pub fn age_of(&self, earlier: &Stamp) -> Option<Duration> {
        let spent = self.elapsed_since(earlier);
        match wall_age(self.stamp.at, earlier.at) {
            Some(age) => Some(age.max(spent)),
            // The machine's own wall clock was set back, so use its uptime.
            None if self.stamp.run == earlier.run => Some(spent),
            None => None,
        }
    }
}

impl From<Stamp> for Now<'static> {
    fn from(stamp: Stamp) -> Now<'static> {
        Now { stamp, uptimes: None, reads: &[] }
    }
}

/// Returns the time between two readings of wall clocks. It is zero if `then` is ahead by up to [`MAX_CLOCK_SKEW`], and
/// `None` if `then` is further ahead.
pub(crate) fn wall_age(now: SystemTime, then: SystemTime) -> Option<Duration> {
    match now.duration_since(then) {
        Ok(age) => Some(age),
        Err(ahead) => (ahead.duration() <= MAX_CLOCK_SKEW).then_some(Duration::ZERO),
    }
}
