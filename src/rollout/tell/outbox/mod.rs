//! A queue and a thread, so that nobody who acts waits for a network.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::{Notification, Sink};

/// Brings notifications somewhere, in its own time.
///
/// An implementation has a deadline of its own: what hangs for ever holds up all that comes after, though nobody
/// who acts.
pub trait Delivery: Send {
    /// Brings one there.
    ///
    /// # Errors
    ///
    /// [`Undelivered`] when it did not arrive. No secret stands in its text.
    fn deliver(&mut self, notification: &Notification) -> Result<(), Undelivered>;
}

/// Why a notification did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Undelivered {
    message: String,
    is_final: bool,
}

impl Undelivered {
    /// Another attempt may succeed.
    #[must_use]
    pub fn for_now(message: impl Into<String>) -> Undelivered {
        Undelivered { message: message.into(), is_final: false }
    }

    /// None will.
    #[must_use]
    pub fn for_ever(message: impl Into<String>) -> Undelivered {
        Undelivered { message: message.into(), is_final: true }
    }

    /// Whether no other attempt makes sense.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.is_final
    }
}

/// How often a delivery is tried, and how long is waited in between: any time up to a bound that doubles with
/// each attempt ("full jitter"), so that a server that comes back is not asked by everybody at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all: at least 1.
    pub attempts: u32,
    /// The bound of the first wait.
    pub first: Duration,
    /// What no bound exceeds.
    pub most: Duration,
}

/// Eight attempts; half a second, then double that, up to a minute: about a minute in all.
impl Default for Retry {
    fn default() -> Retry {
        let (first, most) = (Duration::from_millis(500), Duration::from_secs(60));
        Retry { attempts: 8, first, most }
    }
}

/// A [`Sink`] that hands on what it is told to a [`Delivery`], in a thread of its own and in order.
///
/// At most 1,000 notifications wait; then the oldest goes, and is counted. Dropping it delivers what waits, for
/// two seconds at most, and tries nothing twice.
///
/// # Example
///
/// ```
/// use std::sync::mpsc;
/// use std::time::{Duration, SystemTime};
/// use stagegate::StageName;
/// use stagegate::rollout::{Delivery, Notification, NotificationKind, Outbox, Sink, Undelivered};
///
/// struct Channel(mpsc::Sender<String>);
///
/// impl Delivery for Channel {
///     fn deliver(&mut self, notification: &Notification) -> Result<(), Undelivered> {
///         self.0.send(notification.text.clone()).map_err(|_| Undelivered::for_ever("nobody listens"))
///     }
/// }
///
/// let (sender, told) = mpsc::channel();
/// let outbox = Outbox::spawn("channel", Channel(sender))?;
/// let now = SystemTime::UNIX_EPOCH;
/// outbox.tell(&Notification::new("a", NotificationKind::Held, StageName::OFF, now, "held"));
/// assert_eq!(told.recv()?, "held");
/// assert!(outbox.flush(Duration::from_secs(5)));
/// assert_eq!(outbox.status().delivered, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outbox {
    shared: Arc<Shared>,
}

/// What an [`Outbox`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// How many wait, that on its way included.
    pub waiting: usize,
    /// How many have arrived.
    pub delivered: u64,
    /// How many never will: too many waited, or every attempt failed.
    pub lost: u64,
    /// Why the last attempt failed, until one succeeds.
    pub last_error: Option<Undelivered>,
}

struct Shared {
    name: Box<str>,
    retry: Retry,
    queue: Mutex<Queue>,
    /// Something waits, or it is over.
    changed: Condvar,
    /// Something has arrived or is lost, or the thread has ended.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Notification>,
    /// Whether the first that waits is on its way.
    under_way: bool,
    status: OutboxStatus,
    stopped: bool,
    ended: bool,
}

/// Notifications that wait at the most.
const CAPACITY: usize = 1_000;

/// What dropping an outbox waits at the most.
const LINGER: Duration = Duration::from_secs(2);

