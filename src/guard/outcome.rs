//! The outcome of a request.

use std::time::Duration;

/// The outcome of a request: success or error, its latency, and marks for metrics of your own.
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
    /// One bit for each [`Mark`].
    marks: u64,
}

/// A mark for outcomes that a metric of your own counts, such as declined payments.
/// [`Guard::mark`](super::Guard::mark) returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

/// Most marked metrics that a guard counts: one for each bit of [`Mark`].
pub(super) const MAX_MARKS: usize = 64;

impl Outcome {
    /// Returns the outcome of a request that succeeded.
    #[must_use]
    pub const fn ok() -> Outcome {
        Outcome { failed: false, latency: None, marks: 0 }
    }

    /// Returns the outcome of a request that failed.
    #[must_use]
    pub const fn error() -> Outcome {
        Outcome { failed: true, ..Outcome::ok() }
    }

    /// Adds the latency. An outcome without a latency counts for no latency metric.
    #[must_use]
    pub const fn took(self, latency: Duration) -> Outcome {
        Outcome { latency: Some(latency), ..self }
    }

    /// Adds a mark: the metric of this mark counts the request as a hit. It counts the flag's other requests as
    /// requests without a hit.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::guard::{Guard, Outcome};
    /// use stagegate::{Gate, Plan};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [metrics.declined]
    ///     unit = "percent"
    ///     better = "less"
    ///     source = "application"
    ///     [flags.pay]
    ///     stage = "all"
    ///     stages = [{ name = "all", percent = 100 }]
    ///     triggers = [{ metric = "declined", above = "10%", no_data = "hold", action = "rollback" }]
    /// "#)?;
    /// let guard = Guard::new(&Gate::from_plan(&plan), plan);
    /// guard.look(Duration::ZERO);
    /// let (pay, declined) = (guard.flag("pay"), guard.mark("declined"));
    /// for user in 0..100 {
    ///     let outcome = if user % 2 == 0 { Outcome::ok().marked(declined) } else { Outcome::ok() };
    ///     pay.record(user, outcome);
    /// }
    /// assert!(guard.look(Duration::from_secs(1))[0].findings[0].verdict.is_breach());
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub const fn marked(self, mark: Mark) -> Outcome {
        Outcome { marks: self.marks | mark.0, ..self }
    }

    pub(super) fn has(&self, mark: Mark) -> bool {
        self.marks & mark.0 != 0
    }
}

impl Mark {
    /// The mark that no metric counts.
    pub(super) const NONE: Mark = Mark(0);

    /// Returns the mark with this number, or [`Mark::NONE`] from [`MAX_MARKS`] on.
    pub(super) fn of(number: usize) -> Mark {
        let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
        Mark(bit.unwrap_or(0))
    }
}
