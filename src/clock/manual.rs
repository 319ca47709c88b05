//! A clock that tests set by hand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::{Boot, Clock, Moment};

/// A clock that moves only when you move it, for tests and rehearsals.
///
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
/// // Setting the wall clock makes no time pass.
/// clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
/// assert_eq!(clock.now().since(&before), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    wall: SystemTime,
    uptime: Duration,
    boots: u64,
}

impl ManualClock {
    /// Returns a clock whose wall clock shows this time. Its uptime is zero.
    #[must_use]
    pub fn at(wall: SystemTime) -> ManualClock {
        ManualClock(Arc::new(Mutex::new(State { wall, uptime: Duration::ZERO, boots: 0 })))
    }

    /// Lets time pass, on the wall clock and the uptime. Each stops at the largest value that its type can hold.
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
        self.change(|state| {
            state.wall = later(state.wall, time);
            state.uptime = state.uptime.saturating_add(time);
        });
    }

    /// Sets the wall clock, forward or back. The uptime stays the same, so no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.change(|state| state.wall = wall);
    }

    /// Simulates a restart of the machine after it was off for this time.
    pub fn restart(&self, off: Duration) {
        self.change(|state| {
            state.wall = later(state.wall, off);
            state.uptime = Duration::ZERO;
            state.boots = state.boots.wrapping_add(1);
        });
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // No code panics while it holds the lock, so the state is sound even if the lock is poisoned.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Adds `time`, or returns the last moment that a `SystemTime` can hold.
fn later(mut wall: SystemTime, time: Duration) -> SystemTime {
    if let Some(later) = wall.checked_add(time) {
        return later;
    }
    // The standard library has no constant for the last moment. Approach it in steps that halve.
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
        self.change(|state| {
            Moment::new(state.wall, state.uptime, Boot::new(format!("manual-{}", state.boots)))
        })
    }
}
