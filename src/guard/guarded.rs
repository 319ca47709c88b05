//! Counting what becomes of requests, where they are served.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Outcome;
use super::counters::{Counters, Total};
use super::counts::Counts;
use super::judge::Judge;
use super::verdict::Finding;
use crate::eval::{AsUser, Placement, Position, StageName};
use crate::gate::{FlagHandle, Gate};
use crate::plan::Plan;
use crate::plan::model::Quantity;

/// Counts what becomes of requests, and judges every flag of a plan that has triggers.
///
/// It is of one plan: with another document, make another. A clone is the same guard.
///
/// # Complexity
///
/// A request of a flag with triggers costs what asking costs and a handful of atomic operations, most of
/// them on memory that its thread alone writes; of any other flag, what asking costs. A flag with
/// triggers takes about 20 KiB, and 8 KiB more for each of its triggers on a latency.
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
    plan: Arc<Plan>,
    flags: BTreeMap<Box<str>, Guarded>,
}

struct Guarded {
    handle: FlagHandle,
    counters: Arc<Counters>,
    watched: Mutex<Watched>,
}

/// What only whoever looks needs.
#[derive(Default)]
struct Watched {
    /// The stage that is counted, and its judge.
    judged: Option<(Position, StageName, Judge)>,
    before: Total,
    /// What was read since the last look.
    values: BTreeMap<Box<str>, (Quantity, Option<Quantity>)>,
    /// Triggers whose breach has been told in this stage, and whether an uneven split has.
    told: BTreeSet<usize>,
    told_uneven: bool,
}

/// What a look says of a flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// Which.
    pub flag: Box<str>,
    /// Where it is.
    pub stage: StageName,
    /// Each of its triggers.
    pub findings: Vec<Finding>,
    /// Those whose first breach in this stage it is, by their places in the plan.
    pub breached: Vec<usize>,
    /// Whether users are split otherwise than the stage says: then figures are not to be trusted.
    pub uneven: bool,
    /// Whether this is the first look in this stage that says so.
    pub became_uneven: bool,
}

impl Guard {
    /// A guard of a gate's flags by the triggers of this plan, which is to be the gate's. Nothing is counted
    /// before the first [`look`](Guard::look).
    #[must_use]
    pub fn new(gate: &Gate, plan: impl Into<Arc<Plan>>) -> Guard {
        let plan = plan.into();
        let flags = plan.flags().filter_map(|key| {
            let flag = plan.flag(key).filter(|flag| !flag.triggers().is_empty())?;
            // The triggers are the same in each stage.
            let judge = Judge::new(&flag, &flag.stages().next()?.name())?;
            let guarded = Guarded {
                handle: gate.flag(key),
                counters: Arc::new(Counters::new(judge.latencies())),
                watched: Mutex::default(),
            };
            Some((Box::from(key), guarded))
        });
        let flags = flags.collect();
        Guard { shared: Arc::new(Shared { gate: gate.clone(), plan, flags }) }
    }

    /// A handle to one flag, for asking and counting. Keep it: it is the fastest way.
    #[must_use]
    pub fn flag(&self, key: &str) -> GuardedFlag {
        let guarded = self.shared.flags.get(key);
        let counters = guarded.map(|guarded| Arc::clone(&guarded.counters));
        GuardedFlag { handle: self.shared.gate.flag(key), counters }
    }

    /// Takes in what a metric was read to be that is not counted here; `control` is the same for users
    /// without the flag. It counts with the next look. Of a flag without triggers it is forgotten.
    pub fn read(&self, flag: &str, metric: &str, value: Quantity, control: Option<Quantity>) {
        if let Some(guarded) = self.shared.flags.get(flag) {
            guarded.watched().values.insert(metric.into(), (value, control));
        }
    }

    /// Judges what was counted since the last look; `now` is of a clock that only runs on. A flag that has gone
    /// to another stage since begins anew, and one that is off is not judged.
    ///
    /// # Complexity
    ///
    /// Microseconds a flag.
    #[expect(clippy::must_use_candidate, reason = "the first one begins to count")]
    pub fn look(&self, now: Duration) -> Vec<Judgement> {
        let flags = self.shared.flags.iter();
        flags.filter_map(|(key, guarded)| guarded.look(key, &self.shared.plan, now)).collect()
    }

    /// The plan whose triggers it judges.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.shared.plan
    }

    /// The bytes that counting takes, of all flags.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shared.flags.values().map(|guarded| guarded.counters.bytes()).sum()
    }
}

