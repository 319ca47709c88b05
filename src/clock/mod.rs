//! Injected time: the clocks that a rollout reads.

mod manual;
mod system;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use manual::ManualClock;
pub use system::{SystemClock, WallClock, monotonic};

/// A source of time for a rollout.
///
/// Use [`SystemClock`] in production, [`ManualClock`] in tests and rehearsals. [`WallClock`] is for a store that
/// belongs to no single machine.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Reads the clock.
    fn now(&self) -> Moment;
}

/// A reading of two clocks at once. The wall clock says what day it is, and may be set to any time. The uptime says
/// how much time has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moment {
    /// Time of the wall clock.
    pub wall: SystemTime,
    /// Time since the start of `boot`. It is monotonic within one boot.
    pub uptime: Duration,
    /// The run that `uptime` belongs to.
    pub boot: Boot,
}

/// One run of a machine, from one start to the next. Uptimes of the same boot can be compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Boot(Arc<str>);

impl Moment {
    /// Returns a reading with these values.
    #[must_use]
    pub fn new(wall: SystemTime, uptime: Duration, boot: Boot) -> Moment {
        Moment { wall, uptime, boot }
    }

    /// Returns the time that has certainly passed since an earlier reading. It is never more than has really passed.
    ///
    /// Within one boot, this is the difference of the uptimes, even if the wall clock was set. Between two boots it is
    /// zero: they may belong to different machines, with different wall clocks.
    #[must_use]
    pub fn since(&self, earlier: &Moment) -> Duration {
        if self.boot != earlier.boot {
            return Duration::ZERO;
        }
        self.uptime.saturating_sub(earlier.uptime)
    }
}

impl Boot {
    /// Returns the boot with this name.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>) -> Boot {
        Boot(name.into())
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
