//! The handle of a follower.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Source;
use super::changed::{Changed, Updates};
use super::error::{FollowError, StartError};
use super::nudge::{Nudge, Wait};
use super::options::{FollowOptions, WithoutDocument};
use super::refresh::{Refreshed, Shared};
use super::status::FollowStatus;
use crate::background::{Signal, Worker};
use crate::gate::Gate;

/// The handle of a background thread that keeps a gate up to date with a source. Dropping it stops the thread.
///
/// [`start`](Follower::start) creates a gate and follows with it. [`Gate::follow`] follows with an existing gate.
///
/// # Concurrency
///
/// One thread at a time fetches from the source, and documents are applied in the order of the fetches. Dropping the
/// handle waits two seconds at most for a fetch in progress. The result of a longer fetch is not applied.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::source::{File, FollowOptions, Follower, Freshness};
///
/// # let path = std::env::temp_dir().join(format!("stagegate-follower-{}.toml", std::process::id()));
/// std::fs::write(&path, "schema = 1\n[flags.a]\nstage = \"internal\"\n")?;
/// let (gate, follower) = Follower::start(File::new(&path), FollowOptions::new())?;
/// let mut changed = follower.changed();
///
/// std::fs::write(&path, "schema = 1\n[flags.a]\nstage = \"pilot\"\n")?;
/// assert_eq!(changed.wait(Duration::from_secs(60)), Some(2));
/// assert_eq!(&*gate.status().flags[0].stage, "pilot");
/// assert_eq!(follower.status().freshness, Freshness::Ready);
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Follower {
    shared: Arc<Shared>,
    is_by_hand: bool,
    /// `None` without a thread.
    worker: Option<Worker>,
}

impl Follower {
    /// Creates a gate with the source's document, and follows the source from now on.
    ///
    /// If the source has no valid document, the gate starts from the [last known good](FollowOptions::last_known_good).
    /// If there is none either, [`WithoutDocument`] decides.
    ///
    /// # Errors
    ///
    /// Returns a [`StartError`] if there is no document to start from, or the system cannot start a thread.
    pub fn start(
        source: impl Source + 'static,
        options: FollowOptions,
    ) -> Result<(Gate, Follower), StartError> {
        let without_document = options.without_document;
        let gate = Gate::empty();
        let follower = Follower::new(gate.clone(), Box::new(source), options);
        if let Err(error) = follower.shared.refresh()
            && let Err(last_known_good) = follower.shared.start_from_last_known_good()
        {
            if without_document == WithoutDocument::Refuse {
                return Err(StartError::NoDocument { error, last_known_good });
            }
            if let Some(error) = last_known_good {
                follower.shared.note(error);
            }
        }
        Ok((gate, follower.spawn(false)?))
    }

    /// Fetches from the source now and applies a new document. Waits until a document that is being written has
    /// settled.
    ///
    /// Without a thread (see [`by_hand`](FollowOptions::by_hand)), call this in your own loop. An [observer of the
    /// gate](Gate::observe) must not call it: it would deadlock, because it runs while the source is locked.
    ///
    /// # Errors
    ///
    /// Returns a [`FollowError`] if the source cannot be read or its document is refused. A document that was refused
    /// before is not checked again, and returns the same error.
    pub fn refresh_now(&self) -> Result<Refreshed, FollowError> {
        self.shared.refresh()
    }

    /// Waits until the gate has the source's document. Returns whether that happened within the timeout.
    #[must_use]
    pub fn wait_ready(&self, timeout: Duration) -> bool {
        self.shared.wait_ready(timeout)
    }

    /// Returns a handle that waits for later updates, as [`Changed`] describes.
    #[must_use]
    pub fn changed(&self) -> Changed {
        Updates::subscribe(&self.shared.updates)
    }

    /// Returns how current the gate's document is, and the last error.
    #[must_use]
    pub fn status(&self) -> FollowStatus {
        self.shared.status()
    }

    fn new(gate: Gate, source: Box<dyn Source>, options: FollowOptions) -> Follower {
        let is_by_hand = !options.has_thread;
        let shared = Arc::new(Shared::new(gate, source, options));
        if !is_by_hand {
            shared.watch(Nudge::new(&shared.signal));
        }
        Follower { shared, is_by_hand, worker: None }
    }

    /// Starts the thread, unless the options say otherwise. It fetches at once, or after the interval.
    fn spawn(mut self, at_once: bool) -> io::Result<Follower> {
        if !self.is_by_hand {
            let shared = Arc::clone(&self.shared);
            let body = move |signal: &Signal| shared.run(signal, at_once);
            self.worker = Some(Worker::spawn("follower", &self.shared.signal, body)?);
        }
        Ok(self)
    }
}

/// Following with an existing gate.
impl Gate {
    /// Follows a source with this gate until the follower is dropped.
    ///
    /// The follower applies the source's documents as [`update`](Gate::update) does. Until the first one, the gate
    /// keeps its current plan. The follower writes the last known good, but does not read it.
    ///
    /// # Errors
    ///
    /// Returns a [`StartError`] if a rollout drives this gate, or the system cannot start a thread.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::Gate;
    /// use stagegate::source::{File, FollowOptions};
    ///
    /// # let path = std::env::temp_dir().join(format!("stagegate-follow-{}.toml", std::process::id()));
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"internal\"")?;
    /// std::fs::write(&path, "schema = 1\n[flags.a]\nstage = \"pilot\"\n")?;
    /// let follower = gate.follow(File::new(&path), FollowOptions::new())?;
    /// assert!(follower.wait_ready(Duration::from_secs(60)));
    /// assert_eq!(gate.version(), 2);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn follow(
        &self,
        source: impl Source + 'static,
        options: FollowOptions,
    ) -> Result<Follower, StartError> {
        if self.is_driven() {
            return Err(StartError::Driven);
        }
        Ok(Follower::new(self.clone(), Box::new(source), options).spawn(true)?)
    }
}

impl Shared {
    fn run(&self, signal: &Signal, at_once: bool) {
        let most = if at_once { Duration::ZERO } else { self.first_wait() };
        let mut wait = Wait { least: Duration::ZERO, most };
        while !wait.wait(signal) {
            // Clear before fetching: a nudge during the fetch may report a change that the fetch misses.
            signal.clear_nudge();
            wait = self.poll().1;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.updates.close();
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("status", &self.status()).finish_non_exhaustive()
    }
}
