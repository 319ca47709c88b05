//! A pinned version of a gate.

use std::fmt;

use super::swap::Loaded;
use crate::eval::{AsUser, Evaluation, Snapshot, StageName};

/// One version of a gate's flags, which no update changes. Use it for several checks that must agree.
///
/// Create it with [`Gate::pin`](super::Gate::pin), usually once per request. It keeps its version in memory while it
/// lives. Hold at most eight on one thread: creating a ninth increments a reference count that all threads share.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
///
/// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"\n[flags.b]\nstage = \"ga\"")?;
/// let request = gate.pin();
/// assert!(request.is_enabled(1, "a"));
/// gate.roll_back("b")?;
/// assert!(request.is_enabled(1, "b"));
/// assert_eq!((request.version(), gate.version()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pinned(Loaded);

impl Pinned {
    pub(super) fn new(loaded: Loaded) -> Pinned {
        Pinned(loaded)
    }

    #[inline]
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.0
    }

    /// Returns the pinned version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version()
    }

    /// Returns whether the user has the flag, as [`Gate::is_enabled`](super::Gate::is_enabled) does.
    #[inline(always)]
    pub fn is_enabled(&self, user: impl AsUser, flag: &str) -> bool {
        self.0.is_enabled(flag, &user)
    }

    /// Returns the decision with its reason, as [`Gate::evaluate`](super::Gate::evaluate) does.
    #[inline]
    pub fn evaluate(&self, user: impl AsUser, flag: &str) -> Evaluation {
        self.0.evaluate(self.0.flag(flag), &user)
    }

    /// Returns the user's cohort, as [`Gate::cohort`](super::Gate::cohort) does.
    pub fn cohort(&self, user: impl AsUser, flag: &str) -> Option<StageName> {
        self.evaluate(user, flag).cohort
    }

    /// Evaluates every flag for one user, in order of the keys.
    ///
    /// # Complexity
    ///
    /// Allocates nothing.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"\n[flags.b]")?;
    /// let pinned = gate.pin();
    /// let answers = pinned.evaluate_all(42).map(|(flag, answer)| (flag, answer.enabled));
    /// assert_eq!(answers.collect::<Vec<_>>(), [("a", true), ("b", false)]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn evaluate_all(&self, user: impl AsUser) -> impl Iterator<Item = (&str, Evaluation)> {
        let snapshot = &*self.0;
        let flags = snapshot.flags().iter();
        flags.map(move |flag| (flag.key().as_str(), flag.evaluate(&user, snapshot)))
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("version", &self.version()).finish_non_exhaustive()
    }
}
