//! Time, injected: what a rollout reads instead of the system's clocks.

mod manual;
mod system;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use manual::ManualClock;
pub use system::{SystemClock, WallClock, monotonic};

/// Where a rollout has its time from.
///
/// [`SystemClock`] in production, [`ManualClock`] in tests and rehearsals.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Moment;
}

/// A reading of both clocks: the one on the wall, which says what day it is and may be set to
/// anything, and the one that only runs on, which says how much time has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// What the clock on the wall says.
    pub wall: SystemTime,
    /// How long the machine, or whatever counts, has been running.
    pub uptime: Duration,
    /// Since when `uptime` counts: two readings of the same boot can be compared.
    pub boot: Boot,
}

/// A run of whatever counts time: of a machine, from one start to the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Boot(Arc<str>);

impl Moment {
    /// A reading.
    #[must_use]
    pub fn new(wall: SystemTime, uptime: Duration, boot: Boot) -> Moment {
        Moment { wall, uptime, boot }
    }

    /// The time that has certainly passed since an earlier reading: never more than truly has.
    ///
    /// Within one boot that is the difference of the uptimes, whatever was done to the wall clock. Two boots alone
    /// vouch for nothing: each may be of another machine, with another wall clock.
    #[must_use]
    pub fn since(&self, earlier: &Moment) -> Duration {
        if self.boot != earlier.boot {
            return Duration::ZERO;
        }
        self.uptime.saturating_sub(earlier.uptime)
    }
}

impl Boot {
    /// The boot of that name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Boot {
        Boot(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
