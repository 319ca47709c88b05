//! The views of triggers, rollback, responsibility, messages, risks and traffic.

use std::fmt;
use std::time::SystemTime;

use serde::Serialize;
use stagegate::model::{
    DeclaredTraffic, FlagPlan, Limit, Message, Occasion, ProcedureStep, Responsibility, Risk,
    Rollback, Template, Trigger, TriggerCause,
};

use crate::amount::Amount;

/// A trigger: a metric beyond a limit, or an incident.
#[derive(Serialize)]
pub(super) struct TriggerView<'p> {
    /// `rollback` or `decide`.
    pub(super) action: String,
    #[serde(flatten)]
    cause: CauseView<'p>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum CauseView<'p> {
    Metric {
        metric: &'p str,
        title: &'p str,
        limit: Box<LimitView>,
        #[serde(rename = "for")]
        sustained: Option<Amount>,
        minimum_sample: Option<u64>,
        /// `hold` or `rollback`.
        no_data: String,
    },
    Incident {
        incident: String,
    },
}

/// A limit: its text, and its value under the document's field name.
#[derive(Serialize)]
struct LimitView {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worse_than_control_by: Option<Amount>,
}

#[derive(Serialize)]
pub(super) struct RollbackView<'p> {
    /// `off` or `previous`.
    target: String,
    steps: Vec<StepView<'p>>,
}

#[derive(Serialize)]
struct StepView<'p> {
    phase: String,
    text: &'p str,
    owner: Option<&'p str>,
    within: Option<Amount>,
}

#[derive(Serialize)]
pub(super) struct ResponsibilityView<'p> {
    name: Option<&'p str>,
    hours: String,
    time_zone: String,
    contact: &'p str,
    escalation: Vec<&'p str>,
    escalate_after: Option<Amount>,
}

#[derive(Serialize)]
pub(super) struct MessageView<'p> {
    /// `internal`, `client` or `user`.
    audience: String,
    /// `None` means every stage.
    stage: Option<String>,
    when: String,
    /// `None` if stagegate does not send it.
    channel: Option<&'p str>,
    method: Option<&'p str>,
    /// With its variables unfilled.
    subject: Option<&'p str>,
    template: &'p str,
    /// The same with the variables filled in. A variable without a fixed value becomes `[name]`.
    filled: FilledView,
}

#[derive(Serialize)]
struct FilledView {
    subject: Option<String>,
    text: String,
}

#[derive(Serialize)]
pub(super) struct VariableView<'p> {
    name: &'p str,
    text: &'p str,
}

#[derive(Serialize)]
pub(super) struct RiskView<'p> {
    risk: &'p str,
    likelihood: Option<String>,
    impact: Option<String>,
    mitigation: &'p str,
    owner: Option<&'p str>,
}

#[derive(Serialize)]
pub(super) struct TrafficView {
    requests_per_minute: u64,
    error_rate: Amount,
    users: Option<u64>,
}

impl<'p> TriggerView<'p> {
    pub(super) fn of(trigger: &'p Trigger) -> TriggerView<'p> {
        let cause = match &trigger.cause {
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, no_data } => {
                CauseView::Metric {
                    metric: &metric.name,
                    title: &metric.title,
                    limit: Box::new(LimitView::of(limit)),
                    sustained: sustained.map(Amount::duration),
                    minimum_sample: *minimum_sample,
                    no_data: no_data.to_string(),
                }
            }
            TriggerCause::Incident(kind) => CauseView::Incident { incident: kind.to_string() },
            _ => CauseView::Incident { incident: "unknown".to_owned() },
        };
        TriggerView { action: trigger.action.to_string(), cause }
    }
}

impl LimitView {
    fn of(limit: &Limit) -> LimitView {
        let (mut above, mut below, mut worse_than_control_by) = (None, None, None);
        match *limit {
            Limit::Above(value) => above = Some(Amount::of(value)),
            Limit::Below(value) => below = Some(Amount::of(value)),
            Limit::WorseThanControlBy { by, .. } => {
                worse_than_control_by = Some(Amount::increase(by));
            }
            _ => {}
        }
        LimitView { text: limit.to_string(), above, below, worse_than_control_by }
    }
}

