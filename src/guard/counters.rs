//! Counts of one flag in one stage, by any number of threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Outcome;
use super::counts::{Counts, Look};
use super::histogram::Histogram;
use super::trigger::Latency;
use super::users::Users;
use crate::eval::{Placement, Position};

/// What is counted since a stage began.
///
/// Threads write to one of [`SHARDS`] each, and whoever looks adds them up and takes away what was there
/// at the look before. All orderings are relaxed: each number is right by itself, and a request that is
/// being counted during a look may have its parts in two of them.
#[derive(Debug)]
pub(super) struct Counters {
    /// The position that is counted; requests of any other are of a stage that is over, or not seen to have
    /// begun.
    position: AtomicU32,
    shards: Box<[Shard]>,
    /// Who has had an error in this stage.
    erred: Users,
    /// Who has been here at all.
    seen: Users,
    /// Who was slow, by each limit.
    slow: Box<[SlowUsers]>,
    /// How long requests without the flag take, as long as a limit is to be had of them.
    control: Histogram,
}

/// Who was slower than a limit.
#[derive(Debug)]
struct SlowUsers {
    /// 0: there is none yet.
    nanos: AtomicU64,
    /// The share of requests without the flag that is no slower, where the limit is to be had of them.
    share: Option<f64>,
    users: Users,
}

/// Numbers that one of several threads writes: more than two lines of a cache apart from others.
#[derive(Debug)]
struct Shard(Box<[AtomicU64]>);

/// Enough for the threads of a large machine to meet seldom.
const SHARDS: usize = 8;

/// Words of a shard that make up two lines of a cache of 64 bytes.
const LINES: usize = 16;

const ARMS: usize = 3;

/// In which arm a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Treatment,
    Control,
    Listed,
}

/// Requests without the flag that have to be timed before one of them says what is slow.
const TIMED: u64 = 1_000;

/// Nothing is counted.
const NO_POSITION: u32 = u32::MAX;

impl Counters {
    pub(super) fn new(latencies: &[Latency]) -> Counters {
        let limit = |limit: &Latency| {
            let (nanos, share) = match limit {
                Latency::Limit(limit) => (nanos(*limit), None),
                Latency::OfControl(share) => (0, Some(*share)),
            };
            SlowUsers { nanos: AtomicU64::new(nanos), share, users: Users::new() }
        };
        let slow: Box<[SlowUsers]> = latencies.iter().map(limit).collect();
        let words = (ARMS * arm_words(slow.len()) + 2).next_multiple_of(LINES);
        let shard = || Shard((0..words).map(|_| AtomicU64::new(0)).collect());
        Counters {
            position: AtomicU32::new(NO_POSITION),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            erred: Users::new(),
            seen: Users::new(),
            slow,
            control: Histogram::new(),
        }
    }

