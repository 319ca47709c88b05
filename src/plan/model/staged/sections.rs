//! Triggers, roll-back, who is responsible, when promotions are, and risks.

use std::ops::Range;
use std::sync::Arc;

use super::time::{DAY, HOUR, MINUTE};
use super::{PRODUCT_OWNER, SUPPORT_LEAD, TECH_LEAD, messages, share};
use crate::plan::model::calendar::Calendar;
use crate::plan::model::metric::Metrics;
use crate::plan::model::metric::better::Better;
use crate::plan::model::metric::increase::Increase;
use crate::plan::model::metric::quantity::Quantity;
use crate::plan::model::responsibility::Responsibility;
use crate::plan::model::risk::{Level, Risk};
use crate::plan::model::rollback::{Phase, ProcedureStep, RollBack, RollBackTarget};
use crate::plan::model::sections::Sections;
use crate::plan::model::time::date::TimeZone;
use crate::plan::model::time::week::WeekHours;
use crate::plan::model::trigger::{Action, IncidentKind, Limit, NoData, Trigger, TriggerCause};

pub(super) fn sections(metrics: &Metrics) -> Sections {
    Sections {
        triggers: triggers(metrics),
        rollback: Arc::new(rollback()),
        responsibility: responsibility(),
        variables: Arc::new(messages::variables()),
        messages: messages::messages(),
        timeline: Arc::default(),
        calendar: Some(Arc::new(calendar())),
        risks: risks(),
        traffic: None,
    }
}

fn triggers(metrics: &Metrics) -> Arc<[Trigger]> {
    let worse_by = |ppm| {
        let by = Increase::from_ppm(ppm)?;
        Some(Limit::WorseThanControlBy { by, better: Better::Less })
    };
    let above = |value| Some(Limit::Above(value));
    let metric = |name, limit, sustained, minimum_sample, action| {
        let (metric, limit) = (metrics.get(name)?, limit?);
        let no_data = NoData::Hold;
        let cause = TriggerCause::Metric { metric, limit, sustained, minimum_sample, no_data };
        Some(Trigger { cause, action })
    };
    let incident =
        |kind| Some(Trigger { cause: TriggerCause::Incident(kind), action: Action::RollBack });
    let triggers = [
        metric("error_rate", above(share(5)), None, Some(500), Action::RollBack),
        metric("latency_p95", worse_by(500_000), None, Some(500), Action::RollBack),
        incident(IncidentKind::Security),
        incident(IncidentKind::DataIntegrity),
        incident(IncidentKind::CriticalBug),
        metric("error_rate", above(share(2)), Some(HOUR), None, Action::Decide),
        metric("latency_p95", worse_by(200_000), None, Some(500), Action::Decide),
        metric("complaints", above(Quantity::Count(5)), None, None, Action::Decide),
    ];
    triggers.into_iter().flatten().collect()
}

fn rollback() -> RollBack {
    let step = |phase, text: &str, owner: Option<&str>, within| ProcedureStep {
        phase,
        text: text.into(),
        owner: owner.map(Box::from),
        within: Some(within),
    };
    RollBack {
        target: RollBackTarget::Off,
        steps: vec![
            step(
                Phase::Decide,
                "Whoever is responsible decides; when in doubt, roll back",
                None,
                5 * MINUTE,
            ),
            step(Phase::Execute, "Roll the flag back", None, 10 * MINUTE),
            step(
                Phase::Verify,
                "See that nobody has the flag and the metrics are as before",
                None,
                15 * MINUTE,
            ),
            step(
                Phase::Communicate,
                "Tell the team, the client and the users who had the feature",
                Some(PRODUCT_OWNER),
                30 * MINUTE,
            ),
            step(
                Phase::Investigate,
                "Find the cause and say what has to change before the next start",
                Some(TECH_LEAD),
                2 * DAY,
            ),
        ],
    }
}

fn responsibility() -> Arc<[Responsibility]> {
    let row = |name: &str, hours, contact: &str, escalation: [&str; 2]| Responsibility {
        name: Some(name.into()),
        hours,
        time_zone: TimeZone::UTC,
        contact: contact.into(),
        escalation: escalation.map(Box::from).into(),
        escalate_after: Some(15 * MINUTE),
    };
    let business = WeekHours::of(daily(0..5, (9, 18)));
    [
        row("business hours", business, TECH_LEAD, ["engineering manager", "CTO"]),
        row("otherwise", WeekHours::always(), "on-call engineer", [TECH_LEAD, "CTO"]),
    ]
    .into()
}

/// Promotions while the people who would take one back are there, this day and the next.
fn calendar() -> Calendar {
    Calendar {
        time_zone: TimeZone::UTC,
        hours: WeekHours::of(daily(0..4, (9, 16))),
        freezes: Vec::new(),
    }
}

/// Minutes of the week: these hours of the days, Monday the first.
fn daily(days: Range<u16>, (from, to): (u16, u16)) -> impl Iterator<Item = (u16, u16)> {
    days.map(move |day| ((day * 24 + from) * 60, (day * 24 + to) * 60))
}

fn risks() -> Arc<[Risk]> {
    let risk = |risk: &str, likelihood, impact, mitigation: &str, owner: &str| Risk {
        risk: risk.into(),
        likelihood: Some(likelihood),
        impact: Some(impact),
        mitigation: mitigation.into(),
        owner: Some(owner.into()),
    };
    [
        risk(
            "A fault that no test shows reaches users",
            Level::Medium,
            Level::High,
            "A tenth of the users first; error rate and latency take the flag back by themselves",
            TECH_LEAD,
        ),
        risk(
            "The system does not carry the load of all users",
            Level::Medium,
            Level::High,
            "A load test before the last stage; CPU and memory are tracked from the pilot on",
            TECH_LEAD,
        ),
        risk(
            "Data is damaged, and a roll-back does not repair it",
            Level::Low,
            Level::High,
            "Old and new code read each other's data; back-ups are tried before the pilot",
            TECH_LEAD,
        ),
        risk(
            "Users do not find their way, and support is overrun",
            Level::Medium,
            Level::Medium,
            "Support is briefed before the pilot, users are told before they get the feature",
            SUPPORT_LEAD,
        ),
        risk(
            "Nobody is there when something breaks",
            Level::Low,
            Level::High,
            "Promotions from Monday to Thursday in business hours; somebody on call at any hour",
            TECH_LEAD,
        ),
        risk(
            "The client hears of a problem from its users",
            Level::Low,
            Level::Medium,
            "Messages before each stage, each week, and within half an hour of a roll-back",
            PRODUCT_OWNER,
        ),
    ]
    .into()
}
