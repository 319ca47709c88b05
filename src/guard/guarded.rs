//! The guard of a gate's flags: what applications call, and the state behind it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::flag_entry::FlagEntry;
use super::guarded_flag::GuardedFlag;
use super::judge::{ALPHA, valid_alpha};
use super::outcome::{MAX_MARKS, Mark};
use super::stage_monitor::{self, Judgement, StageMonitor};
use crate::gate::Gate;
use crate::plan::Plan;
use crate::plan::model::Quantity;

/// A monitor that counts the outcomes of requests and judges the triggers of a gate's flags.
///
/// It counts every flag with triggers, or with metrics that the application measures. A clone is the same guard.
///
/// # Complexity
///
/// A request of a counted flag costs one check and a handful of atomic operations, mostly on memory that only its
/// thread writes. A request of any other flag costs one check. A counted flag takes about 20 KiB, 8 KiB more for
/// each latency limit and each marked metric, and 47 KiB more if it has latency percentiles to measure.
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
///     [flags.search]
///     stage = "pilot"
///     stages = [{ name = "pilot", percent = 50 }, { name = "ga", percent = 100 }]
///     triggers = [
///         { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
///     ]
/// "#)?;
/// let gate = Gate::from_plan(&plan);
/// let guard = Guard::new(&gate, plan);
/// guard.look(Duration::ZERO);
///
/// let search = guard.flag("search");
/// for user in 0..1_000 {
///     let request = search.enter(user);
///     // With the flag, every fifth request fails.
///     let fails = request.is_enabled() && user % 5 == 0;
///     request.finish(if fails { Outcome::error() } else { Outcome::ok() });
/// }
/// let judgement = &guard.look(Duration::from_secs(60))[0];
/// assert!(judgement.findings[0].verdict.is_breach());
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone)]
pub struct Guard {
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    /// Locked during a look, for microseconds a flag. Counting a request does not take this lock.
    state: Mutex<State>,
}

pub(super) struct State {
    plan: Arc<Plan>,
    /// The probability of a false alarm for a flag in a stage, shared by its triggers.
    alpha: f64,
    pub(super) flags: BTreeMap<Box<str>, FlagEntry>,
    /// Names of marked metrics; the index is the number of the [`Mark`].
    marks: Vec<Box<str>>,
}

impl Guard {
    /// Returns a guard of the gate's flags by this plan's triggers. Give it the plan that the gate has. Counting
    /// begins with the first [`look`](Guard::look).
    #[must_use]
    pub fn new(gate: &Gate, plan: impl Into<Arc<Plan>>) -> Guard {
        let plan = plan.into();
        let (flags, marks) = (BTreeMap::new(), Vec::new());
        let mut state = State { plan: Arc::clone(&plan), alpha: ALPHA, flags, marks };
        state.apply_plan(gate, plan);
        Guard { shared: Arc::new(Shared { gate: gate.clone(), state: Mutex::new(state) }) }
    }

