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

    /// Time passes.
    pub fn advance(&self, time: Duration) {
        self.change(|hands| {
            hands.wall += time;
            hands.uptime += time;
        });
    }

    /// Sets the clock on the wall, forward or back; no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.change(|hands| hands.wall = wall);
    }

    /// Restarts the machine, which was off for that long.
    pub fn restart(&self, off: Duration) {
        self.change(|hands| {
            hands.wall += off;
            hands.uptime = Duration::ZERO;
            hands.boots += 1;
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut Hands) -> T) -> T {
        // Nothing panics while the lock is held, so a poisoned one has sound content.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.change(|hands| {
            Moment::new(hands.wall, hands.uptime, Boot::new(format!("manual-{}", hands.boots)))
        })
    }
}
