//! All triggers of a flag, judged in one stage.

use super::bets::{Bets, UNEVEN};
use super::counted::{Counting, Latency};
use super::counts::{Counts, Look, Share};
use super::trigger::Judged;
use super::verdict::Finding;
use crate::plan::model::FlagPlan;

/// Judges the triggers of a flag while it is in one stage, look by look.
///
/// # Complexity
///
/// A look costs well under a microsecond a trigger and allocates only the list it returns, but for
/// triggers with `for`, which keep twelve windows and go over them.
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
    pub(super) triggers: Vec<Judged>,
    /// Limits of latencies, as `slow` of [`Counts`] has them.
    latencies: Vec<Latency>,
    /// Metrics of one's own, as `marked` of [`Counts`] has them.
    marked: Vec<Box<str>>,
    /// The metrics behind `unmarked` of [`Counts`], in the same order.
    unmarked: Vec<Box<str>>,
    /// What a breach has to be certain to, of each test.
    pub(super) alpha: f64,
    split: Split,
}

/// The probability that a flag that does no harm is ever taken back in a stage, all its triggers together.
pub const ALPHA: f64 = 0.01;

/// The nearest probability that can be decided by; [`ALPHA`] for what is no number.
pub(super) fn usable(alpha: f64) -> f64 {
    match alpha.is_nan() {
        true => ALPHA,
        false => alpha.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON),
    }
}

/// The same of a split of users that is as it should be and is ever called uneven.
pub const UNEVEN_ALPHA: f64 = 0.001;

/// Whether users are split as the stage says.
#[derive(Clone, Debug)]
struct Split {
    share: f64,
    more: Bets,
    fewer: Bets,
}

impl Judge {
    /// A judge of a flag that begins a stage; `None` where its plan has no such stage.
    #[must_use]
    pub fn new(flag: &FlagPlan<'_>, stage: &str) -> Option<Judge> {
        Judge::reading(flag, stage, &[])
    }

    /// The same where these metrics are known by their values alone (`values` of [`Look`]), though an application
    /// could count them.
    #[must_use]
    pub fn reading(flag: &FlagPlan<'_>, stage: &str, metrics: &[&str]) -> Option<Judge> {
        let share = flag.stages().find(|known| *known.name() == *stage)?.percent().ppm();
        let mut counting = Counting { read: metrics, ..Counting::default() };
        let triggers: Vec<Judged> = flag
            .triggers()
            .iter()
            .map(|trigger| Judged::new(&trigger.cause, &mut counting))
            .collect();
        let split = Split {
            share: f64::from(share) / 1e6,
            more: Bets::new(UNEVEN),
            fewer: Bets::new(UNEVEN),
        };
        let Counting { latencies, marked, unmarked, .. } = counting;
        let judge = Judge { triggers, latencies, marked, unmarked, alpha: ALPHA, split };
        Some(judge.with_alpha(ALPHA))
    }

    /// The same with another probability of a false alarm than [`ALPHA`], all triggers together.
    ///
    /// Of a value that is not between 0 and 1, the nearest one that is counts. NaN counts as [`ALPHA`].
    #[must_use]
    pub fn with_alpha(self, alpha: f64) -> Judge {
        let alpha = usable(alpha);
        let tests = self.triggers.iter().filter(|judged| judged.test.is_sequential()).count();
        Judge { alpha: alpha / tests.max(1) as f64, ..self }
    }

    /// The same with what control came to in the stage before: what to compare with where nobody is
    /// without the flag by chance.
    ///
    /// Take it of that stage's beginning: users who have erred count no more, and with the new stage all of them are back.
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
        self.triggers.iter_mut().for_each(|judged| {
            judged.compare_with_share(|kind| Share::new(before, kind));
        });
        self
    }

    /// The same by the judge of the stage before, which has the same triggers.
    pub(super) fn with_control_of(mut self, before: &Judge) -> Judge {
        let triggers = self.triggers.iter_mut().zip(&before.triggers);
        triggers.for_each(|(judged, before)| judged.compare_with(before));
        self
    }

    /// From when on a request is slow, trigger by trigger: what `slow` of [`Counts`] is counted by, in
    /// this order.
    #[must_use]
    pub fn latencies(&self) -> &[Latency] {
        &self.latencies
    }

    /// Metrics of one's own that are shares of requests: what `marked` of [`Counts`] is counted by, in this order.
    #[must_use]
    pub fn marked(&self) -> &[Box<str>] {
        &self.marked
    }

    /// The metrics behind `unmarked` of [`Counts`], in the same order: marked shares with a trigger that has `below`.
    #[must_use]
    pub fn unmarked(&self) -> &[Box<str>] {
        &self.unmarked
    }

    /// Takes in what was counted since the look before, and says what it comes to, trigger by trigger.
    pub fn look(&mut self, look: &Look) -> Vec<Finding> {
        let (treated, others) = look.users;
        let users = treated.saturating_add(others);
        self.split.more.look(treated, users, self.split.share);
        self.split.fewer.look(others, users, 1.0 - self.split.share);
        let alpha = self.alpha;
        let judged = self.triggers.iter_mut().enumerate();
        judged
            .map(|(trigger, judged)| Finding { trigger, verdict: judged.look(look, alpha) })
            .collect()
    }

    /// The share of users that the stage lets in by their bucket.
    pub(super) fn share(&self) -> f64 {
        self.split.share
    }

    /// Whether users are split otherwise than the stage says, so that what is counted is not to be
    /// trusted: some are counted that should not be, or the other way round.
    #[must_use]
    pub fn is_uneven(&self) -> bool {
        let level = (2.0 / UNEVEN_ALPHA).ln();
        self.split.more.ln_evidence() >= level || self.split.fewer.ln_evidence() >= level
    }
}
