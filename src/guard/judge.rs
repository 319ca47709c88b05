//! The judge of a flag's triggers in one stage.

use super::bets::{Bets, UNEVEN};
use super::counts::{Counts, Look, Share};
use super::share_limit::{LatencyLimit, TriggerShares, fraction};
use super::trigger::TriggerJudge;
use super::verdict::Finding;
use crate::plan::model::FlagPlan;

/// A judge of a flag's triggers in one stage, look by look.
///
/// [`Guard`](super::Guard) has one for each flag. Use a judge of your own for counts from elsewhere.
///
/// # Complexity
///
/// A look takes well under a microsecond a trigger, and allocates only the list it returns. A trigger with `for`
/// keeps twelve windows and goes through all of them.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::Plan;
/// use stagegate::guard::{Counts, Judge, Look};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     triggers = [
///         { metric = "error_rate", worse_than_control_by = "100%", no_data = "hold", action = "rollback" },
///     ]
/// "#)?;
/// let mut judge = Judge::new(&plan.flag("search").unwrap(), "pilot").unwrap();
/// let mut minute = |number: u64, errors| {
///     let mut look = Look::new(Duration::from_secs(60 * number));
///     look.treatment = Counts { requests: 100, errors, ..Counts::default() };
///     look.control = Counts { requests: 900, errors: 9, ..Counts::default() };
///     judge.look(&look)[0].verdict.name()
/// };
/// assert_eq!([minute(1, 1), minute(2, 0), minute(3, 2)], ["pass"; 3]);
/// assert_eq!([minute(4, 9), minute(5, 11)], ["pass", "breach"]);
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Judge {
    pub(super) triggers: Vec<TriggerJudge>,
    /// The limits behind [`Counts::slow`], in the same order.
    latencies: Vec<LatencyLimit>,
    /// The metrics behind [`Counts::marked`], in the same order.
    marked: Vec<Box<str>>,
    /// The metrics behind [`Counts::unmarked`], in the same order.
    unmarked: Vec<Box<str>>,
    /// The probability of a false alarm of each sequential test.
    pub(super) alpha: f64,
    split: SplitTest,
}

/// The probability of a false alarm for a harmless flag in a stage, shared by its triggers.
pub const ALPHA: f64 = 0.01;

/// Clamps `alpha` to between 0 and 1, both excluded. NaN becomes [`ALPHA`].
pub(super) fn valid_alpha(alpha: f64) -> f64 {
    match alpha.is_nan() {
        true => ALPHA,
        false => alpha.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON),
    }
}

/// The probability of a false alarm for the split of users, in a stage.
pub const UNEVEN_ALPHA: f64 = 0.001;

/// A two-sided test of the split of users: too many of them with the flag, or too few.
#[derive(Clone, Debug)]
struct SplitTest {
    share: f64,
    more: Bets,
    fewer: Bets,
}

impl Judge {
    /// Returns a judge for a flag that begins this stage, or `None` if the flag has no such stage.
    #[must_use]
    pub fn new(flag: &FlagPlan<'_>, stage: &str) -> Option<Judge> {
        Judge::with_readings(flag, stage, &[])
    }

    /// Like [`new`](Judge::new), but compares the values of these metrics ([`Look::readings`]) with their limits, even
    /// if an application could count them.
    #[must_use]
    pub fn with_readings(flag: &FlagPlan<'_>, stage: &str, metrics: &[&str]) -> Option<Judge> {
        let share = flag.stages().find(|known| *known.name() == *stage)?.percent().ppm();
        let mut shares = TriggerShares { read_metrics: metrics, ..TriggerShares::default() };
        let triggers: Vec<TriggerJudge> = flag
            .triggers()
            .iter()
            .map(|trigger| TriggerJudge::new(&trigger.cause, &mut shares))
            .collect();
        let split =
            SplitTest { share: fraction(share), more: Bets::new(UNEVEN), fewer: Bets::new(UNEVEN) };
        let TriggerShares { latencies, marked, unmarked, .. } = shares;
        let judge = Judge { triggers, latencies, marked, unmarked, alpha: ALPHA, split };
        Some(judge.with_alpha(ALPHA))
    }

