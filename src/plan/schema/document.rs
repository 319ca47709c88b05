//! The mirror of a document: flags, groups, shared plans and metrics.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::sections::{
    Calendar, Message, Responsibility, Risk, Rollback, Timeline, Traffic, Trigger, Variables,
};
use super::stage::StageSchema;
use super::values::{
    Algorithm, Anything, Approvals, AskedAs, Bounds, Date, Duration, Key, OneOf, Percent,
    StageName, Text, UserKey, Version,
};
use crate::plan::model::{Better, Unit};

/// A rollout plan: flags, and the stages in which users get them.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Document {
    /// The version of the schema: 1.
    schema: Version,
    /// The algorithm that spreads users over buckets.
    algorithm: Option<Algorithm>,
    /// The project that the plan is for.
    project: Option<Text>,
    /// The version of the plan, for people.
    version: Option<Text>,
    /// The day of the last change to the plan.
    last_updated: Option<Date>,
    /// The channel for the messages to each audience. A message without a channel is not sent.
    channels: Option<Channels>,
    /// Limits for one update.
    limits: Option<Limits>,
    /// The flags by key.
    #[schemars(extend("minProperties" = 1, "maxProperties" = 100_000))]
    flags: BTreeMap<Key, Flag>,
    /// Named sets of users.
    #[schemars(extend("maxProperties" = 10_000))]
    groups: Option<BTreeMap<Key, Group>>,
    /// Metrics of your own. Every document also has the built-in metrics.
    #[schemars(extend("maxProperties" = 1000))]
    metrics: Option<BTreeMap<Key, Metric>>,
    /// Plans that flags share.
    #[schemars(extend("maxProperties" = 10_000))]
    plans: Option<BTreeMap<Key, Plan>>,
    /// Values that an environment has in place of the document's.
    #[schemars(extend("maxProperties" = 16))]
    environments: Option<BTreeMap<Key, Environment>>,
}

/// The values of an environment. Each field of a flag or a metric replaces that field of the document. A group replaces
/// the document's group.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Environment {
    /// The channels that differ.
    channels: Option<Channels>,
    /// The limits that differ.
    limits: Option<Limits>,
    /// The fields of flags that differ. The document has each of these flags.
    flags: Option<BTreeMap<Key, Flag>>,
    /// The groups that differ.
    groups: Option<BTreeMap<Key, Group>>,
    /// The fields of metrics that differ.
    metrics: Option<BTreeMap<Key, BTreeMap<String, Anything>>>,
}

/// The channels for the messages to each audience.
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

/// Limits for one update.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Limits {
    /// The percentage of users that may lose a flag by one update without a `skip_reason`. By default 50.
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
            /// The conditions for a rollback, at once or by decision.
            #[schemars(length(max = 1000))]
            triggers: Option<Vec<Trigger>>,
            /// The target and the procedure of a rollback.
            rollback: Option<Rollback>,
            /// The contacts hour by hour. The first row that covers a moment answers for it. The last row has no `hours`.
            #[schemars(length(min = 1, max = 1000))]
            responsibility: Option<Vec<Responsibility>>,
            /// Variables of your own for messages.
            variables: Option<Variables>,
            /// The communication plan.
            #[schemars(length(max = 1000))]
            messages: Option<Vec<Message>>,
            /// The start of the rollout, and the owners of its stages.
            timeline: Option<Timeline>,
            /// The times at which a flag may be promoted.
            calendar: Option<Calendar>,
            /// Risks and their mitigations.
            #[schemars(length(max = 1000))]
            risks: Option<Vec<Risk>>,
            /// The traffic of the service.
            traffic: Option<Traffic>,
            /// The people who must approve a promotion: roles by stage, and the number for a forced promotion (`force`).
            approvals: Option<Approvals>,
            /// Whether a promotion needs a signature by a person other than the promoter. By default no.
            four_eyes: Option<bool>,
        }
    };
}

