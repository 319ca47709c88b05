//! The data to show. Markdown and JSON share it, so that they have the same content.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use stagegate::model::{Condition, FlagPlan, Group, Metric, MetricSource};
use stagegate::{Plan, Problem};

use super::sections::{
    MessageView, ResponsibilityView, RiskView, RollbackView, TrafficView, TriggerView, VariableView,
};
use super::stage::StageView;
use crate::amount::Amount;
use crate::document::ProblemView;
use crate::verbs::timeline::{CalendarView, TimelineView, UndatedView};

/// The flags of a document, and the parts that belong to no flag.
#[derive(Serialize)]
pub(super) struct DocumentView<'p> {
    project: Option<&'p str>,
    version: Option<&'p str>,
    /// A day: `2026-01-05`.
    last_updated: Option<String>,
    pub(super) flags: Vec<FlagView<'p>>,
    /// Declared metrics that no shown flag uses.
    pub(super) other_metrics: Vec<MetricView<'p>>,
    /// Warnings that are not about a shown flag.
    pub(super) other_warnings: Vec<ProblemView<'p>>,
}

/// A flag with its whole plan.
#[derive(Serialize)]
pub(super) struct FlagView<'p> {
    pub(super) key: &'p str,
    description: Option<&'p str>,
    pub(super) owner: Option<&'p str>,
    /// The flag's stage in the document.
    pub(super) stage: String,
    /// The percentage of that stage. `None` if the flag is off.
    pub(super) percent: Option<Amount>,
    /// The groups whose users that percentage refers to. Empty: all users.
    pub(super) within: Vec<&'p str>,
    /// The shared or built-in plan that the flag follows.
    pub(super) plan: Option<&'p str>,
    salt: Option<&'p str>,
    asked_as: Vec<&'p str>,
    skip_reason: Option<&'p str>,
    /// The attribute whose values the percentages refer to. `None`: user keys.
    pub(super) by: Option<&'p str>,
    /// The groups of which a user must be in one. Empty: every user may have the flag.
    pub(super) only: Vec<&'p str>,
    /// The flags that a user must have, too.
    pub(super) requires: Vec<RequiredView<'p>>,
    pub(super) stages: Vec<StageView<'p>>,
    pub(super) hold_back: Vec<HoldBackView<'p>>,
    /// The watch after the last promotion.
    pub(super) watch: Option<WatchView<'p>>,
    pub(super) triggers: Vec<TriggerView<'p>>,
    rollback: RollbackView<'p>,
    pub(super) responsibility: Vec<ResponsibilityView<'p>>,
    pub(super) messages: Vec<MessageView<'p>>,
    variables: Vec<VariableView<'p>>,
    /// `None` if the document has no start.
    pub(super) timeline: Option<TimelineView<'p>>,
    /// The rows of the timeline if the document has no start.
    undated: Vec<UndatedView<'p>>,
    pub(super) calendar: Option<CalendarView<'p>>,
    pub(super) risks: Vec<RiskView<'p>>,
    /// The declared traffic of the service.
    pub(super) traffic: Option<TrafficView>,
    /// The number of people who must approve a forced promotion. 0 without approvals.
    force_approvals: usize,
    /// Whether a promotion needs a signature by a person other than the promoter.
    four_eyes: bool,
    /// The groups that the plan names.
    groups: Vec<GroupView<'p>>,
    /// The metrics that the plan names.
    metrics: Vec<MetricView<'p>>,
    pub(super) warnings: Vec<ProblemView<'p>>,
}

/// A required flag, and the stage that it must have reached.
#[derive(Serialize)]
pub(super) struct RequiredView<'p> {
    pub(super) flag: &'p str,
    pub(super) stage: String,
}

#[derive(Serialize)]
pub(super) struct HoldBackView<'p> {
    pub(super) group: &'p str,
    /// A stage, or `never`.
    pub(super) until: String,
    /// The groups whose users do not wait.
    pub(super) except: Vec<&'p str>,
}

