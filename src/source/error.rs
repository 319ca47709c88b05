//! Errors of reading and applying a document.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::gate::UpdateError;

/// The error of a source that could not read its document.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// Returns an error with this text. Put no secrets in the text.
    #[must_use]
    pub fn new(message: impl Into<String>) -> SourceError {
        SourceError { message: message.into(), retry_after: None }
    }

    /// Sets the time that the source asks clients to wait before the next request.
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> SourceError {
        self.retry_after = Some(time);
        self
    }

    /// Returns the time that the source asks clients to wait before the next request.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// The reason why a refresh failed. The gate keeps its current plan.
#[derive(Clone, Debug, Error)]
#[error(transparent)]
pub struct FollowError(Kind);

#[derive(Clone, Debug, Error)]
enum Kind {
    #[error(transparent)]
    Source(SourceError),
    #[error(transparent)]
    Update(UpdateError),
}

impl FollowError {
    /// Returns whether the source could not read the document. The follower retries.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.0, Kind::Source(_))
    }

    /// Returns why the document was refused. The follower does not check it again until it changes.
    #[must_use]
    pub fn refusal(&self) -> Option<&UpdateError> {
        match &self.0 {
            Kind::Update(error) => Some(error),
            Kind::Source(_) => None,
        }
    }
}

impl FollowError {
    pub(super) fn source_error(&self) -> Option<&SourceError> {
        match &self.0 {
            Kind::Source(error) => Some(error),
            Kind::Update(_) => None,
        }
    }
}

impl From<SourceError> for FollowError {
    fn from(error: SourceError) -> FollowError {
        FollowError(Kind::Source(error))
    }
}

impl From<UpdateError> for FollowError {
    fn from(error: UpdateError) -> FollowError {
        FollowError(Kind::Update(error))
    }
}

/// The reason why a follower did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Neither the source nor the last known good has a valid document.
    #[error("no document to start from: {error}{}", and(last_known_good.as_deref()))]
    NoDocument {
        /// The error of the source or of its document.
        error: FollowError,
        /// The error of the last known good. `None` if there is no such file.
        last_known_good: Option<String>,
    },
    /// A rollout drives the gate and refuses documents from elsewhere.
    #[error(
        "a rollout drives this gate, so it cannot follow a source. Change its plan with `Rollout::update`, \
         or follow with a gate of its own: `Follower::start`"
    )]
    Driven,
    /// The operating system cannot start a thread.
    #[error("cannot start a thread for the follower: {0}")]
    Thread(#[from] io::Error),
}

fn and(last_known_good: Option<&str>) -> String {
    last_known_good.map(|wrong| format!("\nand {wrong}")).unwrap_or_default()
}
