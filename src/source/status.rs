//! The status of a follower.

use std::time::Duration;

use super::error::FollowError;
use crate::clock::Moment;

/// How the gate's current document relates to the source's document.
///
/// ```text
///           | current or applied     | no answer               | refused
/// ----------+------------------------+-------------------------+---------
/// NotReady  | Ready                  | NotReady                | NotReady
/// Ready     | Ready                  | Stale                   | Failed
/// Stale     | Ready                  | Stale                   | Failed
/// Failed    | Ready                  | Stale                   | Failed
/// ```
///
/// After a start from the last known good it is `Stale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// The source has had no valid document yet, and there was no last known good.
    NotReady,
    /// The gate has the document that the source had at the last fetch.
    Ready,
    /// The source does not answer, so it may have a newer document. The follower retries.
    Stale,
    /// The source has a document that was refused. Its author has to change it.
    Failed,
}

/// The status of a [`Follower`](super::Follower).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowStatus {
    /// How the gate's current document relates to the source's document.
    pub freshness: Freshness,
    /// The time since the source was last seen to have the current document. For a last known good, the time since it
    /// was written. `None` before the first document.
    pub age: Option<Duration>,
    /// The gate's version.
    pub version: u64,
    /// The error of the last fetch, if it failed or its document was refused.
    pub last_error: Option<FollowError>,
    /// The number of documents of the source that took effect.
    pub applied: u64,
    /// The number of documents of the source that were refused.
    pub refused: u64,
    /// The number of fetches that failed.
    pub unreachable: u64,
}

/// The moment at which the source was last seen to have the current document.
#[derive(Clone, Debug)]
pub(super) struct Confirmed {
    pub(super) at: Moment,
    /// The age of the document at that moment. Zero, unless it came from the last known good.
    pub(super) age: Duration,
}

impl Confirmed {
    pub(super) fn age(&self, now: &Moment) -> Duration {
        now.since(&self.at).saturating_add(self.age)
    }
}
