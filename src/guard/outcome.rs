//! What became of a request.

use std::time::Duration;

/// What became of a request: whether it failed, and how long it took.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::guard::Outcome;
///
/// let outcome = Outcome::ok().took(Duration::from_millis(120));
/// let failed = Outcome::error();
/// assert_ne!(outcome, failed);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub(super) failed: bool,
    pub(super) latency: Option<Duration>,
}

impl Outcome {
    /// It is well.
    #[must_use]
    pub const fn ok() -> Outcome {
        Outcome { failed: false, latency: None }
    }

    /// It failed.
    #[must_use]
    pub const fn error() -> Outcome {
        Outcome { failed: true, latency: None }
    }

    /// The same, and it took so long. Without it, it counts for no trigger on latencies.
    #[must_use]
    pub const fn took(self, latency: Duration) -> Outcome {
        Outcome { latency: Some(latency), ..self }
    }
}
