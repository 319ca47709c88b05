//! The counters of one flag in one stage, which any number of threads write.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::counts::{Counts, Look};
use super::histogram::{BinCounts, Histogram};
use super::layout::{CountedShare, Layout, nanos};
use super::outcome::{Mark, Outcome};
use super::user_set::UserSet;
use crate::eval::{Placement, Position};

/// The counts of one flag since its stage began.
///
/// Each thread writes to one of [`SHARDS`] shards. A look sums the shards and subtracts the sums of the last look.
/// All orderings are relaxed, because each number stands alone. A request that is counted during a look may be
/// split between this look and the next.
#[derive(Debug)]
pub(super) struct Counters {
    /// The position of the stage that is counted. Requests of any other stage are not counted: it is over, or no
    /// look has seen its beginning yet.
    position: AtomicU32,
    layout: Layout,
    shards: Box<[Shard]>,
    /// Users with an error in this stage.
    users_with_error: UserSet,
    /// Users with a request in this stage.
    users_seen: UserSet,
    /// Slow requests, one share for each limit; then marked, then unmarked requests, one share for each metric.
    shares: Box<[CountedShare]>,
}

/// Counters that a part of the threads write. The padding keeps the shards in different cache lines.
#[derive(Debug)]
struct Shard {
    /// For each [`Arm`], [`REQUEST_WORDS`] and then [`SHARE_WORDS`] for each share. Last, the number of users seen in
    /// treatment and in control.
    words: Box<[AtomicU64]>,
    /// Latencies of requests with the flag.
    with: Histogram,
    /// Latencies of control's requests, or of all requests while the flag is off.
    without: Histogram,
}

/// Enough that the threads of a large machine rarely write to the same shard.
const SHARDS: usize = 8;

/// Words in two cache lines of 64 bytes. Processors prefetch lines in pairs.
const SHARD_ALIGNMENT: usize = 16;

const ARMS: usize = 4;

/// The arm that counts a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arm {
    /// The user has the flag because of their bucket.
    Treatment,
    /// The user lacks the flag because of their bucket.
    Control,
    /// The user has the flag because of a list or of attributes.
    Listed,
    /// The user is held back, or the flag is off. Triggers ignore these requests.
    Excluded,
}

/// Words of an arm for requests and errors: counted requests, counted errors, ignored requests, ignored errors.
/// Requests after a user's first error are ignored, and so are all requests in [`Arm::Excluded`].
const REQUEST_WORDS: usize = 4;

/// Words of an arm for each share: counted requests, counted hits, ignored hits.
const SHARE_WORDS: usize = 3;

/// Timed requests of control that a latency limit needs before it is learned.
const MIN_TIMED: u64 = 1_000;

/// The position while no stage is counted.
const NO_POSITION: u32 = u32::MAX;

