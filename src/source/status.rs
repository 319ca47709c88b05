//! How far what is in force can be relied on.

use std::time::Duration;

use super::error::FollowError;
use crate::clock::Moment;

/// How what is in force stands to what the source has.
///
/// ```text
///           | a document is in force | no answer               | refused
/// ----------+------------------------+-------------------------+---------
/// NotReady  | Ready                  | NotReady                | NotReady
/// Ready     | Ready                  | Stale                   | Failed
/// Stale     | Ready                  | Stale                   | Failed
/// Failed    | Ready                  | Stale                   | Failed
/// ```
///
/// Started from the last known good it is `Stale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// The source has had no document yet that could be put in force, and there was no last known good.
    NotReady,
    /// What is in force is what the source had when it was last asked.
    Ready,
    /// The source does not answer, so there may be something newer. It is asked again.
    Stale,
    /// The source has a document that was refused. It takes somebody to change it.
    Failed,
}

/// What a [`Follower`](super::Follower) has come to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FollowStatus {
    /// How what is in force stands to what the source has.
    pub freshness: Freshness,
    /// How long ago the source had what is in force; of a last known good, how long ago it was written. `None` where the
    /// source never had.
    pub age: Option<Duration>,
    /// The version of the gate.
    pub version: u64,
    /// What was wrong when the source was last asked, if anything was.
    pub last_error: Option<FollowError>,
    /// Documents of the source that were put in force.
    pub applied: u64,
    /// Documents of the source that were refused.
    pub refused: u64,
    /// Times that the source did not say what the document is.
    pub unreachable: u64,
}

/// Since when what is in force has not been seen at the source.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Moment,
    /// How old it was then.
    pub(super) age: Duration,
}

impl Seen {
    pub(super) fn age(&self, now: &Moment) -> Duration {
        now.since(&self.at).saturating_add(self.age)
    }
}