    /// Sets the probability of a false alarm for a flag in a stage, instead of [`ALPHA`]. Call this before the first
    /// look.
    ///
    /// If any of `n` processes may roll the flag back, give each process `ALPHA / n`. The value is clamped to between
    /// 0 and 1; NaN counts as [`ALPHA`].
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use stagegate::guard::{ALPHA, Guard, Outcome};
    /// use stagegate::{Gate, Plan};
    ///
    /// let plan = Arc::new(Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stage = "ga"
    ///     triggers = [{ metric = "error_rate", above = "50%", no_data = "hold", action = "rollback" }]
    /// "#)?);
    /// let gate = Gate::from_plan(&plan);
    /// let found = |alpha: f64| {
    ///     let guard = Guard::new(&gate, Arc::clone(&plan)).with_alpha(alpha);
    ///     guard.look(Duration::ZERO);
    ///     (0..20).for_each(|user| guard.flag("search").record(user, Outcome::error()));
    ///     !guard.look(Duration::from_secs(1))[0].breached.is_empty()
    /// };
    /// // One of 20 processes; and one that is hardly ever wrong, so 20 errors are not enough for it.
    /// assert!(found(ALPHA / 20.0) && !found(1e-12));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn with_alpha(self, alpha: f64) -> Guard {
        self.state().alpha = valid_alpha(alpha);
        self
    }

    /// Replaces the plan, after the gate's plan was replaced. A flag keeps its counts if its stages, triggers and
    /// metrics are the same. Any other flag starts over.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::guard::Guard;
    /// use stagegate::{Gate, Plan};
    ///
    /// let [first, second] = ["5%", "2%"].map(|limit| format!(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     triggers = [{{ metric = "error_rate", above = "{limit}", no_data = "hold", action = "rollback" }}]
    /// "#));
    /// let gate = Gate::from_document(&*first)?;
    /// let guard = Guard::new(&gate, Plan::parse(first)?);
    /// gate.update(&*second)?;
    /// guard.update(Plan::parse(second)?);
    /// assert_eq!(guard.plan().flag("search").unwrap().triggers()[0].cause.to_string(), "error_rate > 2%");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&self, plan: impl Into<Arc<Plan>>) {
        let plan = plan.into();
        let mut state = self.state();
        if !Arc::ptr_eq(&state.plan, &plan) {
            state.apply_plan(&self.shared.gate, plan);
        }
    }

    /// Returns a handle to check and count one flag. Make it once and keep it.
    ///
    /// A further name of a flag (`asked_as`) works, too. The handle is for the flag that has the name now, and stays
    /// with that flag if an update moves the name.
    #[must_use]
    pub fn flag(&self, name: &str) -> GuardedFlag {
        let mut state = self.state();
        let plan = Arc::clone(&state.plan);
        let key = plan.key_of(name).unwrap_or(name);
        // Also for a flag that is not in the plan: a later plan may have it.
        let handle = || self.shared.gate.flag(key);
        let entry = state.flags.entry(key.into()).or_insert_with(|| FlagEntry::new(handle()));
        GuardedFlag::new(entry.handle.clone(), Arc::clone(&entry.link))
    }

    /// Returns the mark for outcomes that a metric of your own counts. See [`Outcome::marked`](super::Outcome::marked).
    ///
    /// The metric needs `source = "application"` and `unit = "percent"`. The mark has no effect for any other metric,
    /// nor beyond the first 64 metrics.
    #[must_use]
    pub fn mark(&self, metric: &str) -> Mark {
        self.state().mark(metric)
    }

    /// Hands over the value of a metric that the guard does not count; `control` is the value for users without the
    /// flag. The next look judges it. Has no effect for a flag without triggers.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::guard::Guard;
    /// use stagegate::model::Quantity;
    /// use stagegate::{Gate, Plan};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stage = "ga"
    ///     triggers = [{ metric = "complaints", above = 20, no_data = "hold", action = "rollback" }]
    /// "#)?;
    /// let guard = Guard::new(&Gate::from_plan(&plan), plan);
    /// guard.record_reading("search", "complaints", Quantity::Count(21), None);
    /// assert_eq!(guard.look(Duration::ZERO)[0].breached, [0]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn record_reading(
        &self,
        flag: &str,
        metric: &str,
        value: Quantity,
        control: Option<Quantity>,
    ) {
        if let Some(entry) = self.state().flags.get_mut(flag) {
            entry.readings.insert(metric.into(), (value, control));
        }
    }

    /// Like [`record_reading`](Guard::record_reading), but ignores the reading with the id of the metric's last one.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn record_reading_once(
        &self,
        flag: &str,
        metric: &str,
        id: u64,
        value: (Quantity, Option<Quantity>),
    ) {
        if let Some(entry) = self.state().flags.get_mut(flag)
            && entry.reading_ids.insert(metric.into(), id) != Some(id)
        {
            entry.readings.insert(metric.into(), value);
        }
    }

    /// Judges the counts since the last look. `now` is the reading of a monotonic clock.
    ///
    /// A flag that has changed stage starts over. A flag that is off is measured but not judged.
    ///
    /// # Complexity
    ///
    /// Microseconds a flag.
    #[expect(clippy::must_use_candidate, reason = "the first look starts the counting")]
    pub fn look(&self, now: Duration) -> Vec<Judgement> {
        let State { plan, alpha, flags, .. } = &mut *self.state();
        flags.iter_mut().filter_map(|(key, flag)| flag.look(key, plan, *alpha, now)).collect()
    }

    /// Returns the plan whose triggers the guard judges.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.state().plan)
    }

    /// Returns the bytes that the counters of all flags take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let state = self.state();
        let counters = state.flags.values().filter_map(|entry| entry.link.counters.as_ref());
        counters.map(|counters| counters.bytes() + StageMonitor::bytes(counters)).sum()
    }

    /// No code panics while it holds the lock, so the state is sound even if the lock is poisoned.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn mark(&mut self, metric: &str) -> Mark {
        let known = self.marks.iter().position(|known| **known == *metric);
        let number = known.unwrap_or_else(|| {
            if self.marks.len() < MAX_MARKS {
                self.marks.push(metric.into());
                self.marks.len() - 1
            } else {
                MAX_MARKS
            }
        });
        Mark::of(number)
    }

    fn apply_plan(&mut self, gate: &Gate, plan: Arc<Plan>) {
        let old = std::mem::replace(&mut self.plan, plan);
        let plan = Arc::clone(&self.plan);
        for key in plan.flags() {
            let Some(flag) = plan.flag(key) else { continue };
            let (known, before) = (self.flags.contains_key(key), old.flag(key));
            if known && before.is_some_and(|before| stage_monitor::keeps_counts(&before, &flag)) {
                continue;
            }
            let metrics = flag.tracked_metrics();
            let marks: BTreeMap<&str, Mark> =
                metrics.map(|metric| (&*metric.name, self.mark(&metric.name))).collect();
            let mark = |metric: &str| marks.get(metric).copied().unwrap_or(Mark::NONE);
            let entry = self.flags.entry(key.into());
            entry.or_insert_with(|| FlagEntry::new(gate.flag(key))).apply_plan(&flag, mark);
        }
        for (key, entry) in &mut self.flags {
            if plan.flag(key).is_none() {
                entry.replace_counters(None);
            }
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("flags", &self.state().flags.len()).finish_non_exhaustive()
    }
}
