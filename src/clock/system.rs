//! The clocks of the machine.

use std::fs;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use super::{Boot, Clock, Moment};

/// The clocks of the machine: dates from the one on the wall, durations from the one that runs on
/// (`/proc/uptime` on Linux, which goes on through sleep and from one process to the next).
///
/// Where there is no such file, each process counts for itself.
#[derive(Clone, Debug)]
pub struct SystemClock {
    boot: Boot,
    /// When this was made, and the machine's uptime then.
    started: Instant,
    uptime: Duration,
    /// `/proc/uptime`, kept open: to open it takes longer than all else of a roll-back.
    shared: Option<Arc<fs::File>>,
}

/// A clock that believes the one on the wall: time passes as it says, across restarts and machines.
///
/// For stores that no machine keeps, such as one in a repository that a build server acts on. If
/// that clock is set forward by a day, the rollout counts a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

/// How long the process has been asking for the time, to the nanosecond: for timing requests. It stands
/// still while the machine sleeps.
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
    /// The machine's clocks.
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
                shared: file.map(Arc::new),
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
                    shared: None,
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
        let uptime = self.shared.as_deref().and_then(uptime).unwrap_or_else(running);
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

/// Seconds since the machine started, to the hundredth, sleep included.
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

/// There is no such file.
#[cfg(not(unix))]
fn uptime(_: &fs::File) -> Option<Duration> {
    None
}
