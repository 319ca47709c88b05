//! The typed content of a plan: stages and the rules for leaving them, metrics, triggers, rollback, responsibility,
//! messages, calendar, timeline, risks and traffic.
//!
//! Every type is read-only data that [`Plan::flag`](crate::Plan::flag) returns. The data is always valid, because
//! [`Plan::parse`](crate::Plan::parse) refuses invalid documents.

mod approvals;
mod calendar;
mod explain;
mod flag;
mod group;
mod list;
mod message;
mod metric;
mod responsibility;
mod risk;
mod rollback;
mod sections;
mod stage;
pub(super) mod time;
pub(super) mod timeline;
mod traffic;
mod trigger;
mod word;

pub use crate::eval::Finding;
pub use calendar::{Calendar, Freeze};
pub use explain::{
    ConditionExplanation, Explanation, GroupExplanation, PrerequisiteExplanation, StageExplanation,
};
pub use flag::{FlagPlan, HoldBack};
pub use group::{Condition, Group};
pub use message::occasion::Occasion;
pub use message::template::Template;
pub use message::variables::VARIABLES;
pub use message::when::{ParseWhenError, When};
pub use message::{Audience, Message, ParseAudienceError};
pub use metric::better::Better;
pub use metric::increase::Increase;
pub use metric::number::{Number, ParseNumberError};
pub use metric::quantity::{Bound, Comparison, ParseQuantityError, Quantity, Unit};
pub use metric::{Metric, MetricSource, StageMetric};
pub use responsibility::Responsibility;
pub use risk::{Level, Risk};
pub use rollback::{Phase, ProcedureStep, Rollback, RollbackTarget};
pub use stage::activity::{Activity, ActivityDay};
pub use stage::criterion::Criterion;
pub use stage::{Advance, Stage, StageDetails, Watch};
pub use time::date::{Date, ParseDateError, ParseTimeZoneError, TimeZone, Weekday};
pub use time::duration::WrittenDuration;
pub use time::week::WeekHours;
pub use timeline::start::StartMoment;
pub use timeline::{DatedActivity, Due, Period, StagePeriod, Timeline};
pub use traffic::DeclaredTraffic;
pub use trigger::{Action, IncidentKind, Limit, NoData, Trigger, TriggerCause};

#[cfg(feature = "schema")]
pub use super::schema::json_schema;
pub use super::staged::STAGED_DOCUMENT;

pub(super) use metric::Metrics;
pub(super) use sections::{Context, SECTIONS, Sections};
pub(super) use stage::Stages;
pub(super) use time::date::read as read_date;
#[cfg(feature = "schema")]
pub(super) use word::Word;
