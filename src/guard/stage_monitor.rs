//! The monitor of a flag in its current stage: what looks have found so far.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::counters::{Counters, Total};
use super::counts::Look;
use super::judge::Judge;
use super::layout::Layout;
use super::measurement::{self, MeasuredMetric, Measurement};
use super::outcome::Mark;
use super::recent::{CountSnapshot, MAX_SNAPSHOTS, RecentCounts};
use super::retry::RetryAction;
use super::share_limit::RequestMetric;
use super::verdict::Finding;
use crate::eval::{Position, StageName};
use crate::plan::model::{FlagPlan, Quantity};

/// The result of a look at one flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// The flag's key.
    pub flag: Box<str>,
    /// The flag's stage.
    pub stage: StageName,
    /// The verdict on each trigger. Empty while the flag is off.
    pub findings: Vec<Finding>,
    /// Triggers with their first breach in this stage, by index in the plan.
    pub breached: Vec<usize>,
    /// Triggers with another verdict than at the last look, by index in the plan.
    pub changed: Vec<usize>,
    /// Whether users are not split as the stage says. If so, no figure can be trusted.
    pub uneven: bool,
    /// Whether this is the first look in this stage that finds the split uneven.
    pub became_uneven: bool,
    /// Recent values of the flag's metrics. Empty if the last values are less than ten seconds old, or if no request
    /// came since.
    pub measured: Vec<Measurement>,
}

/// Least time between two measurements of metrics.
const MEASURE_INTERVAL: Duration = Duration::from_secs(10);

/// The monitor of a flag in one stage: the judge, and what the last look saw and reported.
#[derive(Debug)]
pub(super) struct StageMonitor {
    position: Position,
    pub(super) stage: StageName,
    /// `None` while the flag is off.
    judge: Option<Judge>,
    /// Counts at the last look.
    last_total: Total,
    recent: RecentCounts,
    /// Time of the last measurement, and the counts then.
    last_measured: (Duration, Total),
    /// Triggers whose breach was reported in this stage.
    reported_breaches: BTreeSet<usize>,
    /// Whether an uneven split was reported in this stage.
    reported_uneven: bool,
    /// Actions that failed and are to be retried.
    pub(super) retries: Vec<RetryAction>,
    /// [Names](super::Verdict::name) of the last look's verdicts.
    last_verdicts: Vec<&'static str>,
}

/// Readings by metric: the value, and control's value if it is known.
pub(super) type Readings = BTreeMap<Box<str>, (Quantity, Option<Quantity>)>;

/// Returns what to count for a flag, and the metrics to measure.
pub(super) fn layout_and_metrics(
    flag: &FlagPlan<'_>,
    mark: impl Fn(&str) -> Mark,
) -> (Layout, Vec<MeasuredMetric>) {
    let mut metrics: Vec<MeasuredMetric> = Vec::new();
    for metric in flag.tracked_metrics() {
        let Some(kind) = RequestMetric::of(metric) else { continue };
        if !metrics.iter().any(|known| known.name == metric.name) {
            let (better, mark) = (metric.better, mark(&metric.name));
            metrics.push(MeasuredMetric { name: metric.name.clone(), kind, better, mark });
        }
    }
    // A flag has the same triggers in each stage, so the judge of any stage will do.
    let judge = flag.stages().next().and_then(|stage| Judge::new(flag, &stage.name()));
    let latencies = judge.as_ref().map(|judge| judge.latencies().to_vec()).unwrap_or_default();
    let marks_of = |names: Option<&[Box<str>]>| -> Vec<Mark> {
        names.unwrap_or_default().iter().map(|name| mark(name)).collect()
    };
    let mut marks = marks_of(judge.as_ref().map(Judge::marked));
    let unmarked = marks_of(judge.as_ref().map(Judge::unmarked));
    for metric in metrics.iter().filter(|metric| metric.kind == RequestMetric::Marked) {
        if !marks.contains(&metric.mark) {
            marks.push(metric.mark);
        }
    }
    let timed = metrics.iter().any(|metric| matches!(metric.kind, RequestMetric::Latency(_)));
    (Layout { latencies, marks, unmarked, timed }, metrics)
}

/// Returns whether the guard may keep a flag's counts: no part of the flag that affects counting or judging differs.
pub(super) fn keeps_counts(old: &FlagPlan<'_>, new: &FlagPlan<'_>) -> bool {
    let groups = |flag: &FlagPlan<'_>| {
        let groups = flag
            .stages()
            .map(|it| it.groups().chain(it.within()).map(str::to_owned).collect::<Vec<_>>());
        groups.collect::<Vec<_>>()
    };
    old.triggers() == new.triggers()
        && old.salt() == new.salt()
        && old.tracked_metrics().eq(new.tracked_metrics())
        && old
            .stages()
            .map(|it| (it.name(), it.percent()))
            .eq(new.stages().map(|it| (it.name(), it.percent())))
        && groups(old) == groups(new)
        && old.hold_back().eq(new.hold_back())
        && old.unit() == new.unit()
        && old.only().eq(new.only())
        && old.requires().eq(new.requires())
}

