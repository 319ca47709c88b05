//! The mirror of a stage.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::values::{Bound, Duration, Key, OneOf, Percent, StageName, Text};
use crate::plan::model::{ActivityDay, Advance};

/// A step of a plan. Its audience is its groups, its percentage and the audiences of all earlier stages.
#[derive(JsonSchema)]
#[schemars(
    deny_unknown_fields,
    rename = "Stage",
    extend("dependentRequired" = { "within": ["percent"] })
)]
pub(super) struct StageSchema {
    /// The name: unique in the plan, and neither `off` nor `never`.
    name: StageName,
    /// Groups to add. Their users' buckets do not matter.
    groups: Option<Vec<Key>>,
    /// The share of all users or, with `within`, of the users of groups. Never less than in an earlier stage for the same
    /// users.
    percent: Option<Percent>,
    /// Groups whose users `percent` refers to. By default it refers to all users.
    #[schemars(length(min = 1))]
    within: Option<Vec<Key>>,
    /// The title in headings. By default the name.
    title: Option<Text>,
    /// The users of the stage, in words.
    #[schemars(length(max = 1000))]
    audience: Option<Vec<Text>>,
    /// The criteria for selecting the users of the stage, in words.
    #[schemars(length(max = 1000))]
    selection: Option<Vec<Text>>,
    /// The most users that the stage's own groups may list.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    at_most: Option<u64>,
    /// The goal of the stage.
    goal: Option<Text>,
    /// The time that a flag must stay in the stage.
    min_duration: Option<Duration>,
    /// The time after which the stage is overdue.
    max_duration: Option<Duration>,
    /// Success criteria. They must hold before the flag leaves the stage, like the metrics' targets.
    #[schemars(length(max = 1000))]
    criteria: Option<Vec<Criterion>>,
    /// The tasks of the team in the stage.
    #[schemars(length(max = 1000))]
    activities: Option<Vec<Activity>>,
    /// The go/no-go checklist. Its items must hold before the flag leaves the stage.
    #[schemars(length(max = 1000))]
    checklist: Option<Vec<Criterion>>,
    /// Metrics to track. Every target must hold before the flag leaves the stage.
    #[schemars(extend("maxProperties" = 1000))]
    metrics: Option<BTreeMap<Key, StageMetric>>,
    /// The watch in the last stage.
    watch: Option<Watch>,
    /// `auto` promotes the flag as soon as every condition holds. By default a person promotes it.
    advance: Option<OneOf<Advance>>,
}

/// A condition for leaving a stage: the target of a metric, or a statement that a person signs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    {
        "required": ["metric", "target"],
        "properties": { "id": false, "owner": false, "expires": false },
    },
    {
        "required": ["id", "text"],
        "properties": { "metric": false, "target": false, "for": false },
    },
]))]
struct Criterion {
    /// The metric.
    metric: Option<Key>,
    /// The target of the metric.
    target: Option<Bound>,
    /// How long the target must hold. By default the last value counts.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
    /// The name for signing. Unique in the stage.
    id: Option<Key>,
    /// The statement to sign, or the meaning of the target.
    text: Option<Text>,
    /// The person or role that signs.
    owner: Option<Text>,
    /// How long a signature counts. By default until the flag leaves the stage.
    expires: Option<Duration>,
}

/// A task of the team: a text, or a text with its days and its owner.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Activity {
    Text(Text),
    Task(Task),
}

/// A task with its days and its owner.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Task {
    /// The task.
    text: Text,
    /// The days of the stage. By default the timeline does not date the task.
    at: Option<OneOf<ActivityDay>>,
    /// The person or role. By default the owner of the stage.
    owner: Option<Text>,
}

/// A metric to track.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StageMetric {
    /// The target of the metric.
    target: Bound,
    /// The bound for an alert.
    alert: Option<Bound>,
    /// How long the target must hold. By default the last value counts.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
}

/// The watch after the last promotion.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Watch {
    /// The length of the watch.
    #[schemars(rename = "for")]
    lasts: Duration,
    /// The time between two checks.
    every: Duration,
    /// The tasks of the team during the watch, in words.
    #[schemars(length(max = 1000))]
    activities: Option<Vec<Text>>,
}
