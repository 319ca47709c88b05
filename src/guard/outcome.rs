//! What became of a request.

use std::time::Duration;

/// What became of a request: whether it failed, how long it took, and what else the plan asks about.
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
    /// A bit for each [`Mark`].
    marks: u64,
}

/// A metric of one's own that is a share of requests, as [`Guard::mark`](super::Guard::mark) knows it: what an
/// [`Outcome`] is marked with that is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(u64);

/// Metrics of one's own that a guard counts at the most.
pub(super) const MAX_MARKS: usize = 64;

impl Outcome {
    /// It is well.
    #[must_use]
    pub const fn ok() -> Outcome {
        Outcome { failed: false, latency: None, marks: 0 }
    }

    /// It failed.
    #[must_use]
    pub const fn error() -> Outcome {
        Outcome { failed: true, ..Outcome::ok() }
    }

    /// The same, and it took so long. Without it, it counts for no metric of latencies.
    #[must_use]
    pub const fn took(self, latency: Duration) -> Outcome {
        Outcome { latency: Some(latency), ..self }
    }

    /// The same, and it is one of those that a metric of one's own counts. Every other outcome of the flag is not.
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
    /// Of what no metric counts.
    pub(super) const NONE: Mark = Mark(0);

    /// The mark of that number, below [`MAX_MARKS`].
    pub(super) fn of(number: usize) -> Mark {
        let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number));
        Mark(bit.unwrap_or(0))
    }
}
