//! Why a document was not read, or not put in force.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::gate::UpdateError;

/// Why a source does not say what the document is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    retry_after: Option<Duration>,
}

impl SourceError {
    /// With that text, which holds no secret.
    #[must_use]
    pub fn new(message: impl Into<String>) -> SourceError {
        SourceError { message: message.into(), retry_after: None }
    }

    /// The same, with how long the source asks to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, time: Duration) -> SourceError {
        self.retry_after = Some(time);
        self
    }

    /// How long the source asks to be left alone, if it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// Why what is in force is not what the source has. It stays in force.
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
    /// Whether the source does not say what the document is; it is asked again.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.0, Kind::Source(_))
    }

    /// Why the document was refused, if it was; it is not judged again until it changes.
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

/// Why nothing is followed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// Neither the source nor the last known good has a document that can be put in force.
    #[error("nothing to start from: {error}{}", and(last_known_good.as_deref()))]
    Nothing {
        /// What is wrong with the source, or with its document.
        error: FollowError,
        /// What is wrong with the last known good, where there is one.
        last_known_good: Option<String>,
    },
    /// A rollout drives the gate, and refuses every update that is not its own.
    #[error(
        "a rollout drives this gate, so it cannot follow a source. Change its plan with `Rollout::update`, \
         or follow with a gate of its own: `Follower::start`"
    )]
    Driven,
    /// The system gives no thread.
    #[error("no thread to follow with: {0}")]
    Thread(#[from] io::Error),
}

fn and(last_known_good: Option<&str>) -> String {
    last_known_good.map(|wrong| format!("\nand {wrong}")).unwrap_or_default()
}
