//! The document, its flags, groups, shared plans and metrics.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::sections::{
    Calendar, Message, Responsibility, Risk, RollBack, Timeline, Traffic, Trigger, Variables,
};
use super::stage::Stage;
use super::values::{Algorithm, Date, Duration, Key, Percent, StageName, Text, UserKey, Version};

/// Who gets which feature, and in which steps.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Document {
    /// The version of these rules: 1.
    schema: Version,
    /// How users are spread over buckets.
    algorithm: Option<Algorithm>,
    /// The project that the plan is for.
    project: Option<Text>,
    /// The version of the plan, for people.
    version: Option<Text>,
    /// The day on which the plan was last changed.
    last_updated: Option<Date>,
    /// Where the messages to an audience are sent. A message to an audience without a channel is not sent.
    channels: Option<Channels>,
    /// How much one update may change.
    limits: Option<Limits>,
    /// The flags by key.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 100_000))]
    flags: BTreeMap<Key, Flag>,
    /// Named sets of users.
    #[schemars(extend("maxProperties" = 10_000))]
    groups: Option<BTreeMap<Key, Group>>,
    /// Metrics beside those that every document has.
    #[schemars(extend("maxProperties" = 1000))]
    metrics: Option<BTreeMap<Key, Metric>>,
    /// Plans that flags share.
    #[schemars(extend("maxProperties" = 10_000))]
    plans: Option<BTreeMap<Key, Plan>>,
}

/// Where the messages to each audience are sent.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Channels {
    /// The channel for the team.
    internal: Option<Text>,
    /// The channel for the client.
    client: Option<Text>,
    /// The channel for users.
    user: Option<Text>,
}

/// How much one update may change.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// The percentage of users whom one update may take a flag from without a `skip_reason`; by default 50.
    per_update: Option<Percent>,
}

/// Fields that a flag and a shared plan both have.
macro_rules! with_sections {
    ($(#[$attribute:meta])* $name:ident { $($fields:tt)* }) => {
        #[derive(JsonSchema)]
        #[schemars(deny_unknown_fields)]
        $(#[$attribute])*
        pub(super) struct $name {
            $($fields)*
            /// What takes a flag back, at once or by decision.
            #[schemars(length(max = 1000))]
            triggers: Option<Vec<Trigger>>,
            /// Where a flag goes back to, and what people do then.
            rollback: Option<RollBack>,
            /// Who decides, hour by hour. The first row that covers a moment answers for it.
            #[schemars(length(min = 1, max = 1000))]
            responsibility: Option<Vec<Responsibility>>,
            /// Variables for messages, beside those that every template has.
            variables: Option<Variables>,
            /// The communication plan.
            #[schemars(length(max = 1000))]
            messages: Option<Vec<Message>>,
            /// When the rollout starts, and who owns its stages.
            timeline: Option<Timeline>,
            /// When a flag may be promoted.
            calendar: Option<Calendar>,
            /// What could go wrong, and what is done about it.
            #[schemars(length(max = 1000))]
            risks: Option<Vec<Risk>>,
            /// What comes to the service.
            traffic: Option<Traffic>,
        }
    };
}

with_sections! {
    /// A flag. Each section it has replaces that of the plan it follows; variables are added.
    #[schemars(extend("not" = { "required": ["stages", "plan"] }))]
    Flag {
        /// Where the flag is: `off`, or a stage of its plan. By default `off`.
        stage: Option<StageName>,
        /// The name of the plan it follows, `staged` by default.
        plan: Option<Key>,
        /// Stages of its own, in the place of a plan.
        #[schemars(length(min = 1, max = 64))]
        stages: Option<Vec<Stage>>,
        /// What spreads users over buckets; by default the key.
        #[schemars(length(min = 1, max = 4096))]
        salt: Option<String>,
        /// Groups that wait, each for a stage, whatever else would let them in.
        hold_back: Option<BTreeMap<Key, StageName>>,
        /// Who answers for the flag.
        owner: Option<Text>,
        /// What the flag is.
        description: Option<Text>,
        /// Allows an update to let in users whom the plan in force does not admit yet, or to take the flag from many at once;
        /// another reason each time.
        skip_reason: Option<Text>,
    }
}

with_sections! {
    /// A plan that flags share.
    Plan {
        /// The stages, in order.
        #[schemars(length(min = 1, max = 64))]
        stages: Vec<Stage>,
    }
}

/// A set of users: those listed, and those whose attributes match.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(super) struct Group {
    /// User keys.
    users: Option<Vec<UserKey>>,
    /// The path of a file with one user key a line, below the document's directory.
    users_file: Option<Text>,
    /// Whether the file may list nobody; by default an update refuses a file that has become empty.
    may_be_empty: Option<bool>,
    /// The values that each of these attributes may have.
    #[schemars(rename = "where", extend("minProperties" = 1))]
    attributes: Option<BTreeMap<String, Values>>,
}

/// Values of an attribute, spelled exactly.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Values(#[schemars(length(min = 1))] Vec<Text>);

/// A metric that the document declares.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Metric {
    /// The name for people; by default its key.
    title: Option<Text>,
    /// What it is measured in.
    unit: Unit,
    /// Whether less or more of it is better. Required where it is compared with a target, an alert, a limit or
    /// control, unless every document has the metric.
    better: Option<Better>,
    /// Who records it.
    source: Source,
    /// What it is, for people.
    description: Option<Text>,
    /// How old a reading may be and still count; by default a day where people enter it, else ten
    /// minutes.
    stale_after: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Unit {
    Percent,
    Duration,
    Count,
    Number,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Better {
    Less,
    More,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Source {
    Word(SourceWord),
    Prometheus(Prometheus),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum SourceWord {
    Application,
    People,
}

/// A query to a Prometheus server.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Prometheus {
    /// In Prometheus' query language.
    prometheus: Text,
}
