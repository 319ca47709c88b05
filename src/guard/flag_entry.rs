//! The state of one flag in a guard.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::counters::Counters;
use super::guarded_flag::CounterLink;
use super::judge::Judge;
use super::measurement::MeasuredMetric;
use super::outcome::Mark;
use super::stage_monitor::{self, Judgement, Readings, StageMonitor};
use crate::gate::FlagHandle;
use crate::plan::Plan;
use crate::plan::model::FlagPlan;

/// The counters, readings and monitor of one flag. The guard's lock protects it.
pub(super) struct FlagEntry {
    pub(super) handle: FlagHandle,
    pub(super) link: Arc<CounterLink>,
    metrics: Vec<MeasuredMetric>,
    /// `None` until the first look.
    pub(super) monitor: Option<StageMonitor>,
    /// Readings since the last look.
    pub(super) readings: Readings,
    /// The id of each metric's last reading, so that no reading counts twice.
    pub(super) reading_ids: BTreeMap<Box<str>, u64>,
}

impl FlagEntry {
    pub(super) fn new(handle: FlagHandle) -> FlagEntry {
        let (link, metrics, readings) = (Arc::default(), Vec::new(), Readings::new());
        FlagEntry { handle, link, metrics, monitor: None, readings, reading_ids: BTreeMap::new() }
    }

    pub(super) fn apply_plan(&mut self, flag: &FlagPlan<'_>, mark: impl Fn(&str) -> Mark) {
        let (layout, metrics) = stage_monitor::layout_and_metrics(flag, mark);
        self.monitor = None;
        let is_counted = !flag.triggers().is_empty() || !metrics.is_empty();
        let has_layout = self.link.counters.as_ref().is_some_and(|it| *it.layout() == layout);
        if !(is_counted && has_layout) {
            self.replace_counters(is_counted.then(|| Counters::new(layout)));
        }
        self.metrics = metrics;
    }

    pub(super) fn replace_counters(&mut self, counters: Option<Counters>) {
        if counters.is_none() && self.link.counters.is_none() {
            return;
        }
        let next = Arc::new(CounterLink::new(counters));
        self.link.replace_with(&next);
        (self.link, self.monitor, self.metrics) = (next, None, Vec::new());
    }

    pub(super) fn look(
        &mut self,
        key: &str,
        plan: &Plan,
        alpha: f64,
        now: Duration,
    ) -> Option<Judgement> {
        let counters = self.link.counters.as_ref()?;
        let (position, stage) = self.handle.stage()?;
        let monitor = match &mut self.monitor {
            Some(monitor) if monitor.is_at(position) => monitor,
            other => {
                let (flag, before) = (plan.flag(key), other.take());
                let judge = flag.and_then(|flag| Judge::new(&flag, &stage));
                let judge = judge.map(|judge| judge.with_alpha(alpha));
                other.insert(StageMonitor::begin(counters, judge, (position, stage), now, before))
            }
        };
        monitor.look(key, counters, &self.metrics, &mut self.readings, now)
    }
}
