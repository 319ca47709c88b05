//! The mirror of a plan's sections.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::values::{
    Date, Duration, Hours, Increase, Key, OneOf, Quantity, Share, StageName, Start, Template, Text,
    VariableName, When,
};
use crate::plan::model::{Action, Advance, Audience, Level, NoData, Phase, RollbackTarget};

/// A condition for a rollback: a metric beyond a limit, or an incident.
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
    /// Fires if the metric is above this. For metrics whose smaller values are better.
    above: Option<Quantity>,
    /// Fires if the metric is below this. For metrics whose larger values are better.
    below: Option<Quantity>,
    /// Fires if the metric is worse for users with the flag than for users without it, by more than this.
    worse_than_control_by: Option<Increase>,
    /// How long the limit must be exceeded. By default the trigger fires at once.
    #[schemars(rename = "for")]
    sustained: Option<Duration>,
    /// The number of samples that a decision needs.
    #[schemars(range(min = 1))]
    minimum_sample: Option<u64>,
    /// The action on missing data.
    no_data: Option<OneOf<NoData>>,
    /// `security`, `data_integrity`, `critical_bug`, or a name of your own.
    incident: Option<Key>,
    /// `rollback` rolls the flag back at once. `decide` asks the person responsible.
    action: OneOf<Action>,
}

/// The target and the procedure of a rollback.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "RollBack")]
pub(super) struct Rollback {
    /// `off`, or the stage before (`previous`). By default `off`.
    target: Option<OneOf<RollbackTarget>>,
    /// The steps of the procedure, in order of their phases.
    #[schemars(length(max = 1000))]
    steps: Option<Vec<Step>>,
}

/// A step of the rollback procedure.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Step {
    /// The phase of the incident.
    phase: OneOf<Phase>,
    /// The task.
    text: Text,
    /// The person or role. By default the person responsible.
    owner: Option<Text>,
    /// The time allowed, from the trigger on.
    within: Option<Duration>,
}

/// A row of the responsibility table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Responsibility {
    /// The name of the row, for people.
    name: Option<Text>,
    /// The hours that the row covers. By default every hour. The last row must cover every hour.
    hours: Option<WeekHours>,
    /// The time zone of the hours. By default `UTC`.
    time_zone: Option<Text>,
    /// The person or role that is responsible.
    contact: Text,
    /// The contacts to ask next, in order.
    #[schemars(length(max = 1000))]
    escalation: Option<Vec<Text>>,
    /// How long to wait for an answer before asking the next contact.
    escalate_after: Option<Duration>,
}

/// Hours of the week.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct WeekHours(#[schemars(length(min = 1, max = 1000))] Vec<Hours>);

/// Names for templates, and their texts.
#[derive(JsonSchema)]
#[schemars(transparent, extend("maxProperties" = 1000))]
pub(super) struct Variables(BTreeMap<VariableName, Text>);

/// A message of the communication plan.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Message {
    /// The audience.
    audience: OneOf<Audience>,
    /// The stage that the message is about. By default every stage.
    stage: Option<StageName>,
    /// When to send the message.
    when: When,
    /// The channel: `#releases`, `email`. By default the channel of the audience.
    channel: Option<Text>,
    /// How the team delivers the message, in words: `Call/Email`.
    method: Option<Text>,
    /// The subject line.
    subject: Option<Template>,
    /// The text.
    template: Template,
}

/// The start of the rollout, and the owners of its stages.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Timeline {
    /// The day or the moment before which the flag does not begin.
    start: Option<Start>,
    /// `auto`: a flag that is off begins by itself at the start. By default `manual`.
    advance: Option<OneOf<Advance>>,
    /// The owners of stages, by stage. By default the owner of the flag.
    owners: Option<BTreeMap<StageName, Text>>,
}

/// The times at which a flag may be promoted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Calendar {
    /// The time zone of hours and dates. By default `UTC`.
    time_zone: Option<Text>,
    /// The hours of the week for promotions. By default every hour.
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
    /// The reason.
    reason: Text,
}

/// A risk and its mitigation.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Risk {
    /// The event to avoid.
    risk: Text,
    /// The likelihood.
    likelihood: Option<OneOf<Level>>,
    /// The impact.
    impact: Option<OneOf<Level>>,
    /// The mitigation.
    mitigation: Text,
    /// The person or role that takes care of it.
    owner: Option<Text>,
}

/// The traffic of the service. It serves to find stages that are too short, and to estimate the users of a stage.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Traffic {
    /// Requests a minute that check the flag, of all users together.
    #[schemars(range(min = 1))]
    requests_per_minute: u64,
    /// The usual share of requests that fail.
    error_rate: Share,
    /// The number of users.
    #[schemars(range(min = 1))]
    users: Option<u64>,
}