    /// The bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let words = self.shards.iter().map(|shard| shard.0.len()).sum::<usize>();
        let users = (2 + self.slow.len()) * Users::BYTES;
        size_of::<Counters>() + 8 * words + users + Histogram::BYTES
    }

    /// Counts what became of a request.
    #[inline]
    pub(super) fn record(&self, placed: Placement, outcome: Outcome) {
        if self.position.load(Ordering::Relaxed) != u32::from(placed.position) {
            return;
        }
        let arm = match (placed.by_bucket, placed.enabled) {
            (true, true) => Arm::Treatment,
            (true, false) => Arm::Control,
            (false, true) => Arm::Listed,
            // Held back, or off: of no arm.
            (false, false) => return,
        };
        let Some(shard) = self.shards.get(shard()) else { return };
        let bucket = placed.bucket;
        if arm != Arm::Listed && self.seen.insert(bucket) {
            shard.add(self.users_of(arm));
        }
        let first = arm as usize * arm_words(self.slow.len());
        // Of two errors of one user at once, the one that puts them in counts.
        let counts =
            if outcome.failed { self.erred.insert(bucket) } else { !self.erred.has(bucket) };
        if counts {
            shard.add(first);
            if outcome.failed {
                shard.add(first + 1);
            }
        }
        let Some(took) = outcome.latency.map(nanos) else { return };
        for (index, slow) in self.slow.iter().enumerate() {
            let limit = slow.nanos.load(Ordering::Relaxed);
            if limit == 0 {
                if arm == Arm::Control {
                    self.control.add(took);
                }
                continue;
            }
            let is_slow = took > limit;
            let counts = if is_slow { slow.users.insert(bucket) } else { !slow.users.has(bucket) };
            if counts {
                shard.add(first + 2 + 2 * index);
                if is_slow {
                    shard.add(first + 3 + 2 * index);
                }
            }
        }
    }

    /// Begins to count a stage.
    ///
    /// Threads that are counting meanwhile may put a request of the stage before in the new one, one each.
    pub(super) fn begin(&self, position: Position) {
        self.position.store(NO_POSITION, Ordering::Relaxed);
        for shard in &self.shards {
            shard.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        self.erred.clear();
        self.seen.clear();
        self.slow.iter().for_each(|slow| slow.users.clear());
        self.position.store(position.into(), Ordering::Relaxed);
    }

    /// Has the limits that are to be had of control, once enough of its requests were timed. They stay.
    pub(super) fn freeze(&self) {
        let open = |slow: &&SlowUsers| slow.nanos.load(Ordering::Relaxed) == 0;
        // Several limits count the same requests.
        let open: Vec<&SlowUsers> = self.slow.iter().filter(open).collect();
        let enough = TIMED.saturating_mul(open.len() as u64);
        if open.is_empty() || self.control.count() < enough {
            return;
        }
        for slow in open {
            let limit = slow.share.and_then(|share| self.control.quantile(share));
            slow.nanos.store(limit.map_or(0, nanos), Ordering::Relaxed);
        }
    }

    /// All that was counted in this stage.
    pub(super) fn total(&self) -> Total {
        let words = self.shards.first().map_or(0, |shard| shard.0.len());
        let sum = |index: usize| {
            let of =
                |shard: &Shard| shard.0.get(index).map_or(0, |word| word.load(Ordering::Relaxed));
            self.shards.iter().map(of).fold(0, u64::wrapping_add)
        };
        Total((0..words).map(sum).collect())
    }

    /// What was counted between two totals.
    pub(super) fn look(&self, at: Duration, before: &Total, now: &Total) -> Look {
        let count = |index: usize| {
            let of = |total: &Total| total.0.get(index).copied().unwrap_or(0);
            of(now).saturating_sub(of(before))
        };
        let arm = |arm: Arm| {
            let first = arm as usize * arm_words(self.slow.len());
            let slow = (0..self.slow.len()).map(|index| first + 2 + 2 * index);
            Counts {
                requests: count(first),
                errors: count(first + 1),
                slow: slow.map(|place| (count(place + 1), count(place))).collect(),
            }
        };
        let mut look = Look::new(at);
        look.treatment = arm(Arm::Treatment);
        look.control = arm(Arm::Control);
        look.listed = arm(Arm::Listed);
        look.users = (count(self.users_of(Arm::Treatment)), count(self.users_of(Arm::Control)));
        look
    }

    fn users_of(&self, arm: Arm) -> usize {
        ARMS * arm_words(self.slow.len()) + usize::from(arm == Arm::Control)
    }
}

/// What was counted at some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Total(Vec<u64>);

impl Shard {
    fn add(&self, index: usize) {
        if let Some(word) = self.0.get(index) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Requests, errors, and for each limit the requests of those who were never slow and the slow ones.
fn arm_words(latencies: usize) -> usize {
    2 + 2 * latencies
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The shard of this thread: threads take turns.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SHARD
        .try_with(|shard| {
            if shard.get() == usize::MAX {
                shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
            }
            shard.get()
        })
        // A thread that is ending.
        .unwrap_or(0)
}
