//! Counting what becomes of requests, and judging it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::counters::Counters;
use super::flag::{GuardedFlag, Link};
use super::judge::{ALPHA, Judge, usable};
use super::measured::Wanted;
use super::outcome::{MAX_MARKS, Mark};
use super::watched::{self, Judgement, Values, Watched};
use crate::gate::{FlagHandle, Gate};
use crate::plan::Plan;
use crate::plan::model::{FlagPlan, Quantity};

/// Counts what becomes of requests, and judges every flag whose plan asks about that: one with triggers, or with
/// metrics that the application measures.
///
/// It is of the plan that it was made with or [updated](Guard::update) to last. A clone is the same guard.
///
/// # Complexity
///
/// A request of such a flag costs what asking costs and a handful of atomic operations, most of
/// them on memory that its thread alone writes; of any other flag, what asking costs. Such a flag takes about
/// 20 KiB; 8 KiB more for each limit of a latency and each metric of one's own; and 47 KiB more where it is to be
/// known how long requests take.
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
    /// Held while flags are looked at: microseconds each. No request takes it.
    state: Mutex<State>,
}

pub(super) struct State {
    plan: Arc<Plan>,
    /// Of each flag in a stage, all its triggers together.
    alpha: f64,
    pub(super) flags: BTreeMap<Box<str>, Guarded>,
    /// Metrics of one's own, by the number of their mark.
    marks: Vec<Box<str>>,
}

pub(super) struct Guarded {
    handle: FlagHandle,
    link: Arc<Link>,
    wanted: Vec<Wanted>,
    /// `None` until it is looked at.
    pub(super) watched: Option<Watched>,
    /// What was read since the last look.
    values: Values,
    /// Which readings were handed over last.
    tokens: BTreeMap<Box<str>, u64>,
}

impl Guard {
    /// A guard of a gate's flags by the triggers of this plan, which is to be the gate's. Nothing is counted
    /// before the first [`look`](Guard::look).
    #[must_use]
    pub fn new(gate: &Gate, plan: impl Into<Arc<Plan>>) -> Guard {
        let plan = plan.into();
        let (flags, marks) = (BTreeMap::new(), Vec::new());
        let mut state = State { plan: Arc::clone(&plan), alpha: ALPHA, flags, marks };
        state.follow(gate, plan);
        Guard { shared: Arc::new(Shared { gate: gate.clone(), state: Mutex::new(state) }) }
    }