with_sections! {
    /// A flag. Each of its sections replaces the section of its plan. Variables are added to the plan's variables.
    #[schemars(extend("not" = { "required": ["stages", "plan"] }))]
    Flag {
        /// The stage of the flag, or `off`. By default `off`.
        stage: Option<StageName>,
        /// The name of its plan. By default `staged`.
        plan: Option<Key>,
        /// Stages of its own, instead of a plan.
        #[schemars(length(min = 1, max = 64))]
        stages: Option<Vec<StageSchema>>,
        /// The text that spreads users over buckets. By default the key.
        #[schemars(length(min = 1, max = 4096))]
        salt: Option<String>,
        /// Further names that the application asks by, for flags from another system. By default none.
        asked_as: Option<AskedAs>,
        /// The attribute whose values the percentages refer to. By default they refer to user keys.
        by: Option<Text>,
        /// Groups of which a user must be in one, at every stage. By default every user may have the flag.
        #[schemars(length(min = 1))]
        only: Option<Vec<Key>>,
        /// Flags that a user must have, too, each with the stage that it must have reached.
        requires: Option<BTreeMap<Key, StageName>>,
        /// Groups that get the flag no earlier than a stage, or never, even if a bucket or a list would admit them.
        hold_back: Option<BTreeMap<Key, HoldBack>>,
        /// The person or team that owns the flag.
        owner: Option<Text>,
        /// The purpose of the flag.
        description: Option<Text>,
        /// Why an update may admit users earlier than planned, or take the flag from many users at once. Write another
        /// reason each time.
        skip_reason: Option<Text>,
    }
}

with_sections! {
    /// A plan that flags share.
    Plan {
        /// The stages, in order.
        #[schemars(length(min = 1, max = 64))]
        stages: Vec<StageSchema>,
    }
}

/// The stage until which a group waits, or `never`. With exceptions, a table.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum HoldBack {
    Until(StageName),
    Table(HoldBackTable),
}

/// A hold-back with exceptions.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename = "HoldBackTable")]
struct HoldBackTable {
    /// The stage until which the group waits, or `never`.
    until: StageName,
    /// Groups whose users do not wait.
    except: Option<Vec<Key>>,
}

/// A set of users: listed users, users whose attributes match, and users of other groups.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
pub(super) struct Group {
    /// User keys. With `values_of`, values of that attribute.
    users: Option<Vec<UserKey>>,
    /// A file with one user key or value a line. The path is relative to the document's directory.
    users_file: Option<Text>,
    /// Whether the file may be empty. By default an update refuses a file that has become empty.
    may_be_empty: Option<bool>,
    /// The attribute whose values `users` and `users_file` list. By default they list user keys.
    values_of: Option<Text>,
    /// Conditions on attributes. Every condition must match.
    #[schemars(rename = "where")]
    conditions: Option<Conditions>,
    /// Names of other groups, and tables of conditions. One of them must match.
    #[schemars(length(min = 1))]
    any: Option<Vec<Alternative>>,
}

/// The name of a group, or conditions that must all match.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Alternative {
    Group(Key),
    Conditions(Conditions),
}

/// A condition for each attribute. Every condition must match.
#[derive(JsonSchema)]
#[schemars(transparent, extend("minProperties" = 1))]
struct Conditions(BTreeMap<String, Condition>);

/// A list of values, bounds such as `">= 18"`, or a table of tests.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Condition {
    Bounds(Bounds),
    Values(Values),
    Tests(Tests),
}

/// Values of an attribute, compared letter by letter.
#[derive(JsonSchema)]
#[schemars(transparent)]
struct Values(#[schemars(length(min = 1))] Vec<Text>);

/// Tests of an attribute. All of them must hold.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
struct Tests {
    /// The text is one of these.
    #[schemars(rename = "in")]
    one_of: Option<Values>,
    /// The text is none of these. A missing attribute does not match.
    not_in: Option<Values>,
    /// The text begins with this.
    prefix: Option<Text>,
    /// The text ends with this.
    suffix: Option<Text>,
    /// The text contains this.
    contains: Option<Text>,
    /// The value is a number within these bounds.
    number: Option<Bounds>,
    /// The value is a version within these bounds.
    version: Option<Bounds>,
    /// The value is a day or a moment within these bounds.
    date: Option<Bounds>,
    /// The user has the attribute.
    #[schemars(extend("const" = true))]
    present: Option<bool>,
}

/// A metric that the document declares.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Metric {
    /// The name for people. By default the key.
    title: Option<Text>,
    /// The unit.
    unit: OneOf<Unit>,
    /// Whether smaller or larger values are better. Required if a target, an alert or a trigger names the metric.
    better: Option<OneOf<Better>>,
    /// The origin of the readings.
    source: Source,
    /// A description for people.
    description: Option<Text>,
    /// How old a reading may be. By default a day if people enter it, and ten minutes otherwise.
    stale_after: Option<Duration>,
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
    /// The query, in the query language of Prometheus.
    prometheus: Text,
    /// The query for the number of samples that the value is computed from. A trigger with `minimum_sample` needs it.
    samples: Option<Text>,
}
