//! What whoever looks knows of one flag.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::counted::Measured;
use super::counters::{Counters, Total};
use super::counts::Look;
use super::judge::Judge;
use super::measured::{self, Measurement, Wanted};
use super::outcome::Mark;
use super::owed::Owed;
use super::recent::{MOST, Recent, Snapshot};
use super::shares::Layout;
use super::verdict::Finding;
use crate::eval::{Position, StageName};
use crate::plan::model::{FlagPlan, Quantity};

/// What a look says of a flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Judgement {
    /// Which.
    pub flag: Box<str>,
    /// Where it is.
    pub stage: StageName,
    /// Each of its triggers; none while the flag is off.
    pub findings: Vec<Finding>,
    /// Those whose first breach in this stage it is, by their places in the plan.
    pub breached: Vec<usize>,
    /// Those of which the look before said otherwise, by their places in the plan.
    pub changed: Vec<usize>,
    /// Whether users are split otherwise than the stage says: then figures are not to be trusted.
    pub uneven: bool,
    /// Whether this is the first look in this stage that says so.
    pub became_uneven: bool,
    /// What the flag's metrics have come to lately: every ten seconds, of those that have had requests since.
    pub measured: Vec<Measurement>,
}

/// How often metrics are measured.
const MEASURED_EVERY: Duration = Duration::from_secs(10);

/// The stage a flag is in, as far as it was watched.
#[derive(Debug)]
pub(super) struct Watched {
    position: Position,
    pub(super) stage: StageName,
    /// `None` while the flag is off.
    judge: Option<Judge>,
    /// What the last look saw.
    before: Total,
    recent: Recent,
    /// When metrics were measured last, and what there was then.
    measured: (Duration, Total),
    /// Triggers whose breach has been told in this stage, and whether an uneven split has.
    told: BTreeSet<usize>,
    told_uneven: bool,
    /// What was to be done about that and could not be yet.
    pub(super) owed: Vec<Owed>,
    /// The verdicts of the last look, in a word.
    verdicts: Vec<&'static str>,
}

/// Values of metrics that were read since the last look, by their names.
pub(super) type Values = BTreeMap<Box<str>, (Quantity, Option<Quantity>)>;

/// What of a flag is counted, and what it is measured for.
pub(super) fn wanted(flag: &FlagPlan<'_>, mark: impl Fn(&str) -> Mark) -> (Layout, Vec<Wanted>) {
    let mut wanted: Vec<Wanted> = Vec::new();
    for metric in flag.tracked_metrics() {
        let Some(measured) = Measured::of(metric) else { continue };
        if !wanted.iter().any(|known| known.metric == metric.name) {
            let (better, mark) = (metric.better, mark(&metric.name));
            wanted.push(Wanted { metric: metric.name.clone(), measured, better, mark });
        }
    }
    // The triggers are the same in each stage.
    let judge = flag.stages().next().and_then(|stage| Judge::new(flag, &stage.name()));
    let latencies = judge.as_ref().map(|judge| judge.latencies().to_vec()).unwrap_or_default();
    let of = |names: Option<&[Box<str>]>| -> Vec<Mark> {
        names.unwrap_or_default().iter().map(|name| mark(name)).collect()
    };
    let mut marks = of(judge.as_ref().map(Judge::marked));
    let unmarked = of(judge.as_ref().map(Judge::unmarked));
    for metric in wanted.iter().filter(|metric| metric.measured == Measured::Marked) {
        if !marks.contains(&metric.mark) {
            marks.push(metric.mark);
        }
    }
    let timed = wanted.iter().any(|metric| matches!(metric.measured, Measured::Latency(_)));
    (Layout { latencies, marks, unmarked, timed }, wanted)
}

/// Whether nothing of what a guard looks at differs.
pub(super) fn is_same(old: &FlagPlan<'_>, new: &FlagPlan<'_>) -> bool {
    let groups = |flag: &FlagPlan<'_>| {
        let groups =
            flag.stages().map(|stage| stage.groups().map(str::to_owned).collect::<Vec<_>>());
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
}

