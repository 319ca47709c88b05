//! The view of a stage.

use serde::Serialize;
use stagegate::model::{Activity, Criterion, FlagPlan, Stage, StageMetric};

use super::markdown::duration_range;
use super::view::MetricView;
use crate::amount::{Amount, BoundView};

/// A stage: the users it admits, and the conditions for leaving it.
#[derive(Serialize)]
pub(super) struct StageView<'p> {
    pub(super) name: String,
    /// The name for headings.
    title: String,
    pub(super) percent: Amount,
    /// The groups whose users the percentage refers to. Empty: all users.
    pub(super) within: Vec<&'p str>,
    /// The groups that the stage adds.
    pub(super) groups: Vec<&'p str>,
    /// The users it is for, in words.
    audience: Vec<&'p str>,
    /// The criteria for selecting its users.
    selection: Vec<&'p str>,
    /// The most users that its groups may list.
    at_most: Option<u64>,
    pub(super) goal: Option<&'p str>,
    /// The timeline's owner of the stage, or else the flag's owner.
    pub(super) owner: Option<&'p str>,
    pub(super) min_duration: Option<Amount>,
    pub(super) max_duration: Option<Amount>,
    /// `auto` or `manual`: how the flag leaves the stage.
    pub(super) advance: String,
    /// The roles that must approve a promotion to the stage.
    approvals: Vec<&'p str>,
    criteria: Vec<CriterionView<'p>>,
    activities: Vec<ActivityView<'p>>,
    checklist: Vec<CriterionView<'p>>,
    metrics: Vec<StageMetricView<'p>>,
}

/// A condition: a metric with its target, or a text that a person signs by its id.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum CriterionView<'p> {
    Metric {
        metric: &'p str,
        title: &'p str,
        target: BoundView,
        #[serde(rename = "for")]
        sustained: Option<Amount>,
        text: Option<&'p str>,
    },
    Manual {
        id: &'p str,
        text: &'p str,
        owner: Option<&'p str>,
        expires: Option<Amount>,
    },
}

#[derive(Serialize)]
struct ActivityView<'p> {
    text: &'p str,
    /// `start`, `daily`, `weekly` or `end`.
    at: Option<String>,
    owner: Option<&'p str>,
}

#[derive(Serialize)]
struct StageMetricView<'p> {
    metric: &'p str,
    title: &'p str,
    target: BoundView,
    alert: Option<BoundView>,
    #[serde(rename = "for")]
    sustained: Option<Amount>,
    unit: String,
    /// `less` or `more`.
    better: Option<String>,
    source: &'static str,
}

impl<'p> StageView<'p> {
    pub(super) fn of(flag: FlagPlan<'p>, stage: Stage<'p>) -> StageView<'p> {
        let details = stage.details();
        let own = flag.stage_owners().find(|(name, _)| *name == stage.name());
        StageView {
            name: stage.name().to_string(),
            title: details.title.as_deref().map_or_else(|| stage.name().to_string(), str::to_owned),
            percent: Amount::percent(stage.percent()),
            within: stage.within().collect(),
            groups: stage.groups().collect(),
            audience: details.audience.iter().map(|text| &**text).collect(),
            selection: details.selection.iter().map(|text| &**text).collect(),
            at_most: details.at_most,
            goal: details.goal.as_deref(),
            owner: own.map(|(_, owner)| owner).or(flag.owner()),
            min_duration: details.min_duration.map(Amount::duration),
            max_duration: details.max_duration.map(Amount::duration),
            advance: details.advance.to_string(),
            approvals: flag.approvals(&stage.name()).iter().map(|role| &**role).collect(),
            criteria: details.criteria.iter().filter_map(CriterionView::of).collect(),
            activities: details.activities.iter().map(ActivityView::of).collect(),
            checklist: details.checklist.iter().filter_map(CriterionView::of).collect(),
            metrics: details.metrics.iter().map(StageMetricView::of).collect(),
        }
    }

    /// Returns the durations: `1d–2d`, or one bound.
    pub(super) fn durations(&self) -> Option<String> {
        let text = |amount: &Option<Amount>| amount.as_ref().map(|amount| amount.text.clone());
        duration_range(text(&self.min_duration), text(&self.max_duration))
    }
}

impl<'p> CriterionView<'p> {
    fn of(criterion: &'p Criterion) -> Option<CriterionView<'p>> {
        Some(match criterion {
            Criterion::Metric { metric, target, sustained, text, .. } => CriterionView::Metric {
                metric: &metric.name,
                title: &metric.title,
                target: BoundView::of(*target),
                sustained: sustained.map(Amount::duration),
                text: text.as_deref(),
            },
            Criterion::Manual { id, text, owner, expires, .. } => CriterionView::Manual {
                id,
                text,
                owner: owner.as_deref(),
                expires: expires.map(Amount::duration),
            },
            _ => return None,
        })
    }
}

impl<'p> ActivityView<'p> {
    fn of(activity: &'p Activity) -> ActivityView<'p> {
        ActivityView {
            text: &activity.text,
            at: activity.at.map(|at| at.to_string()),
            owner: activity.owner.as_deref(),
        }
    }
}

impl<'p> StageMetricView<'p> {
    fn of(stage_metric: &'p StageMetric) -> StageMetricView<'p> {
        let metric = &*stage_metric.metric;
        StageMetricView {
            metric: &metric.name,
            title: &metric.title,
            target: BoundView::of(stage_metric.target),
            alert: stage_metric.alert.map(BoundView::of),
            sustained: stage_metric.sustained.map(Amount::duration),
            unit: metric.unit.to_string(),
            better: metric.better.map(|better| better.to_string()),
            source: MetricView::of(metric).source,
        }
    }
}