impl StageMonitor {
    /// Begins to count and judge a stage. `before` is the monitor of the stage that is over.
    pub(super) fn begin(
        counters: &Counters,
        judge: Option<Judge>,
        (position, stage): (Position, StageName),
        now: Duration,
        before: Option<StageMonitor>,
    ) -> StageMonitor {
        // If the new stage has no control, compare with control in the stage before, by the same latency limits.
        let has_control = judge.as_ref().is_none_or(|judge| judge.share() < 1.0);
        let before = before.filter(|_| !has_control).and_then(|before| {
            let mut judge = before.judge?;
            // Include the counts since the last look.
            judge.look(&counters.look(now, &before.last_total, &counters.total()));
            Some(judge)
        });
        let judge = judge.map(|judge| match before {
            Some(before) => judge.with_previous_judge(&before),
            None => judge,
        });
        counters.begin(position, has_control);
        StageMonitor {
            position,
            stage,
            judge,
            last_total: counters.total(),
            recent: RecentCounts::new(now),
            last_measured: (now, Total::default()),
            reported_breaches: BTreeSet::new(),
            reported_uneven: false,
            retries: Vec::new(),
            last_verdicts: Vec::new(),
        }
    }

    /// Returns the most bytes that a monitor's snapshots of these counters take.
    pub(super) fn bytes(counters: &Counters) -> usize {
        (MAX_SNAPSHOTS + 1) * counters.snapshot_bytes()
    }

    pub(super) fn is_at(&self, position: Position) -> bool {
        self.position == position
    }

    /// Takes a look at the flag. `None` if there is no verdict, no measurement and no new uneven split.
    pub(super) fn look(
        &mut self,
        key: &str,
        counters: &Counters,
        metrics: &[MeasuredMetric],
        readings: &mut Readings,
        now: Duration,
    ) -> Option<Judgement> {
        counters.refresh();
        let total = counters.total();
        let measured = self.measure(counters, metrics, &total, now);
        let mut judgement = Judgement {
            flag: key.into(),
            stage: self.stage,
            findings: Vec::new(),
            breached: Vec::new(),
            changed: Vec::new(),
            uneven: false,
            became_uneven: false,
            measured,
        };
        let mut look = counters.look(now, &self.last_total, &total);
        self.last_total = total;
        look.readings = std::mem::take(readings);
        self.judge(&look, &mut judgement);
        let says_something = !(judgement.findings.is_empty() && judgement.measured.is_empty());
        Some(judgement).filter(|it| says_something || it.became_uneven)
    }

    fn judge(&mut self, look: &Look, judgement: &mut Judgement) {
        let Some(judge) = &mut self.judge else { return };
        judgement.findings = judge.look(look);
        for Finding { trigger, verdict } in &judgement.findings {
            if verdict.is_breach() && self.reported_breaches.insert(*trigger) {
                judgement.breached.push(*trigger);
            }
            let before = self.last_verdicts.get(*trigger);
            if before.is_some_and(|before| *before != verdict.name()) {
                judgement.changed.push(*trigger);
            }
        }
        self.last_verdicts = judgement.findings.iter().map(|it| it.verdict.name()).collect();
        judgement.uneven = judge.is_uneven();
        judgement.became_uneven =
            judgement.uneven && !std::mem::replace(&mut self.reported_uneven, judgement.uneven);
    }

    /// Measures the metrics. Empty if the last measurement is too recent, or if no request came since.
    fn measure(
        &mut self,
        counters: &Counters,
        metrics: &[MeasuredMetric],
        total: &Total,
        now: Duration,
    ) -> Vec<Measurement> {
        let (last, before) = &self.last_measured;
        if metrics.is_empty() || now.saturating_sub(*last) < MEASURE_INTERVAL {
            return Vec::new();
        }
        let is_off = self.position == 0;
        if measurement::requests(counters, is_off, [before, total]) == 0 {
            return Vec::new();
        }
        self.last_measured = (now, total.clone());
        let (with, without) = counters.latencies();
        let snapshot = CountSnapshot { total: total.clone(), with, without };
        let is_enough = |since: &CountSnapshot| {
            let requests = measurement::requests(counters, is_off, [&since.total, total]);
            measurement::is_enough(requests)
        };
        let since = self.recent.advance(now, &snapshot, is_enough);
        metrics
            .iter()
            .filter_map(|metric| measurement::measure(metric, counters, is_off, [since, &snapshot]))
            .collect()
    }
}