impl Counters {
    pub(super) fn new(layout: Layout) -> Counters {
        let shares = layout.shares();
        let words = (ARMS * arm_words(shares.len()) + 2).next_multiple_of(SHARD_ALIGNMENT);
        let histogram = || if layout.timed { Histogram::new() } else { Histogram::disabled() };
        let shard = || Shard {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            with: histogram(),
            without: histogram(),
        };
        Counters {
            position: AtomicU32::new(NO_POSITION),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            users_with_error: UserSet::new(),
            users_seen: UserSet::new(),
            shares,
            layout,
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the bytes that the counters take.
    pub(super) fn bytes(&self) -> usize {
        let words = self.shards.iter().map(|shard| shard.words.len()).sum::<usize>();
        let users = (2 + self.shares.len()) * UserSet::BYTES;
        let timed = if self.layout.timed { 2 * SHARDS * Histogram::BYTES } else { 0 };
        size_of::<Counters>() + 8 * words + users + timed
    }

    /// Returns the bytes of one snapshot of the counters.
    pub(super) fn snapshot_bytes(&self) -> usize {
        8 * self.shard_words() + if self.layout.timed { 2 * Histogram::BYTES } else { 0 }
    }

    /// Counts the outcome of a request.
    #[inline]
    pub(super) fn record(&self, placed: Placement, outcome: Outcome) {
        if self.position.load(Ordering::Relaxed) != u32::from(placed.position) {
            return;
        }
        let arm = match (placed.by_bucket, placed.enabled) {
            (true, true) => Arm::Treatment,
            (true, false) => Arm::Control,
            (false, true) => Arm::Listed,
            (false, false) => Arm::Excluded,
        };
        let Some(shard) = self.shards.get(shard()) else { return };
        let bucket = placed.bucket;
        let (is_random, is_excluded) = (placed.by_bucket, arm == Arm::Excluded);
        if is_random && self.users_seen.insert(bucket) {
            shard.add(self.users_word(arm));
        }
        // If two errors of one user arrive at once, only the one that inserts the user counts.
        let counts = !is_excluded && is_counted(&self.users_with_error, bucket, outcome.failed);
        let word = self.request_word(arm) + if counts { 0 } else { 2 };
        shard.add(word);
        if outcome.failed {
            shard.add(word + 1);
        }
        for (index, share) in self.shares.iter().enumerate() {
            let Some(hit) = share.is_hit(outcome) else { continue };
            let counts = !is_excluded && is_counted(&share.users, bucket, hit);
            let word = self.share_word(arm, index);
            if counts {
                shard.add(word);
            }
            if hit {
                shard.add(word + if counts { 1 } else { 2 });
            }
        }
        if let Some(took) = outcome.latency.map(nanos) {
            match arm {
                Arm::Treatment | Arm::Listed => shard.with.add(took),
                Arm::Control => shard.without.add(took),
                Arm::Excluded if placed.position == 0 => shard.without.add(took),
                // Held-back users are no random sample, so they are not part of control.
                Arm::Excluded => {}
            }
        }
    }

    /// Clears the counts and begins to count a stage.
    ///
    /// Learns the latency limits again from control in the stage before, if enough of its requests were timed. If the
    /// new stage has no control, the limits stay the same. Then its slow requests are compared with the stage before.
    ///
    /// Each thread that is counting during this call may count one request of the stage before in the new stage.
    pub(super) fn begin(&self, position: Position, has_control: bool) {
        self.position.store(NO_POSITION, Ordering::Relaxed);
        self.learn_limits(|limit| limit == 0 || has_control);
        for shard in &self.shards {
            shard.words.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            shard.with.clear();
            shard.without.clear();
        }
        self.users_with_error.clear();
        self.users_seen.clear();
        self.shares.iter().for_each(|share| share.users.clear());
        self.position.store(position.into(), Ordering::Relaxed);
    }

    /// Learns missing latency limits from control, and clears sets of ignored users that have become too large.
    ///
    /// Both arms then count these users again, in equal shares. `users_seen` is not cleared: its first 65,536 users
    /// are enough to test the split.
    pub(super) fn refresh(&self) {
        self.learn_limits(|limit| limit == 0);
        self.users_with_error.clear_if_crowded();
        self.shares.iter().for_each(|share| share.users.clear_if_crowded());
    }

    fn learn_limits(&self, is_due: impl Fn(u64) -> bool) {
        let due = |share: &&CountedShare| share.control_limit().is_some_and(&is_due);
        let mut due = self.shares.iter().filter(due).peekable();
        if due.peek().is_none() {
            return;
        }
        let (_, control) = self.latencies();
        if control.count() >= MIN_TIMED {
            due.for_each(|share| share.learn_limit(&control));
        }
    }

    /// Returns the sums of all counts in this stage.
    pub(super) fn total(&self) -> Total {
        let sum = |index: usize| {
            let of = |shard: &Shard| {
                shard.words.get(index).map_or(0, |word| word.load(Ordering::Relaxed))
            };
            self.shards.iter().map(of).fold(0, u64::wrapping_add)
        };
        Total((0..self.shard_words()).map(sum).collect())
    }

    /// Returns the latencies in this stage, with the flag and without.
    pub(super) fn latencies(&self) -> (BinCounts, BinCounts) {
        let mut sums = (BinCounts::default(), BinCounts::default());
        for shard in &self.shards {
            shard.with.add_to(&mut sums.0);
            shard.without.add_to(&mut sums.1);
        }
        sums
    }

    /// Returns the counts between two totals for the judge, without ignored requests.
    pub(super) fn look(&self, at: Duration, before: &Total, now: &Total) -> Look {
        let count = |index: usize| now.since(before, index);
        let slow = self.layout.latencies.len();
        let marked = slow + self.layout.marks.len();
        let arm = |arm: Arm| {
            let first = self.request_word(arm);
            let share = |index: usize| {
                let word = self.share_word(arm, index);
                (count(word + 1), count(word))
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
        look.users = (count(self.users_word(Arm::Treatment)), count(self.users_word(Arm::Control)));
        look
    }

    /// Returns the hits and the requests of an arm between two totals, ignored requests included. Hits are the
    /// requests with this mark, or the errors if there is no mark.
    pub(super) fn hits_and_requests(
        &self,
        arm: Arm,
        mark: Option<Mark>,
        between: [&Total; 2],
    ) -> (u64, u64) {
        let count = |index: usize| between[1].since(between[0], index);
        let first = self.request_word(arm);
        let requests = count(first) + count(first + 2);
        let Some(mark) = mark else { return (count(first + 1) + count(first + 3), requests) };
        let index = self.layout.marks.iter().position(|known| *known == mark);
        let hits = index.map_or(0, |index| {
            let word = self.share_word(arm, self.layout.latencies.len() + index);
            count(word + 1) + count(word + 2)
        });
        (hits, requests)
    }

    fn shard_words(&self) -> usize {
        self.shards.first().map_or(0, |shard| shard.words.len())
    }

    /// The first of an arm's [`REQUEST_WORDS`].
    #[inline]
    fn request_word(&self, arm: Arm) -> usize {
        arm as usize * arm_words(self.shares.len())
    }

    /// The first of an arm's [`SHARE_WORDS`] for a share.
    #[inline]
    fn share_word(&self, arm: Arm, index: usize) -> usize {
        self.request_word(arm) + REQUEST_WORDS + SHARE_WORDS * index
    }

    /// The word with the number of users seen in treatment or in control.
    fn users_word(&self, arm: Arm) -> usize {
        ARMS * arm_words(self.shares.len()) + usize::from(arm == Arm::Control)
    }
}

/// The sums of all counts at one moment, in the order of [`Shard::words`].
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

/// Returns whether a request counts: it is the user's first hit, or the user had no hit before.
#[inline]
fn is_counted(users: &UserSet, bucket: u64, hit: bool) -> bool {
    if hit { users.insert(bucket) } else { !users.contains(bucket) }
}

fn arm_words(shares: usize) -> usize {
    REQUEST_WORDS + SHARE_WORDS * shares
}

/// Returns the index of this thread's shard. Each new thread takes the next shard in turn.
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
        // The thread is ending, and its thread-local is gone.
        .unwrap_or(0)
}