#[derive(Serialize)]
pub(super) struct WatchView<'p> {
    pub(super) lasts: Amount,
    pub(super) every: Amount,
    activities: Vec<&'p str>,
}

#[derive(Serialize)]
pub(super) struct GroupView<'p> {
    name: &'p str,
    /// The attribute whose values the group lists. `None`: it lists user keys.
    values_of: Option<&'p str>,
    /// The number of listed users or values.
    listed_users: usize,
    /// Lists of conditions. All conditions of one of the lists must match.
    alternatives: Vec<Vec<ConditionView<'p>>>,
    /// The groups that the group includes, directly or through others.
    includes: Vec<&'p str>,
}

#[derive(Serialize)]
struct ConditionView<'p> {
    attribute: &'p str,
    /// In words: `one of "eu-west", "eu-north"` or `>= 18`.
    condition: String,
}

#[derive(Serialize)]
pub(super) struct MetricView<'p> {
    name: &'p str,
    title: &'p str,
    /// `percent`, `duration`, `count` or `number`.
    unit: String,
    /// `less` or `more`.
    better: Option<String>,
    /// `application`, `people` or `prometheus`.
    pub(super) source: &'static str,
    query: Option<&'p str>,
    /// The query for the number of samples.
    samples: Option<&'p str>,
    /// How long a reading counts.
    stale_after: Amount,
    description: Option<&'p str>,
}

impl<'p> DocumentView<'p> {
    /// Returns the whole document, or one flag with the groups and metrics it uses.
    pub(super) fn of(
        plan: &'p Plan,
        only: Option<FlagPlan<'p>>,
        warnings: &'p [Problem],
    ) -> DocumentView<'p> {
        let flags: Vec<FlagPlan<'p>> = match only {
            Some(flag) => vec![flag],
            None => plan.flags().filter_map(|key| plan.flag(key)).collect(),
        };
        let flags: Vec<_> = flags.into_iter().map(|flag| FlagView::of(flag, warnings)).collect();
        let mut view = DocumentView {
            project: plan.project(),
            version: plan.version(),
            last_updated: plan.last_updated().map(|day| day.to_string()),
            flags,
            other_metrics: Vec::new(),
            other_warnings: Vec::new(),
        };
        if only.is_some() {
            return view;
        }
        let flags = &view.flags;
        let used: HashSet<&str> =
            flags.iter().flat_map(|flag| flag.metrics.iter().map(|metric| metric.name)).collect();
        let metrics = plan.metrics().filter(|metric| !used.contains(&*metric.name));
        let is_shown = |path: &str| flags.iter().any(|flag| is_about(path, flag.key, flag.plan));
        let others = warnings.iter().filter(|warning| !is_shown(warning.path()));
        view.other_warnings = others.map(ProblemView::warning).collect();
        view.other_metrics = metrics.map(MetricView::of).collect();
        view
    }
}

