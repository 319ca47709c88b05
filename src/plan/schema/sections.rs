//! What a plan says beside its stages.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::values::{
    Date, Duration, Hours, Increase, Key, Quantity, Share, StageName, Template, Text, VariableName,
    When,
};

/// What takes a flag back: a metric beyond one limit, or an incident.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    {
        "required": ["metric", "no_data"],
        "properties": { "incident": false },
        "oneOf": [
            { "required": ["above"] },
            { "required": ["below"] },
            { "required": ["worse_than_control_by"] },
        ],
    },
    {
        "required": ["incident"],
        "properties": {
            "metric": false, "above": false, "below": false, "worse_than_control_by": false,
            "for": false, "minimum_sample": false, "no_data": false,
        },
    },
]))]
pub(super) struct Trigger {
    /// The metric.
    metric: Option<Key>,
    /// Fires when the metric is more than this; for metrics of which less is better.
    above: Option<Quantity>,
    /// Fires when the metric is less than this; for metrics of which more is better.
    below: Option<Quantity>,
    /// Fires when users with the flag fare worse than those without by more than this.
    worse_than_control_by: Option<Increase>,
    /// For how long; by default at once.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
    /// Samples without which nothing is decided.
    #[schemars(range(min = 1))]
    minimum_sample: Option<u64>,
    /// What missing data means.
    no_data: Option<NoData>,
    /// `security`, `data_integrity`, `critical_bug`, or a name of the team's own.
    incident: Option<Key>,
    /// `rollback` takes the flag back at once, `decide` asks whoever is responsible.
    action: Action,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum NoData {
    Hold,
    Rollback,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Action {
    Rollback,
    Decide,
}

/// How a flag is taken back.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct RollBack {
    /// `off`, the default, or the stage before.
    target: Option<Target>,
    /// The procedure, in order of its phases.
    #[schemars(length(max = 1000))]
    steps: Option<Vec<Step>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Target {
    Off,
    Previous,
}

/// A step of the roll-back procedure.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Step {
    /// The part of the incident it belongs to.
    phase: Phase,
    /// What is done.
    text: Text,
    /// Who does it; by default whoever is responsible.
    owner: Option<Text>,
    /// Within what time of the trigger.
    within: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Phase {
    Decide,
    Execute,
    Verify,
    Communicate,
    Investigate,
}

/// A row of the responsibility table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Responsibility {
    /// The row's name, for people.
    name: Option<Text>,
    /// The hours it covers; by default every hour.
    hours: Option<WeekHours>,
    /// The time zone of the hours, `UTC` by default.
    time_zone: Option<Text>,
    /// Who is responsible.
    contact: Text,
    /// Who is asked next, in order.
    #[schemars(length(max = 1000))]
    escalation: Option<Vec<Text>>,
    /// After what time without an answer the next is asked.
    escalate_after: Option<Duration>,
}

/// Hours of the week.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct WeekHours(#[schemars(length(min = 1, max = 1000))] Vec<Hours>);

/// Names that templates can use, and what they stand for.
#[derive(JsonSchema)]
#[schemars(transparent, extend("maxProperties" = 1000))]
pub(super) struct Variables(BTreeMap<VariableName, Text>);

/// A message of the communication plan.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Message {
    /// To whom.
    audience: Audience,
    /// About which stage; by default about each.
    stage: Option<StageName>,
    /// When.
    when: When,
    /// Where it is sent: `#releases`, `email`. By default the channel of its audience.
    channel: Option<Text>,
    /// By which way people mean to tell it, in words: `Call/Email`.
    method: Option<Text>,
    /// The subject line.
    subject: Option<Template>,
    /// The text.
    template: Template,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Audience {
    Internal,
    Client,
    User,
}

/// When the rollout starts, and who owns its stages.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Timeline {
    /// The day the first stage begins.
    start: Option<Date>,
    /// Who owns a stage, by the stage's name; by default the flag's owner.
    owners: Option<BTreeMap<StageName, Text>>,
}

/// When a flag may be promoted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Calendar {
    /// The time zone of hours and dates, `UTC` by default.
    time_zone: Option<Text>,
    /// The hours of the week for promotions; by default every hour.
    hours: Option<WeekHours>,
    /// Days on which nothing is promoted.
    #[schemars(length(max = 1000))]
    freezes: Option<Vec<Freeze>>,
}

/// Days on which nothing is promoted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Freeze {
    /// The first day.
    from: Date,
    /// The last day.
    to: Date,
    /// Why.
    reason: Text,
}

/// A risk and its mitigation.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Risk {
    /// What could happen.
    risk: Text,
    /// How likely it is.
    likelihood: Option<Level>,
    /// How bad it would be.
    impact: Option<Level>,
    /// What is done about it.
    mitigation: Text,
    /// Who sees to it.
    owner: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Level {
    Low,
    Medium,
    High,
}

/// What comes to the service: tells which stages are too short, and how many users a step is about.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Traffic {
    /// Requests a minute that ask for the flag, of all users together.
    #[schemars(range(min = 1))]
    requests_per_minute: u64,
    /// The share of them that fails when all is well.
    error_rate: Share,
    /// How many users there are.
    #[schemars(range(min = 1))]
    users: Option<u64>,
}