impl Outbox {
    /// Begins to deliver, with the usual [`Retry`]. The thread is called `stagegate-NAME`.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn spawn(name: &str, delivery: impl Delivery + 'static) -> io::Result<Outbox> {
        Outbox::spawn_with(name, delivery, Retry::default())
    }

    /// The same, tried as often as that.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Outbox::spawn).
    pub fn spawn_with(
        name: &str,
        delivery: impl Delivery + 'static,
        retry: Retry,
    ) -> io::Result<Outbox> {
        let shared = Arc::new(Shared {
            name: name.into(),
            retry,
            queue: Mutex::default(),
            changed: Condvar::new(),
            done: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        // The system takes no name with a NUL.
        let thread = format!("stagegate-{}", name.replace('\0', ""));
        let thread = thread::Builder::new().name(thread);
        thread.spawn(move || theirs.run(delivery))?;
        Ok(Outbox { shared })
    }

    /// Waits until nothing waits any more; whether that came within the time.
    #[must_use]
    pub fn flush(&self, time: Duration) -> bool {
        self.shared.wait_until(time, |queue| queue.waiting.is_empty())
    }

    /// What it has done.
    #[must_use]
    pub fn status(&self) -> OutboxStatus {
        let queue = self.shared.queue();
        OutboxStatus { waiting: queue.waiting.len(), ..queue.status.clone() }
    }
}

impl Sink for Outbox {
    fn tell(&self, notification: &Notification) {
        let mut queue = self.shared.queue();
        if queue.waiting.len() >= CAPACITY {
            // What is on its way stays: it will be taken out when it has arrived.
            let oldest = usize::from(queue.under_way);
            queue.waiting.remove(oldest);
            queue.status.lost += 1;
        }
        queue.waiting.push_back(notification.clone());
        drop(queue);
        self.shared.changed.notify_one();
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.shared.queue().stopped = true;
        self.shared.changed.notify_all();
        // A delivery that hangs is left to itself: its thread ends when it returns.
        let _ = self.shared.wait_until(LINGER, |queue| queue.ended);
    }
}

impl Shared {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, time: Duration, holds: impl Fn(&Queue) -> bool) -> bool {
        let waited = self.done.wait_timeout_while(self.queue(), time, |queue| !holds(queue));
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        holds(&queue)
    }

    fn run(&self, mut delivery: impl Delivery) {
        while let Some(notification) = self.next() {
            let arrived = self.bring(&mut delivery, &notification);
            let mut queue = self.queue();
            queue.under_way = false;
            queue.waiting.pop_front();
            *(if arrived { &mut queue.status.delivered } else { &mut queue.status.lost }) += 1;
            drop(queue);
            self.done.notify_all();
        }
        self.queue().ended = true;
        self.done.notify_all();
    }

    /// The first that waits, which goes on waiting until it has arrived; `None` when all is over.
    fn next(&self) -> Option<Notification> {
        let nothing = |queue: &mut Queue| queue.waiting.is_empty() && !queue.stopped;
        let waited = self.changed.wait_while(self.queue(), nothing);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.under_way = true;
        queue.waiting.front().cloned()
    }

    fn bring(&self, delivery: &mut impl Delivery, notification: &Notification) -> bool {
        let mut bound = self.retry.first;
        for attempt in 1.. {
            let brought = catch_unwind(AssertUnwindSafe(|| delivery.deliver(notification)));
            let brought = brought.unwrap_or_else(|_| Err(Undelivered::for_now("it panicked")));
            let error = brought.err();
            let is_final = error.as_ref().is_none_or(Undelivered::is_final);
            let arrived = error.is_none();
            self.queue().status.last_error = error;
            if is_final || attempt >= self.retry.attempts || self.is_stopped_after(bound) {
                return arrived;
            }
            bound = bound.saturating_mul(2).min(self.retry.most);
        }
        false
    }

    /// Waits for any time up to a bound; whether it is over.
    fn is_stopped_after(&self, bound: Duration) -> bool {
        let waited =
            self.changed.wait_timeout_while(self.queue(), jittered(bound), |queue| !queue.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

/// Any time up to a bound, another one each time.
fn jittered(bound: Duration) -> Duration {
    // Each `RandomState` has keys of its own.
    let random = u128::from(RandomState::new().hash_one(()));
    let bound = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    let nanos = (u128::from(bound) * random) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
