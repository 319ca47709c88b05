//! Following a document: whenever it changes where it lives, the gate changes.
//!
//! A [`Source`] says what the document is now: a [`File`], with feature `http` a `source::Http`, or whatever implements
//! the trait. A [`Follower`] asks it again and again, in a thread of its own, and puts in force what is new. Nothing that
//! happens to the source takes a good state away: what cannot be read, is no plan, or skips a stage is reported, and what
//! was in force stays.
//!
//! The chapter on [following](crate::_docs::following) says what is noticed when, and what survives what.

mod changed;
mod error;
mod file;
mod follower;
#[cfg(feature = "_http")]
mod http;
mod kept;
mod observer;
mod options;
mod pace;
mod round;
mod signal;
mod status;

use std::time::Duration;

pub use changed::Changed;
pub use error::{FollowError, SourceError, StartError};
pub use file::File;
pub use follower::Follower;
#[cfg(feature = "_http")]
pub use http::Http;
pub use observer::{FollowEvent, FollowObserver};
pub use options::{FollowOptions, WithNothing};
pub use round::Refreshed;
pub use signal::Nudge;
pub use status::{FollowStatus, Freshness};

use crate::plan::Document;

/// Where a document is read from, again and again.
///
/// Used by one thread at a time: an answer that comes late is never put in force after one that was asked for later.
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
///     "nothing to start from: `NO_SUCH_PLAN`: environment variable not found",
/// );
/// ```
pub trait Source: Send {
    /// What the document is now.
    ///
    /// It has a deadline of its own: nothing else is asked meanwhile.
    ///
    /// # Errors
    ///
    /// [`SourceError`] when that cannot be told. No secret stands in its text.
    fn fetch(&mut self) -> Result<Fetched, SourceError>;

    /// How long after an answer it is asked again, if nothing nudges: any time from half to one and a half of that, so that
    /// many who were started together do not ask together.
    fn interval(&self) -> Duration;

    /// How long after an answer it is asked again at the soonest, however often it nudges.
    fn rest(&self) -> Duration {
        Duration::from_millis(100)
    }

    /// Is given what to nudge with when something may have changed; once, before the first fetch, and only if there is a
    /// thread to be nudged.
    fn watch(&mut self, nudge: Nudge) {
        let _ = nudge;
    }

    /// What was fetched last is in force: only now may it be asked for "if changed".
    fn applied(&mut self) {}

    /// Something that is no failure but should be known, once.
    fn take_note(&mut self) -> Option<String> {
        None
    }
}

/// What a [`Source`] has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fetched {
    /// This document. Whether it is another one than before is told by its content.
    Document(Document),
    /// What was [applied](Source::applied) last.
    Unchanged,
    /// Something that is changing just now: ask again after that time.
    Unsettled {
        /// The time.
        again_after: Duration,
    },
}
