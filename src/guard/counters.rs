//! Counts of one flag in one stage, by any number of threads.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::counts::{Counts, Look};
use super::histogram::{Classes, Histogram};
use super::outcome::{Mark, Outcome};
use super::shares::{Layout, Shared, nanos};
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
    layout: Layout,
    shards: Box<[Shard]>,
    /// Who has had an error in this stage.
    erred: Users,
    /// Who has been here at all.
    seen: Users,
    /// What requests may be beside failing: first slow, by each limit, then marked, then unmarked.
    shares: Box<[Shared]>,
}

/// Numbers that one of several threads writes: more than two lines of a cache apart from others.
#[derive(Debug)]
struct Shard {
    words: Box<[AtomicU64]>,
    /// How long requests take, with the flag and without.
    with: Histogram,
    without: Histogram,
}

/// Enough for the threads of a large machine to meet seldom.
const SHARDS: usize = 8;

/// Words of a shard that make up two lines of a cache of 64 bytes.
const LINES: usize = 16;

const ARMS: usize = 4;

/// In which arm a request is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    Treatment,
    Control,
    Listed,
    /// Held back, or the flag is off: of no arm, and only for what all requests come to.
    Apart,
}

/// The words of an arm: requests and errors of users who had no error before, then of those who had.
const OF_ALL: usize = 4;

/// And for each share: requests of users who had no hit before, hits, and hits of those who had.
const OF_SHARE: usize = 3;

/// Requests without the flag that have to be timed before they say what is slow.
const TIMED: u64 = 1_000;

/// Nothing is counted.
const NO_POSITION: u32 = u32::MAX;

impl Counters {
    pub(super) fn new(layout: Layout) -> Counters {
        let shares = layout.shares();
        let words = (ARMS * arm_words(shares.len()) + 2).next_multiple_of(LINES);
        let histogram = || if layout.timed { Histogram::new() } else { Histogram::none() };
        let shard = || Shard {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            with: histogram(),
            without: histogram(),
        };
        Counters {
            position: AtomicU32::new(NO_POSITION),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            erred: Users::new(),
            seen: Users::new(),
            shares,
            layout,
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let words = self.shards.iter().map(|shard| shard.words.len()).sum::<usize>();
        let users = (2 + self.shares.len()) * Users::BYTES;
        let timed = if self.layout.timed { 2 * SHARDS * Histogram::BYTES } else { 0 };
        size_of::<Counters>() + 8 * words + users + timed
    }

    /// The bytes of all that was counted at some moment.
    pub(super) fn snapshot_bytes(&self) -> usize {
        let words = self.shards.first().map_or(0, |shard| shard.words.len());
        8 * words + if self.layout.timed { 2 * Histogram::BYTES } else { 0 }
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
            (false, false) => Arm::Apart,
        };
        let Some(shard) = self.shards.get(shard()) else { return };
        let bucket = placed.bucket;
        let (is_random, is_apart) = (placed.by_bucket, arm == Arm::Apart);
        if is_random && self.seen.insert(bucket) {
            shard.add(self.users_of(arm));
        }
        let first = arm as usize * arm_words(self.shares.len());
        // Of two errors of one user at once, the one that puts them in counts.
        let counts = !is_apart
            && if outcome.failed { self.erred.insert(bucket) } else { !self.erred.has(bucket) };
        let place = first + if counts { 0 } else { 2 };
        shard.add(place);
        if outcome.failed {
            shard.add(place + 1);
        }
        for (index, share) in self.shares.iter().enumerate() {
            let Some(hit) = share.is_hit(outcome) else { continue };
            let counts = !is_apart
                && if hit { share.users.insert(bucket) } else { !share.users.has(bucket) };
            let place = first + OF_ALL + OF_SHARE * index;
            if counts {
                shard.add(place);
            }
            if hit {
                shard.add(place + if counts { 1 } else { 2 });
            }
        }
        if let Some(took) = outcome.latency.map(nanos) {
            match arm {
                Arm::Treatment | Arm::Listed => shard.with.add(took),
                Arm::Control => shard.without.add(took),
                Arm::Apart if placed.position == 0 => shard.without.add(took),
                // Held back: no random user, so no control either.
                Arm::Apart => {}
            }
        }
    }

