//! A clock that is set by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Boot, Clock, Moment};

/// A clock that stands still until it is told to go on: for tests, yours too, and for rehearsals.
/// A clone is the same clock.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use stagegate::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(&before), Duration::from_secs(60));
///
/// // Whoever sets the clock on the wall makes no time pass.
/// clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
/// assert_eq!(clock.now().since(&before), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Hands>>);

#[derive(Debug)]
struct Hands {
    wall: SystemTime,
    uptime: Duration,
    boots: u64,
}

impl ManualClock {
    /// A clock at that moment.
    #[must_use]
    pub fn at(wall: SystemTime) -> ManualClock {
        ManualClock(Arc::new(Mutex::new(Hands { wall, uptime: Duration::ZERO, boots: 0 })))
    }

    /// Lets time pass. Both clocks stop at the last moment that the system can tell.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use stagegate::clock::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// clock.advance(Duration::MAX);
    /// assert_eq!(clock.now().uptime, Duration::MAX);
    /// assert_eq!(clock.now().wall.checked_add(Duration::from_nanos(1)), None);
    /// ```
    pub fn advance(&self, time: Duration) {
        self.change(|hands| {
            hands.wall = later(hands.wall, time);
            hands.uptime = hands.uptime.saturating_add(time);
        });
    }

    /// Sets the clock on the wall, forward or back; no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.change(|hands| hands.wall = wall);
    }

    /// Restarts the machine, which was off for that long.
    pub fn restart(&self, off: Duration) {
        self.change(|hands| {
            hands.wall = later(hands.wall, off);
            hands.uptime = Duration::ZERO;
            hands.boots = hands.boots.wrapping_add(1);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        // Nothing panics while the lock is held, so a poisoned one has sound content.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// That much later, or the last moment that the system can tell.
fn later(mut wall: SystemTime, time: Duration) -> SystemTime {
    if let Some(later) = wall.checked_add(time) {
        return later;
    }
    // There is no name for that moment: it is come to by steps, each half of the one before.
    let mut step = time;
    while !step.is_zero() {
        match wall.checked_add(step) {
            Some(later) => wall = later,
            None => step /= 2,
        }
    }
    wall
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.change(|hands| {
            Moment::new(hands.wall, hands.uptime, Boot::new(format!("manual-{}", hands.boots)))
        })
    }
}
