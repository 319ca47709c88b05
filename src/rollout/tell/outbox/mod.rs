//! Delivery of notifications in a background thread, so that a rollout never waits for a network.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::{Notification, Sink};
use crate::background::{Backoff, random};

/// Delivers notifications, for example to a file or a server. An [`Outbox`] calls it.
///
/// An implementation needs its own deadline. A delivery that hangs delays all later notifications, though never the
/// rollout.
pub trait Delivery: Send {
    /// Delivers a notification.
    ///
    /// # Errors
    ///
    /// [`DeliveryError`] if it was not delivered. The text must contain no secret.
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError>;
}

/// Why a notification was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct DeliveryError {
    message: String,
    is_permanent: bool,
}

impl DeliveryError {
    /// Creates the error: a retry may succeed.
    #[must_use]
    pub fn temporary(message: impl Into<String>) -> DeliveryError {
        DeliveryError { message: message.into(), is_permanent: false }
    }

    /// Creates the error: no retry can succeed.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> DeliveryError {
        DeliveryError { message: message.into(), is_permanent: true }
    }

    /// Returns whether no retry can succeed.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.is_permanent
    }
}

/// How often to try a delivery, and how long to wait between attempts.
///
/// Each wait is a random time up to a bound that doubles with each attempt ("full jitter"). So a server that comes back
/// does not get all retries at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The maximum number of attempts, at least 1.
    pub attempts: u32,
    /// The bound of the first wait.
    pub first_wait: Duration,
    /// The highest bound.
    pub max_wait: Duration,
}

/// Eight attempts in about a minute. The bound of the waits doubles from half a second up to a minute.
impl Default for Retry {
    fn default() -> Retry {
        let (first_wait, max_wait) = (Duration::from_millis(500), Duration::from_secs(60));
        Retry { attempts: 8, first_wait, max_wait }
    }
}

/// A [`Sink`] that passes notifications to a [`Delivery`], in order and in its own thread.
///
/// At most 1,000 notifications wait. Then the oldest is dropped and counted. Dropping the outbox delivers waiting
/// notifications, for two seconds at most and without retries.
///
/// # Example
///
/// ```
/// use std::sync::mpsc;
/// use std::time::{Duration, SystemTime};
/// use stagegate::StageName;
/// use stagegate::rollout::{Delivery, Notification, NotificationKind, Outbox, Sink, DeliveryError};
///
/// struct Channel(mpsc::Sender<String>);
///
/// impl Delivery for Channel {
///     fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
///         self.0.send(notification.text.clone()).map_err(|_| DeliveryError::permanent("nobody listens"))
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

/// The counters of an [`Outbox`], and its last error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxStatus {
    /// Notifications that wait, including the one in delivery.
    pub waiting: usize,
    /// Delivered notifications.
    pub delivered: u64,
    /// Lost notifications: dropped because too many were waiting, or because every attempt failed.
    pub lost: u64,
    /// Why the last attempt failed. `None` after a success.
    pub last_error: Option<DeliveryError>,
}

struct Shared {
    name: Box<str>,
    retry: Retry,
    queue: Mutex<Queue>,
    /// Signals a new notification or the stop.
    changed: Condvar,
    /// Signals that a notification was delivered or lost, or that the thread has ended.
    done: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Notification>,
    /// Whether the first waiting notification is in delivery.
    in_delivery: bool,
    status: OutboxStatus,
    stopped: bool,
    ended: bool,
}

/// The maximum number of waiting notifications.
const CAPACITY: usize = 1_000;

/// The longest time that dropping an outbox waits.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

impl Outbox {
    /// Starts an outbox with the default [`Retry`]. The name of its thread is `stagegate-NAME`.
    ///
    /// # Errors
    ///
    /// The operating system cannot start a thread.
    pub fn spawn(name: &str, delivery: impl Delivery + 'static) -> io::Result<Outbox> {
        Outbox::spawn_with(name, delivery, Retry::default())
    }

    /// Starts an outbox with these retries.
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
        let thread_shared = Arc::clone(&shared);
        // A thread's name must not contain NUL.
        let thread = format!("stagegate-{}", name.replace('\0', ""));
        let thread = thread::Builder::new().name(thread);
        thread.spawn(move || thread_shared.run(delivery))?;
        Ok(Outbox { shared })
    }

    /// Waits until no notification is waiting, at most for this time. Returns whether that is so.
    #[must_use]
    pub fn flush(&self, time: Duration) -> bool {
        self.shared.wait_until(time, |queue| queue.waiting.is_empty())
    }

    /// Returns the counters and the last error.
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
            // Keep the first one if it is in delivery: the thread removes it afterwards.
            let oldest = usize::from(queue.in_delivery);
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
        // Do not wait longer for a delivery that hangs. Its thread ends when it returns.
        let _ = self.shared.wait_until(DROP_TIMEOUT, |queue| queue.ended);
    }
}

impl Shared {
    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
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
            let delivered = self.deliver_with_retries(&mut delivery, &notification);
            let mut queue = self.queue();
            queue.in_delivery = false;
            queue.waiting.pop_front();
            *(if delivered { &mut queue.status.delivered } else { &mut queue.status.lost }) += 1;
            drop(queue);
            self.done.notify_all();
        }
        self.queue().ended = true;
        self.done.notify_all();
    }

    /// Waits for a notification and returns it. It stays in the queue until it is delivered. Returns `None` when the
    /// outbox has stopped and the queue is empty.
    fn next(&self) -> Option<Notification> {
        let nothing = |queue: &mut Queue| queue.waiting.is_empty() && !queue.stopped;
        let waited = self.changed.wait_while(self.queue(), nothing);
        let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
        queue.in_delivery = true;
        queue.waiting.front().cloned()
    }

    fn deliver_with_retries(
        &self,
        delivery: &mut impl Delivery,
        notification: &Notification,
    ) -> bool {
        let mut backoff = Backoff::new(self.retry.first_wait, self.retry.max_wait);
        for attempt in 1.. {
            let result = catch_unwind(AssertUnwindSafe(|| delivery.deliver(notification)));
            let result = result.unwrap_or_else(|_| Err(DeliveryError::temporary("it panicked")));
            let error = result.err();
            let is_final = error.as_ref().is_none_or(DeliveryError::is_permanent);
            let delivered = error.is_none();
            self.queue().status.last_error = error;
            let is_last = is_final || attempt >= self.retry.attempts;
            if is_last || self.is_stopped_after(backoff.after_failure(random())) {
                return delivered;
            }
        }
        false
    }

    /// Waits for this time. Returns early, with `true`, when the outbox is dropped.
    fn is_stopped_after(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.queue(), time, |queue| !queue.stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.stopped
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("name", &self.shared.name).finish_non_exhaustive()
    }
}