impl<'p> RollbackView<'p> {
    pub(super) fn of(rollback: &'p Rollback) -> RollbackView<'p> {
        let steps = rollback.steps.iter().map(StepView::of).collect();
        RollbackView { target: rollback.target.to_string(), steps }
    }
}

impl<'p> StepView<'p> {
    fn of(step: &'p ProcedureStep) -> StepView<'p> {
        StepView {
            phase: step.phase.to_string(),
            text: &step.text,
            owner: step.owner.as_deref(),
            within: step.within.map(Amount::duration),
        }
    }
}

impl<'p> ResponsibilityView<'p> {
    pub(super) fn of(row: &'p Responsibility) -> ResponsibilityView<'p> {
        ResponsibilityView {
            name: row.name.as_deref(),
            hours: row.hours.to_string(),
            time_zone: row.time_zone.to_string(),
            contact: &row.contact,
            escalation: row.escalation.iter().map(|name| &**name).collect(),
            escalate_after: row.escalate_after.map(Amount::duration),
        }
    }
}

impl<'p> MessageView<'p> {
    pub(super) fn of(flag: FlagPlan<'p>, message: &'p Message) -> MessageView<'p> {
        let fill = |template: &Template| template.render(|name| Some(known(flag, message, name)));
        MessageView {
            audience: message.audience.to_string(),
            stage: message.stage.map(|stage| stage.to_string()),
            when: message.when.to_string(),
            channel: message.channel.as_deref(),
            method: message.method.as_deref(),
            subject: message.subject.as_ref().map(Template::text),
            template: message.template.text(),
            filled: FilledView {
                subject: message.subject.as_ref().map(fill),
                text: fill(&message.template),
            },
        }
    }
}

/// Returns the value of a variable if it is the same on every day, or else its name in brackets.
fn known(flag: FlagPlan<'_>, message: &Message, name: &str) -> String {
    let is_own = flag.variables().any(|(own, _)| own == name);
    let depends_on_stage =
        !matches!(name, "flag" | "description" | "owner") && !is_own && message.stage.is_none();
    // The responsible person depends on the hour.
    let depends_on_day = name == "contact" && !is_own;
    let occasion = Occasion::new(message.stage.unwrap_or(flag.stage()), SystemTime::UNIX_EPOCH);
    let value = flag.variable(name, &occasion).filter(|_| !depends_on_stage && !depends_on_day);
    value.unwrap_or_else(|| format!("[{name}]"))
}

impl<'p> VariableView<'p> {
    pub(super) fn of((name, text): (&'p str, &'p str)) -> VariableView<'p> {
        VariableView { name, text }
    }
}

impl<'p> RiskView<'p> {
    pub(super) fn of(risk: &'p Risk) -> RiskView<'p> {
        RiskView {
            risk: &risk.risk,
            likelihood: risk.likelihood.map(|level| level.to_string()),
            impact: risk.impact.map(|level| level.to_string()),
            mitigation: &risk.mitigation,
            owner: risk.owner.as_deref(),
        }
    }
}

impl TrafficView {
    pub(super) fn of(traffic: &DeclaredTraffic) -> TrafficView {
        TrafficView {
            requests_per_minute: traffic.requests_per_minute,
            error_rate: Amount::percent(traffic.error_rate),
            users: traffic.users,
        }
    }
}

/// Formats the traffic for people.
impl fmt::Display for TrafficView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrafficView { requests_per_minute, error_rate, users } = self;
        write!(f, "{requests_per_minute} requests per minute, ")?;
        write!(f, "error rate {error_rate} when healthy")?;
        users.map_or(Ok(()), |users| write!(f, "; {users} users"))
    }
}