    /// Sets the probability of a false alarm, shared by the triggers, instead of [`ALPHA`].
    ///
    /// The value is clamped to between 0 and 1; NaN counts as [`ALPHA`].
    #[must_use]
    pub fn with_alpha(self, alpha: f64) -> Judge {
        let alpha = valid_alpha(alpha);
        let tests = self.triggers.iter().filter(|judge| judge.test.is_sequential()).count();
        Judge { alpha: alpha / tests.max(1) as f64, ..self }
    }

    /// Sets control's counts in the stage before, to compare with if every user has the flag in this stage.
    ///
    /// Take these counts from the beginning of that stage. Later, control looks better, because users with an error
    /// are no longer counted. In the new stage all of them are back.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::Plan;
    /// use stagegate::guard::{Counts, Judge, Look};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     triggers = [
    ///         { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    ///     ]
    /// "#)?;
    /// let mut look = Look::new(Duration::from_secs(60));
    /// look.treatment = Counts { requests: 1_000, errors: 50, ..Counts::default() };
    /// let judge = || Judge::new(&plan.flag("search").unwrap(), "ga").unwrap();
    /// assert_eq!(judge().look(&look)[0].verdict.name(), "insufficient");
    /// let before = Counts { requests: 9_000, errors: 90, ..Counts::default() };
    /// assert!(judge().with_control_before(&before).look(&look)[0].verdict.is_breach());
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn with_control_before(mut self, before: &Counts) -> Judge {
        self.triggers.iter_mut().for_each(|judge| {
            judge.use_control_share(|kind| Share::new(before, kind));
        });
        self
    }

    /// Like [`with_control_before`](Judge::with_control_before), with the judge of the stage before, which has the
    /// same triggers.
    pub(super) fn with_previous_judge(mut self, before: &Judge) -> Judge {
        let triggers = self.triggers.iter_mut().zip(&before.triggers);
        triggers.for_each(|(judge, before)| judge.use_control_of(before));
        self
    }

    /// Returns the latency limits behind [`Counts::slow`], in the same order: one for each trigger on a latency.
    #[must_use]
    pub fn latencies(&self) -> &[LatencyLimit] {
        &self.latencies
    }

    /// Returns the metrics behind [`Counts::marked`], in the same order: shares of requests that the application marks.
    #[must_use]
    pub fn marked(&self) -> &[Box<str>] {
        &self.marked
    }

    /// Returns the metrics behind [`Counts::unmarked`], in the same order: marked shares with a trigger that has
    /// `below`.
    #[must_use]
    pub fn unmarked(&self) -> &[Box<str>] {
        &self.unmarked
    }

    /// Adds the counts since the last look, and returns the verdict on each trigger.
    pub fn look(&mut self, look: &Look) -> Vec<Finding> {
        let (treated, others) = look.users;
        let users = treated.saturating_add(others);
        self.split.more.look(treated, users, self.split.share);
        self.split.fewer.look(others, users, 1.0 - self.split.share);
        let alpha = self.alpha;
        let judges = self.triggers.iter_mut().enumerate();
        judges
            .map(|(trigger, judge)| Finding { trigger, verdict: judge.look(look, alpha) })
            .collect()
    }

    /// The share of users that the stage admits by their bucket.
    pub(super) fn share(&self) -> f64 {
        self.split.share
    }

    /// Returns whether users are not split as the stage says. If so, the wrong users are counted, and no figure can be
    /// trusted.
    #[must_use]
    pub fn is_uneven(&self) -> bool {
        let level = (2.0 / UNEVEN_ALPHA).ln();
        self.split.more.ln_evidence() >= level || self.split.fewer.ln_evidence() >= level
    }
}