impl Watched {
    /// Counts from now on are of this stage, and judged so; `before` was what is over.
    pub(super) fn begin(
        counters: &Counters,
        judge: Option<Judge>,
        (position, stage): (Position, StageName),
        now: Duration,
        before: Option<Watched>,
    ) -> Watched {
        // Where there will be no control, what it was is compared with, and what is slow stays what it was then.
        let has_control = judge.as_ref().is_none_or(|judge| judge.share() < 1.0);
        let before = before.filter(|_| !has_control).and_then(|before| {
            let mut judge = before.judge?;
            // With what was counted since the last look.
            judge.look(&counters.look(now, &before.before, &counters.total()));
            Some(judge)
        });
        let judge = judge.map(|judge| match before {
            Some(before) => judge.with_control_of(&before),
            None => judge,
        });
        counters.begin(position, has_control);
        Watched {
            position,
            stage,
            judge,
            before: counters.total(),
            recent: Recent::new(now),
            measured: (now, Total::default()),
            told: BTreeSet::new(),
            told_uneven: false,
            owed: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// The bytes that snapshots of these counters take at the most.
    pub(super) fn bytes(counters: &Counters) -> usize {
        (MOST + 1) * counters.snapshot_bytes()
    }

    pub(super) fn is_at(&self, position: Position) -> bool {
        self.position == position
    }

    /// `None` where there is nothing to say.
    pub(super) fn look(
        &mut self,
        key: &str,
        counters: &Counters,
        wanted: &[Wanted],
        values: &mut Values,
        now: Duration,
    ) -> Option<Judgement> {
        counters.refresh();
        let total = counters.total();
        let measured = self.measure(counters, wanted, &total, now);
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
        let mut look = counters.look(now, &self.before, &total);
        self.before = total;
        look.values = std::mem::take(values);
        self.judge(&look, &mut judgement);
        let says_something = !(judgement.findings.is_empty() && judgement.measured.is_empty());
        Some(judgement).filter(|it| says_something || it.became_uneven)
    }

    fn judge(&mut self, look: &Look, judgement: &mut Judgement) {
        let Some(judge) = &mut self.judge else { return };
        judgement.findings = judge.look(look);
        for Finding { trigger, verdict } in &judgement.findings {
            if verdict.is_breach() && self.told.insert(*trigger) {
                judgement.breached.push(*trigger);
            }
            let before = self.verdicts.get(*trigger);
            if before.is_some_and(|before| *before != verdict.name()) {
                judgement.changed.push(*trigger);
            }
        }
        self.verdicts = judgement.findings.iter().map(|it| it.verdict.name()).collect();
        judgement.uneven = judge.is_uneven();
        judgement.became_uneven =
            judgement.uneven && !std::mem::replace(&mut self.told_uneven, judgement.uneven);
    }

    /// Nothing where it is not time yet, or nobody has come since.
    fn measure(
        &mut self,
        counters: &Counters,
        wanted: &[Wanted],
        total: &Total,
        now: Duration,
    ) -> Vec<Measurement> {
        let (last, before) = &self.measured;
        if wanted.is_empty() || now.saturating_sub(*last) < MEASURED_EVERY {
            return Vec::new();
        }
        let is_off = self.position == 0;
        if measured::requests(counters, is_off, [before, total]) == 0 {
            return Vec::new();
        }
        self.measured = (now, total.clone());
        let (with, without) = counters.latencies();
        let snapshot = Snapshot { total: total.clone(), with, without };
        let is_enough = |since: &Snapshot| {
            let requests = measured::requests(counters, is_off, [&since.total, total]);
            measured::is_enough(requests)
        };
        let since = self.recent.go_on(now, &snapshot, is_enough);
        let measured = wanted.iter();
        measured
            .filter_map(|metric| measured::measure(metric, counters, is_off, [since, &snapshot]))
            .collect()
    }
}