impl<'p> FlagView<'p> {
    fn of(flag: FlagPlan<'p>, warnings: &'p [Problem]) -> FlagView<'p> {
        let stages: Vec<StageView<'p>> =
            flag.stages().map(|stage| StageView::of(flag, stage)).collect();
        let current = flag.stages().find(|stage| stage.name() == flag.stage());
        let watch = flag.stages().last().and_then(|stage| stage.details().watch.as_ref());
        let is_own = |warning: &&Problem| is_about(warning.path(), flag.key(), flag.plan());
        FlagView {
            key: flag.key(),
            description: flag.description(),
            owner: flag.owner(),
            stage: flag.stage().to_string(),
            percent: current.map(|stage| Amount::percent(stage.percent())),
            within: current.into_iter().flat_map(|stage| stage.within()).collect(),
            plan: flag.plan(),
            salt: flag.salt_text(),
            asked_as: flag.asked_as().collect(),
            skip_reason: flag.skip_reason(),
            by: flag.unit(),
            only: flag.only().collect(),
            requires: flag
                .requires()
                .map(|(flag, stage)| RequiredView { flag, stage: stage.to_string() })
                .collect(),
            stages,
            hold_back: flag
                .hold_back()
                .map(|hold| HoldBackView {
                    group: hold.group,
                    until: hold.until.map_or("never".to_owned(), |until| until.to_string()),
                    except: hold.except,
                })
                .collect(),
            watch: watch.map(|watch| WatchView {
                lasts: Amount::duration(watch.lasts),
                every: Amount::duration(watch.every),
                activities: watch.activities.iter().map(|text| &**text).collect(),
            }),
            triggers: flag.triggers().iter().map(TriggerView::of).collect(),
            rollback: RollbackView::of(flag.rollback()),
            responsibility: flag.responsibility().iter().map(ResponsibilityView::of).collect(),
            messages: flag
                .messages()
                .iter()
                .map(|message| MessageView::of(flag, message))
                .collect(),
            variables: flag.variables().map(VariableView::of).collect(),
            timeline: flag.start().map(|start| TimelineView::of(flag, start)),
            undated: match flag.start() {
                Some(_) => Vec::new(),
                None => UndatedView::all_of(flag),
            },
            calendar: flag.calendar().map(CalendarView::of),
            risks: flag.risks().iter().map(RiskView::of).collect(),
            traffic: flag.traffic().map(TrafficView::of),
            force_approvals: flag.force_approvals(),
            four_eyes: flag.four_eyes(),
            groups: flag.groups().into_iter().map(GroupView::of).collect(),
            metrics: metrics_of(flag),
            warnings: warnings.iter().filter(is_own).map(ProblemView::warning).collect(),
        }
    }
}

/// Returns the metrics that a plan names, in order of name.
fn metrics_of(flag: FlagPlan<'_>) -> Vec<MetricView<'_>> {
    let metrics: BTreeMap<_, _> =
        flag.tracked_metrics().map(|metric| (&*metric.name, metric)).collect();
    metrics.into_values().map(MetricView::of).collect()
}

impl<'p> GroupView<'p> {
    fn of(group: Group<'p>) -> GroupView<'p> {
        let view = |condition: Condition<'p>| ConditionView {
            attribute: condition.attribute(),
            condition: format!("{condition:#}"),
        };
        let alternatives = group.alternatives();
        GroupView {
            name: group.name(),
            values_of: group.values_of(),
            listed_users: group.users().count(),
            alternatives: alternatives.map(|all| all.into_iter().map(view).collect()).collect(),
            includes: group.includes().collect(),
        }
    }
}

impl<'p> MetricView<'p> {
    pub(super) fn of(metric: &'p Metric) -> MetricView<'p> {
        let (source, query, samples) = match &metric.source {
            MetricSource::Application => ("application", None, None),
            MetricSource::People => ("people", None, None),
            MetricSource::Prometheus { query, samples, .. } => {
                ("prometheus", Some(&**query), samples.as_deref())
            }
            _ => ("other", None, None),
        };
        MetricView {
            name: &metric.name,
            title: &metric.title,
            unit: metric.unit.to_string(),
            better: metric.better.map(|better| better.to_string()),
            source,
            query,
            samples,
            stale_after: Amount::duration(metric.stale_after),
            description: metric.description.as_deref(),
        }
    }
}

/// Returns whether a problem's path is within the section of a flag, or of the plan that the flag follows.
fn is_about(path: &str, flag: &str, plan: Option<&str>) -> bool {
    let within = |section: &str, name: &str| {
        let rest = path.strip_prefix(section).unwrap_or_default();
        let quoted = || rest.strip_prefix('"')?.strip_prefix(name)?.strip_prefix('"');
        let rest = rest.strip_prefix(name).or_else(quoted);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    within("flags.", flag) || plan.is_some_and(|plan| within("plans.", plan))
}
