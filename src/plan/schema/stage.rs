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
    activities: Option<Vec<Text>>,
    /// What people sign before the flag leaves the stage.
    #[schemars(length(max = 1000))]
    checklist: Option<Vec<ChecklistItem>>,
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

/// A success criterion: a metric's, or one that a person confirms.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    {
        "required": ["metric", "target"],
        "properties": { "id": false, "text": false },
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
    /// For how long it must have been there; by default now is enough.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
    /// By which a person confirms it; no two of a stage are alike.
    id: Option<Key>,
    /// What is confirmed.
    text: Option<Text>,
}

/// An item of the go/no-go checklist.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ChecklistItem {
    /// By which it is signed; no two of a stage are alike, its criteria included.
    id: Key,
    /// What is signed.
    text: Text,
    /// Who is to sign.
    owner: Option<Text>,
    /// How long a signature counts; by default for good.
    expires: Option<Duration>,
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
}
