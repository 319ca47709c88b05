//! A stage and what it asks.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::values::{Bound, Duration, Key, Percent, StageName, Text};

/// A step of a plan. Its audience is its own groups and percentage, and all of the stages before.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Stage {
    /// Its name; not `off`, and no two of a plan are alike.
    name: StageName,
    /// Groups it adds, whatever their users' buckets.
    groups: Option<Vec<Key>>,
    /// The share of all users, never less than that of the stage before.
    percent: Option<Percent>,
    /// What a heading calls the stage. By default its name.
    title: Option<Text>,
    /// Whom the stage is for, in words.
    #[schemars(length(max = 1000))]
    audience: Option<Vec<Text>>,
    /// By which criteria the users of the stage are selected, in words.
    #[schemars(length(max = 1000))]
    selection: Option<Vec<Text>>,
    /// The most users that the stage's own groups may list.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    at_most: Option<u64>,
    /// What the stage is to show.
    goal: Option<Text>,
    /// The time a flag has to be in the stage.
    min_duration: Option<Duration>,
    /// The time after which it is overdue.
    max_duration: Option<Duration>,
    /// What has to hold before the flag leaves the stage, beside the metrics' targets.
    #[schemars(length(max = 1000))]
    criteria: Option<Vec<Criterion>>,
    /// What the team does in the stage.
    #[schemars(length(max = 1000))]
    activities: Option<Vec<Activity>>,
    /// The go/no-go checklist: what else has to hold before the flag leaves the stage.
    #[schemars(length(max = 1000))]
    checklist: Option<Vec<Criterion>>,
    /// What is tracked. Every target has to hold before the flag leaves the stage.
    #[schemars(extend("maxProperties" = 1000))]
    metrics: Option<BTreeMap<Key, StageMetric>>,
    /// How closely the flag is watched in the last stage.
    watch: Option<Watch>,
    /// Whether the flag leaves the stage by itself once every condition holds; by default somebody
    /// promotes it.
    advance: Option<Advance>,
}

/// How a flag leaves a stage.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Advance {
    Manual,
    Auto,
}

/// A condition of leaving a stage: a metric's, or one that a person signs.
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
    /// Where it has to be.
    target: Option<Bound>,
    /// How long it has to stay there. By default the last value counts.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
    /// The name to sign it by. No other condition of the stage has it.
    id: Option<Key>,
    /// What is signed, or what the target stands for.
    text: Option<Text>,
    /// Who is to sign.
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
    /// What is done.
    text: Text,
    /// On which days of the stage. By default the timeline does not date it.
    at: Option<ActivityDay>,
    /// Who does it. By default the owner of the stage.
    owner: Option<Text>,
}

/// The days of a stage on which a task is done.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ActivityDay {
    Start,
    Daily,
    Weekly,
    End,
}

/// A metric to track.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StageMetric {
    /// Where it has to be.
    target: Bound,
    /// From where on somebody is told.
    alert: Option<Bound>,
    /// For how long the target must have held; by default now is enough.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
}

/// The watch after the last promotion.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Watch {
    /// How long it lasts.
    #[schemars(rename = "for")]
    lasts: Duration,
    /// The time from one check to the next.
    every: Duration,
    /// What the team does meanwhile, in words.
    #[schemars(length(max = 1000))]
    activities: Option<Vec<Text>>,
}