    /// The same with another probability of a false alarm than [`ALPHA`], of a flag in a stage: where a fleet of processes
    /// judges, each by itself, and any of them takes the flag back, a share of it for each. Before the first look.
    ///
    /// Of a value that is not between 0 and 1, the nearest one that is counts. NaN counts as [`ALPHA`].
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
    /// // One of 20 processes; and one that is hardly ever to be wrong.
    /// assert!(found(ALPHA / 20.0) && !found(1e-12));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn with_alpha(self, alpha: f64) -> Guard {
        self.state().alpha = usable(alpha);
        self
    }

    /// Goes on by another plan, as the gate does. A flag whose stages, triggers and metrics are the same goes on as
    /// it was; any other begins anew.
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
            state.follow(&self.shared.gate, plan);
        }
    }

    /// A handle to one flag, for asking and counting. Keep it: it is the fastest way.
    #[must_use]
    pub fn flag(&self, key: &str) -> GuardedFlag {
        let mut state = self.state();
        // Also of a flag that there is not yet: a plan to come may have it.
        let handle = || self.shared.gate.flag(key);
        let guarded = state.flags.entry(key.into()).or_insert_with(|| Guarded::new(handle()));
        GuardedFlag::new(guarded.handle.clone(), Arc::clone(&guarded.link))
    }

    /// What outcomes are marked with that a metric of one's own counts: one whose source is the application and
    /// whose unit is percent. Of any other, and beyond 64 of them, the mark counts for nothing.
    #[must_use]
    pub fn mark(&self, metric: &str) -> Mark {
        self.state().mark(metric)
    }

    /// Takes in what a metric was read to be that is not counted here; `control` is the same for users
    /// without the flag. It counts with the next look. Of a flag without triggers it is forgotten.
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
    /// guard.read("search", "complaints", Quantity::Count(21), None);
    /// assert_eq!(guard.look(Duration::ZERO)[0].breached, [0]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn read(&self, flag: &str, metric: &str, value: Quantity, control: Option<Quantity>) {
        if let Some(guarded) = self.state().flags.get_mut(flag) {
            guarded.values.insert(metric.into(), (value, control));
        }
    }

    /// The same of a reading that may have been handed over before: `token` is of it alone.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn read_once(
        &self,
        flag: &str,
        metric: &str,
        token: u64,
        value: (Quantity, Option<Quantity>),
    ) {
        if let Some(guarded) = self.state().flags.get_mut(flag)
            && guarded.tokens.insert(metric.into(), token) != Some(token)
        {
            guarded.values.insert(metric.into(), value);
        }
    }

    /// Judges what was counted since the last look; `now` is of a clock that only runs on. A flag that has gone
    /// to another stage since begins anew, and one that is off is measured and not judged.
    ///
    /// # Complexity
    ///
    /// Microseconds a flag.
    #[expect(clippy::must_use_candidate, reason = "the first one begins to count")]
    pub fn look(&self, now: Duration) -> Vec<Judgement> {
        let State { plan, alpha, flags, .. } = &mut *self.state();
        flags.iter_mut().filter_map(|(key, flag)| flag.look(key, plan, *alpha, now)).collect()
    }

    /// The plan whose triggers it judges.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.state().plan)
    }

    /// The bytes that counting takes, of all flags.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let state = self.state();
        let counters = state.flags.values().filter_map(|guarded| guarded.link.counters.as_ref());
        counters.map(|counters| counters.bytes() + Watched::bytes(counters)).sum()
    }

    /// Nothing panics while the lock is held, so a poisoned one has sound content.
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

    fn follow(&mut self, gate: &Gate, plan: Arc<Plan>) {
        let old = std::mem::replace(&mut self.plan, plan);
        let plan = Arc::clone(&self.plan);
        for key in plan.flags() {
            let Some(flag) = plan.flag(key) else { continue };
            let (known, before) = (self.flags.contains_key(key), old.flag(key));
            if known && before.is_some_and(|before| watched::is_same(&before, &flag)) {
                continue;
            }
            let metrics = flag.tracked_metrics();
            let marks: BTreeMap<&str, Mark> =
                metrics.map(|metric| (&*metric.name, self.mark(&metric.name))).collect();
            let mark = |metric: &str| marks.get(metric).copied().unwrap_or(Mark::NONE);
            let guarded = self.flags.entry(key.into());
            guarded.or_insert_with(|| Guarded::new(gate.flag(key))).follow(&flag, mark);
        }
        for (key, guarded) in &mut self.flags {
            if plan.flag(key).is_none() {
                guarded.count_by(None);
            }
        }
    }
}

impl Guarded {
    fn new(handle: FlagHandle) -> Guarded {
        let (link, wanted, values) = (Arc::default(), Vec::new(), Values::new());
        Guarded { handle, link, wanted, watched: None, values, tokens: BTreeMap::new() }
    }

    fn follow(&mut self, flag: &FlagPlan<'_>, mark: impl Fn(&str) -> Mark) {
        let (layout, wanted) = watched::wanted(flag, mark);
        self.watched = None;
        let is_counted = !flag.triggers().is_empty() || !wanted.is_empty();
        let has_it = self.link.counters.as_ref().is_some_and(|it| *it.layout() == layout);
        if !(is_counted && has_it) {
            self.count_by(is_counted.then(|| Counters::new(layout)));
        }
        self.wanted = wanted;
    }

    fn count_by(&mut self, counters: Option<Counters>) {
        if counters.is_none() && self.link.counters.is_none() {
            return;
        }
        let next = Arc::new(Link::new(counters));
        self.link.go_on(&next);
        (self.link, self.watched, self.wanted) = (next, None, Vec::new());
    }

    fn look(&mut self, key: &str, plan: &Plan, alpha: f64, now: Duration) -> Option<Judgement> {
        let counters = self.link.counters.as_ref()?;
        let (position, stage) = self.handle.stage()?;
        let watched = match &mut self.watched {
            Some(watched) if watched.is_at(position) => watched,
            other => {
                let (flag, before) = (plan.flag(key), other.take());
                let judge = flag.and_then(|flag| Judge::new(&flag, &stage));
                let judge = judge.map(|judge| judge.with_alpha(alpha));
                other.insert(Watched::begin(counters, judge, (position, stage), now, before))
            }
        };
        watched.look(key, counters, &self.wanted, &mut self.values, now)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("flags", &self.state().flags.len()).finish_non_exhaustive()
    }
}