impl Guarded {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, key: &str, plan: &Plan, now: Duration) -> Option<Judgement> {
        let mut watched = self.watched();
        let (position, stage) = self.handle.stage()?;
        let is_known = watched.judged.as_ref().is_some_and(|(known, ..)| *known == position);
        if !is_known {
            self.begin(&mut watched, key, plan, position, stage, now);
        }
        let watched = &mut *watched;
        let (_, stage, judge) = watched.judged.as_mut()?;
        self.counters.freeze();
        let total = self.counters.total();
        let mut look = self.counters.look(now, &watched.before, &total);
        watched.before = total;
        look.values = std::mem::take(&mut watched.values);
        let findings = judge.look(&look);
        let breaches = findings.iter().filter(|finding| finding.verdict.is_breach());
        let breached =
            breaches.map(|finding| finding.trigger).filter(|it| watched.told.insert(*it));
        let breached = breached.collect();
        let uneven = judge.is_uneven();
        let became_uneven = uneven && !std::mem::replace(&mut watched.told_uneven, uneven);
        let flag = key.into();
        Some(Judgement { flag, stage: *stage, findings, breached, uneven, became_uneven })
    }

    /// Counts from now on are of another stage.
    fn begin(
        &self,
        watched: &mut Watched,
        key: &str,
        plan: &Plan,
        position: Position,
        stage: StageName,
        now: Duration,
    ) {
        // What control was, where there was any: the stage to come may have none.
        let control = self.counters.look(now, &Total::default(), &self.counters.total()).control;
        let judge = plan.flag(key).and_then(|flag| Judge::new(&flag, &stage));
        let judge = judge.map(|judge| match control {
            Counts { requests: 0, .. } => judge,
            control => judge.with_control_before(&control),
        });
        self.counters.begin(position);
        let judged = judge.map(|judge| (position, stage, judge));
        *watched = Watched { judged, before: self.counters.total(), ..Watched::default() };
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("flags", &self.shared.flags.len()).finish_non_exhaustive()
    }
}

/// One flag of a guard, for asking and for counting.
#[derive(Clone, Debug)]
pub struct GuardedFlag {
    handle: FlagHandle,
    counters: Option<Arc<Counters>>,
}

impl GuardedFlag {
    /// Whether the user has the flag, and counts nothing.
    #[inline]
    pub fn is_enabled(&self, user: impl AsUser) -> bool {
        self.handle.is_enabled(user)
    }

    /// A request of a user begins.
    #[inline]
    pub fn enter(&self, user: impl AsUser) -> Span<'_> {
        match &self.counters {
            Some(counters) => {
                let placed = self.handle.place(&user);
                let enabled = placed.is_some_and(|placed| placed.enabled);
                Span { counted: placed.map(|placed| (&**counters, placed)), enabled }
            }
            None => Span { counted: None, enabled: self.handle.is_enabled(user) },
        }
    }

    #[cfg_attr(not(feature = "tower"), expect(dead_code))]
    pub(super) fn place(&self, user: &impl AsUser) -> Option<Placement> {
        self.handle.place(user)
    }

    #[cfg_attr(not(feature = "tower"), expect(dead_code))]
    pub(super) fn counters(&self) -> Option<Arc<Counters>> {
        self.counters.clone()
    }

    /// Counts what became of a request of a user, for those who time themselves; the flag is asked once more.
    #[inline]
    pub fn record(&self, user: impl AsUser, outcome: Outcome) {
        self.enter(user).finish(outcome);
    }
}

/// A request that is being served.
///
/// Dropped, it has ended: with an error where the thread panics, and well otherwise.
#[derive(Debug)]
#[must_use = "dropped at once, it counts a request that is well"]
pub struct Span<'g> {
    /// What is to be counted, until it is.
    counted: Option<(&'g Counters, Placement)>,
    enabled: bool,
}

impl Span<'_> {
    /// Whether the user has the flag: the same for all of the request.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// The request has ended so.
    #[inline]
    pub fn finish(mut self, outcome: Outcome) {
        if let Some((counters, placed)) = self.counted.take() {
            counters.record(placed, outcome);
        }
    }

    /// The request is not to be counted: it was never served.
    pub fn discard(mut self) {
        self.counted = None;
    }
}

impl Drop for Span<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((counters, placed)) = self.counted.take() {
            let outcome = if thread::panicking() { Outcome::error() } else { Outcome::ok() };
            counters.record(placed, outcome);
        }
    }
}
