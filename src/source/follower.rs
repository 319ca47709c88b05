//! The handle of what follows.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Source;
use super::changed::{Changed, News};
use super::error::{FollowError, StartError};
use super::options::{FollowOptions, WithNothing};
use super::round::{Refreshed, Shared};
use super::signal::{Nudge, Wait};
use super::status::FollowStatus;
use crate::gate::Gate;

/// Follows a source with a gate, until this is dropped.
///
/// Made by [`start`](Follower::start), with a gate of its own, or by [`Gate::follow`].
///
/// # Concurrency
///
/// The source is asked by one thread at a time, and its documents are put in force in the order in which they were asked
/// for. Dropping it waits two seconds at most for a source that is being asked; whatever that answers later is not put in
/// force.
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
    thread: Option<JoinHandle<()>>,
}

/// What dropping a follower waits at the most.
const LINGER: Duration = Duration::from_secs(2);

impl Follower {
    /// A gate on what the source has, and what follows it from now on.
    ///
    /// Where the source has nothing that can be put in force, the gate starts from the [last known
    /// good](FollowOptions::last_known_good), and where there is none, as [`WithNothing`] says.
    ///
    /// # Errors
    ///
    /// [`StartError`] when there is nothing to start from, or the system gives no thread.
    pub fn start(
        source: impl Source + 'static,
        options: FollowOptions,
    ) -> Result<(Gate, Follower), StartError> {
        let with_nothing = options.with_nothing;
        let gate = Gate::empty();
        let follower = Follower::new(gate.clone(), Box::new(source), options);
        if let Err(error) = follower.shared.refresh()
            && let Err(wrong) = follower.shared.start_from_last_known_good()
        {
            if with_nothing == WithNothing::Refuse {
                return Err(StartError::Nothing { error, last_known_good: wrong });
            }
            if let Some(wrong) = wrong {
                follower.shared.tell(wrong);
            }
        }
        Ok((gate, follower.spawn(false)?))
    }

    /// Asks the source now, and puts in force what is new; waits until a document that is just being written has settled.
    ///
    /// Without a thread (see [`by_hand`](FollowOptions::by_hand)) this is how the source is followed. Not to be called by an
    /// [observer of the gate](Gate::observe), which is told while the source is still held.
    ///
    /// # Errors
    ///
    /// [`FollowError`] when what is in force is not what the source has. A document that was refused is not judged again,
    /// the error is that of before.
    pub fn refresh_now(&self) -> Result<Refreshed, FollowError> {
        self.shared.refresh()
    }

    /// Waits until what is in force is what the source has; whether that came within the time.
    #[must_use]
    pub fn wait_ready(&self, timeout: Duration) -> bool {
        self.shared.wait_ready(timeout)
    }

    /// Waits for updates from now on: see [`Changed`].
    #[must_use]
    pub fn changed(&self) -> Changed {
        News::listen(&self.shared.news)
    }

    /// How far what is in force can be relied on.
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
        Follower { shared, is_by_hand, thread: None }
    }

    /// Asks the source in a thread: at once, or after its interval.
    fn spawn(mut self, at_once: bool) -> io::Result<Follower> {
        if !self.is_by_hand {
            let theirs = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("stagegate-follower".to_owned());
            self.thread = Some(thread.spawn(move || theirs.run(at_once))?);
        }
        Ok(self)
    }
}

/// Following with a gate that is there.
impl Gate {
    /// Follows a source with this gate, until the follower is dropped: what the source has is put in force as by
    /// [`update`](Gate::update), and what the gate has stays until then. The last known good is written, never read.
    ///
    /// # Errors
    ///
    /// [`StartError`] when a rollout drives this gate, or the system gives no thread.
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
    fn run(&self, at_once: bool) {
        let most = if at_once { Duration::ZERO } else { self.first_wait() };
        let mut wait = Wait { least: Duration::ZERO, most };
        while !self.signal.wait(wait) {
            self.signal.begin();
            wait = self.look().1;
        }
        self.signal.end();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.news.end();
        // Dropped by its own thread, as an observer may, it would wait for itself.
        let own = |thread: &JoinHandle<()>| thread.thread().id() == thread::current().id();
        let is_waited_for = self.thread.as_ref().is_some_and(|thread| !own(thread));
        self.shared.signal.stop(if is_waited_for { LINGER } else { Duration::ZERO });
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("status", &self.status()).finish_non_exhaustive()
    }
}
