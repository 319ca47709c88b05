//! The clocks of the machine.

#![expect(clippy::disallowed_methods, reason = "the only file that reads the machine's clocks")]

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::{Boot, Clock, Moment};

/// The machine's clocks: dates come from the wall clock, durations from the machine's uptime.
///
/// On Linux the uptime is `/proc/uptime`, which includes sleep and is the same for all processes. Without that file,
/// the uptime counts from the creation of the clock, and each clock has a [`Boot`] of its own.
#[derive(Clone, Debug)]
pub struct SystemClock {
    boot: Boot,
    /// Time at which this clock was made. With `uptime`, it replaces `/proc/uptime` if that cannot be read.
    started: Instant,
    /// The uptime at `started`.
    uptime: Duration,
    /// `/proc/uptime`, kept open: opening it takes longer than the rest of a rollback.
    uptime_file: Option<Arc<fs::File>>,
}

/// A clock that trusts the wall clock, also across restarts and machines.
///
/// Use it for a store that belongs to no single machine, such as a repository that build servers act on. If the wall
/// clock is set forward by a day, the rollout counts a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

/// Returns the time since the first call in this process, in nanoseconds, to time requests.
///
/// It does not count while the machine sleeps.
///
/// # Example
///
/// ```
/// use stagegate::clock::monotonic;
///
/// let begin = monotonic();
/// assert!(monotonic() >= begin);
/// ```
#[must_use]
pub fn monotonic() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed()
}

impl SystemClock {
    /// Returns the machine's clocks.
    #[must_use]
    pub fn new() -> SystemClock {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        let boot = boot.as_deref().map(str::trim).filter(|boot| !boot.is_empty());
        let file = fs::File::open("/proc/uptime").ok();
        let uptime = file.as_ref().and_then(uptime);
        match (boot, uptime) {
            (Some(boot), Some(uptime)) => SystemClock {
                boot: Boot::new(boot),
                started: Instant::now(),
                uptime,
                uptime_file: file.map(Arc::new),
            },
            _ => {
                let begin = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let name = format!(
                    "process-{}-{}",
                    std::process::id(),
                    begin.unwrap_or_default().as_nanos()
                );
                SystemClock {
                    boot: Boot::new(name),
                    started: Instant::now(),
                    uptime: Duration::ZERO,
                    uptime_file: None,
                }
            }
        }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let running = || self.uptime.saturating_add(self.started.elapsed());
        let uptime = self.uptime_file.as_deref().and_then(uptime).unwrap_or_else(running);
        Moment::new(SystemTime::now(), uptime, self.boot.clone())
    }
}

impl Clock for WallClock {
    fn now(&self) -> Moment {
        let wall = SystemTime::now();
        let uptime = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Moment::new(wall, uptime, Boot::new("wall"))
    }
}

/// Reads the time since the machine started from `/proc/uptime`, in hundredths of a second. Includes sleep.
#[cfg(unix)]
fn uptime(file: &fs::File) -> Option<Duration> {
    use std::os::unix::fs::FileExt;

    let mut bytes = [0; 64];
    let len = file.read_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(bytes.get(..len)?).ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let hundredths = Duration::from_millis(hundredths.parse::<u64>().ok()?.checked_mul(10)?);
    Duration::from_secs(seconds.parse().ok()?).checked_add(hundredths)
}

/// Only Unix systems may have the file.
#[cfg(not(unix))]
fn uptime(_: &fs::File) -> Option<Duration> {
    None
}
