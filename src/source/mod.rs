//! Following a document: when it changes in its file or on its server, the gate changes too.
//!
//! A [`Source`] reads the document: a [`File`], a `source::Http` (feature `http`), or your own implementation. A
//! [`Follower`] polls the source in a background thread and applies each new document. If the source is unreachable, or
//! its document is invalid or skips a stage, the follower reports that and the gate keeps its current plan.
//!
//! The chapter on [following](crate::_docs::following) describes what is detected when, and how faults are handled.

mod changed;
mod error;
mod file;
mod follower;
#[cfg(feature = "_http")]
mod http;
mod last_known_good;
mod nudge;
mod observer;
mod options;
mod pace;
mod refresh;
mod status;

use std::time::Duration;

pub use changed::Changed;
pub use error::{FollowError, SourceError, StartError};
pub use file::File;
pub use follower::Follower;
#[cfg(feature = "_http")]
pub use http::Http;
pub use nudge::Nudge;
pub use observer::{FollowEvent, FollowObserver};
pub use options::{FollowOptions, WithoutDocument};
pub use refresh::Refreshed;
pub use status::{FollowStatus, Freshness};

use crate::plan::Document;

/// A place that a follower reads its document from, such as a file or a server.
///
/// The follower calls it from one thread at a time. So the answer to an earlier request never replaces a newer
/// document.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::Document;
/// use stagegate::source::{Fetched, Follower, FollowOptions, Source, SourceError};
///
/// struct Variable(&'static str);
///
/// impl Source for Variable {
///     fn fetch(&mut self) -> Result<Fetched, SourceError> {
///         let text = std::env::var(self.0);
///         let text = text.map_err(|error| SourceError::new(format!("`{}`: {error}", self.0)))?;
///         Ok(Fetched::Document(Document::new(text).name(self.0)))
///     }
///
///     fn interval(&self) -> Duration {
///         Duration::from_secs(3600)
///     }
/// }
///
/// let error = Follower::start(Variable("NO_SUCH_PLAN"), FollowOptions::new()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "no document to start from: `NO_SUCH_PLAN`: environment variable not found",
/// );
/// ```
pub trait Source: Send {
    /// Reads the current document.
    ///
    /// The follower waits for this call, so give it a deadline.
    ///
    /// # Errors
    ///
    /// Returns a [`SourceError`] if the document cannot be read. Its text is logged, so put no secrets in it.
    fn fetch(&mut self) -> Result<Fetched, SourceError>;

    /// Returns the time from one fetch to the next if no nudge comes earlier.
    ///
    /// The follower waits for a random time from half to one and a half of the interval. So processes that started
    /// together do not poll together.
    fn interval(&self) -> Duration;

    /// Returns the shortest time from one fetch to the next, however many nudges come.
    fn min_interval(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Receives the handle that reports a possible change, so that the follower fetches early.
    ///
    /// Called once, before the first fetch. Not called for a follower without a thread.
    fn watch(&mut self, nudge: Nudge) {
        let _ = nudge;
    }

    /// Called when the document that was fetched last is the gate's current one. Only from now on may `fetch` return
    /// [`Unchanged`](Fetched::Unchanged) for it.
    fn applied(&mut self) {}

    /// Returns a message for the observers that is not an error, and removes it.
    fn take_note(&mut self) -> Option<String> {
        None
    }
}

/// The result of a fetch from a [`Source`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fetched {
    /// A document. The follower compares its content to detect a change.
    Document(Document),
    /// The source still has the document that was [applied](Source::applied) last.
    Unchanged,
    /// The document is being written. Fetch again after this time.
    Unsettled {
        /// The time to wait.
        again_after: Duration,
    },
}