    /// Begins to count a stage. What is slow by control is had anew of the stage before, where it had enough, if it `has_control`:
    /// without, what is slow is compared with what was slow by the same limit.
    ///
    /// Threads that are counting meanwhile may put a request of the stage before in the new one, one each.
    pub(super) fn begin(&self, position: Position, has_control: bool) {
        self.position.store(NO_POSITION, Ordering::Relaxed);
        self.freeze(|limit| limit == 0 || has_control);
        for shard in &self.shards {
            shard.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            shard.with.clear();
            shard.without.clear();
        }
        self.erred.clear();
        self.seen.clear();
        self.shares.iter().for_each(|share| share.users.clear());
        self.position.store(position.into(), Ordering::Relaxed);
    }

    /// Has the limits that are to be had of control and are not yet, once enough of its requests were timed; and lets those who
    /// have erred or were slow count again, all of them, where they have become so many that few others are left. They are as
    /// many in both arms. (Of users who were here at all, the first 65,536 say how they are split.)
    pub(super) fn refresh(&self) {
        self.freeze(|limit| limit == 0);
        self.erred.renew();
        self.shares.iter().for_each(|share| share.users.renew());
    }

    fn freeze(&self, is_due: impl Fn(u64) -> bool) {
        let due = |shared: &&Shared| shared.control_limit().is_some_and(&is_due);
        let mut due = self.shares.iter().filter(due).peekable();
        if due.peek().is_none() {
            return;
        }
        let (_, control) = self.latencies();
        if control.count() >= TIMED {
            due.for_each(|shared| shared.freeze(&control));
        }
    }

    /// All that was counted in this stage.
    pub(super) fn total(&self) -> Total {
        let words = self.shards.first().map_or(0, |shard| shard.words.len());
        let sum = |index: usize| {
            let of = |shard: &Shard| {
                shard.words.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
            };
            self.shards.iter().map(of).fold(0, u64::wrapping_add)
        };
        Total((0..words).map(sum).collect())
    }

    /// How long requests took in this stage: with the flag, and without.
    pub(super) fn latencies(&self) -> (Classes, Classes) {
        let mut sums = (Classes::default(), Classes::default());
        for shard in &self.shards {
            shard.with.add_to(&mut sums.0);
            shard.without.add_to(&mut sums.1);
        }
        sums
    }

    /// What was counted between two totals, of users who count.
    pub(super) fn look(&self, at: Duration, before: &Total, now: &Total) -> Look {
        let count = |index: usize| now.since(before, index);
        let slow = self.layout.latencies.len();
        let marked = slow + self.layout.marks.len();
        let arm = |arm: Arm| {
            let first = arm as usize * arm_words(self.shares.len());
            let share = |index: usize| {
                let place = first + OF_ALL + OF_SHARE * index;
                (count(place + 1), count(place))
            };
            Counts {
                requests: count(first),
                errors: count(first + 1),
                slow: (0..slow).map(share).collect(),
                marked: (slow..marked).map(share).collect(),
                unmarked: (marked..self.shares.len()).map(share).collect(),
            }
        };
        let mut look = Look::new(at);
        look.treatment = arm(Arm::Treatment);
        look.control = arm(Arm::Control);
        look.listed = arm(Arm::Listed);
        look.users = (count(self.users_of(Arm::Treatment)), count(self.users_of(Arm::Control)));
        look
    }

    /// All requests of an arm between two totals, and how many of them failed, or had that mark.
    pub(super) fn all(&self, arm: Arm, mark: Option<Mark>, between: [&Total; 2]) -> (u64, u64) {
        let count = |index: usize| between[1].since(between[0], index);
        let first = arm as usize * arm_words(self.shares.len());
        let requests = count(first) + count(first + 2);
        let Some(mark) = mark else { return (count(first + 1) + count(first + 3), requests) };
        let place = self.layout.marks.iter().position(|known| *known == mark);
        let hits = place.map_or(0, |place| {
            let place = first + OF_ALL + OF_SHARE * (self.layout.latencies.len() + place);
            count(place + 1) + count(place + 2)
        });
        (hits, requests)
    }

    fn users_of(&self, arm: Arm) -> usize {
        ARMS * arm_words(self.shares.len()) + usize::from(arm == Arm::Control)
    }
}

/// What was counted at some moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Total(Vec<u64>);

impl Total {
    fn since(&self, before: &Total, index: usize) -> u64 {
        let of = |total: &Total| total.0.get(index).copied().unwrap_or(0);
        of(self).saturating_sub(of(before))
    }
}

impl Shard {
    fn add(&self, index: usize) {
        if let Some(word) = self.words.get(index) {
            word.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn arm_words(shares: usize) -> usize {
    OF_ALL + OF_SHARE * shares
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
