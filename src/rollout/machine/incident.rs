//! From the report of an incident to its end.

use std::time::Duration;

use super::alert::{Alert, AlertKind};
use super::case::{Case, Decision, Draft};
use super::evidence::evidence_text;
use super::refusal::Unmet;
use super::rollback;
use super::state::Incident;
use super::text::Spent;
use crate::eval::StageName;
use crate::plan::model::{Action, IncidentKind, Limit, Metric, Phase, TriggerCause};
use crate::plan::{Excerpt, one_of};
use crate::rollout::{Cause, Fact};

/// A person or a program reports an incident. A kind that nothing answers to is refused: the flag would
/// stay on because of a spelling mistake.
pub(super) fn report(case: &Case<'_, '_>, kind: &str, note: Option<&str>) -> Decision {
    let kinds = kinds(case);
    if !kinds.contains(&kind) {
        let found = match kind.trim().is_empty() {
            true => "the incident is of no kind".to_owned(),
            false => format!(
                "found `{}`, not a kind of incident that the flag's plan or stagegate knows",
                Excerpt(kind)
            ),
        };
        return Err(vec![Unmet::new("report", found, one_of(kind, kinds.into_iter()))]);
    }
    let note: Option<Box<str>> = note.map(Into::into);
    let mut draft = case.stays(Fact::Reported { kind: kind.into(), note: note.clone() });
    let answers = |cause: &TriggerCause| matches!(cause, TriggerCause::Incident(named) if named.as_str() == kind);
    let trigger = case.triggers().find(|(_, trigger)| answers(&trigger.cause));
    let rolls_back = trigger.is_some_and(|(_, trigger)| trigger.action == Action::RollBack);
    let taken_back = case.state.incident.as_ref().is_some_and(|it| it.cause.is_some());
    if rolls_back && !taken_back && !case.is_off() {
        draft.extend(rollback::to_target(case, Cause::Incident { kind: kind.into(), note }));
    } else {
        let told = note.map(|note| format!(": {note}")).unwrap_or_default();
        let question = if taken_back || case.is_off() { "" } else { "; roll back?" };
        let text = format!("incident {kind} reported{told}{question}");
        draft.alerts.push(asks(case, text));
    }
    Ok(draft)
}

/// The kinds that every plan knows, then those that the flag's triggers name.
fn kinds<'p>(case: &Case<'p, '_>) -> Vec<&'p str> {
    let mut kinds: Vec<&str> = IncidentKind::KNOWN.iter().map(IncidentKind::as_str).collect();
    for (_, trigger) in case.triggers() {
        if let TriggerCause::Incident(kind) = &trigger.cause
            && !kinds.contains(&kind.as_str())
        {
            kinds.push(kind.as_str());
        }
    }
    kinds
}

/// A trigger asks whether the flag is taken back: an incident, so that nothing is promoted meanwhile and somebody
/// else is asked where nobody answers. Where one is open already, somebody is at it.
pub(super) fn ask(case: &Case<'_, '_>, trigger: &str, evidence: &str) -> Draft {
    let mut draft = Draft::default();
    if case.state.incident.as_ref().is_some_and(|incident| *incident.about == *trigger) {
        return draft;
    }
    if case.state.incident.is_none() {
        let fact = Fact::Asked { trigger: trigger.into(), evidence: evidence.into() };
        draft.extend(case.stays(fact));
    }
    draft.alerts.push(asks(case, format!("{trigger}: {evidence}; roll back?")));
    draft
}

/// A decision that somebody has to take in time.
fn asks(case: &Case<'_, '_>, text: String) -> Alert {
    case.asks(AlertKind::Decision, text, patience(case, Phase::Decide))
}

/// The present phase is done.
pub(super) fn step(
    case: &Case<'_, '_>,
    note: Option<&str>,
    overriding: Option<&str>,
    serving: StageName,
) -> Decision {
    let incident = open(case)?;
    let stepped = |overridden: Option<&str>| {
        let (note, overridden) = (note.map(Into::into), overridden.map(Into::into));
        case.stays(Fact::Stepped { phase: incident.phase, note, overridden })
    };
    match incident.phase {
        Phase::Decide | Phase::Communicate => Ok(stepped(None)),
        Phase::Execute if case.is_off() => Ok(stepped(None)),
        Phase::Execute => {
            let reason =
                note.map_or_else(|| format!("incident {}", incident.number), str::to_owned);
            let cause = Cause::Decision { reason: reason.into() };
            Ok(rollback::to_target(case, cause))
        }
        Phase::Verify => match (verify(case, incident, serving), overriding) {
            (Ok(()), _) => Ok(stepped(None)),
            (Err(_), Some(reason)) if !reason.trim().is_empty() => Ok(stepped(Some(reason))),
            (Err(unmet), _) => Err(vec![unmet]),
        },
        Phase::Investigate => {
            let found = format!("incident {} is at `investigate`, its last phase", incident.number);
            Err(vec![Unmet::new("investigate", found, "close it, and say what was found")])
        }
    }
}

/// The incident is over.
pub(super) fn close(case: &Case<'_, '_>, note: &str) -> Decision {
    let incident = open(case)?;
    let mut unmet = Vec::new();
    if note.trim().is_empty() {
        let hint = "say what came of it; it is kept with the incident";
        unmet.push(Unmet::new("note", "there is no note", hint));
    }
    if incident.cause.is_some() && incident.phase != Phase::Investigate {
        let found = format!("incident {} is at `{}`", incident.number, incident.phase);
        unmet.push(Unmet::new("incident", found, "go through its steps up to `investigate` first"));
    }
    if unmet.is_empty() { Ok(case.stays(Fact::Closed { note: note.into() })) } else { Err(unmet) }
}

fn open<'c>(case: &Case<'c, '_>) -> Result<&'c Incident, Vec<Unmet>> {
    case.state.incident.as_ref().ok_or_else(|| {
        vec![Unmet::new("no_incident", "no incident is open", "report one, or roll back")]
    })
}

/// Whether the roll-back has done what it was for: the process serves what it should, and what was
/// beyond its limit no longer is.
pub(super) fn verify(
    case: &Case<'_, '_>,
    incident: &Incident,
    serving: StageName,
) -> Result<(), Unmet> {
    if serving != case.state.stage {
        let found = format!(
            "questions are answered by stage `{serving}`, and the flag is at `{}`",
            case.state.stage
        );
        return Err(Unmet::new("verify", found, "wait until the process follows"));
    }
    let Some((metric, limit)) = blamed(case, incident) else { return Ok(()) };
    let name = &metric.name;
    let wants = format!("report it: it has to be back from {limit}");
    let Some(evidence) = case.state.evidence.get(name) else {
        let found = format!("`{name}` has not been read since the roll-back");
        return Err(Unmet::new("verify", found, wants));
    };
    let fresh = case.now.age_of(&evidence.read).is_some_and(|age| age <= *metric.stale_after);
    if !fresh || evidence.value.is_none() {
        let found = format!("`{name}` has no reading that is fresh");
        return Err(Unmet::new("verify", found, wants));
    }
    if evidence.holding.contains_key(&*limit.to_string()) {
        let found = format!("`{name}` is still {limit}: {}", evidence_text(evidence));
        let hint = "the flag may not have been the cause: look further, or override with a reason";
        return Err(Unmet::new("verify", found, hint));
    }
    Ok(())
}

/// The metric that fired the roll-back, and its limit.
fn blamed<'p>(case: &Case<'_, 'p>, incident: &Incident) -> Option<(&'p Metric, Limit)> {
    let Some(Cause::Trigger { trigger: text, .. }) = &incident.cause else { return None };
    case.plan.triggers().iter().find_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, limit, .. } if *trigger.cause.to_string() == **text => {
            Some((&**metric, *limit))
        }
        _ => None,
    })
}

/// What time has made due of an open incident: verification that passes by itself, or the next in
/// line who is asked.
pub(super) fn due(case: &Case<'_, '_>, serving: StageName) -> Draft {
    let Some(incident) = &case.state.incident else { return Draft::default() };
    let failed = match incident.phase {
        Phase::Decide => "nobody has decided".to_owned(),
        Phase::Verify => match verify(case, incident, serving) {
            Ok(()) => {
                let fact = Fact::Stepped { phase: Phase::Verify, note: None, overridden: None };
                return case.stays(fact);
            }
            Err(unmet) => unmet.found,
        },
        Phase::Execute | Phase::Communicate | Phase::Investigate => return Draft::default(),
    };
    let row = case.responsible();
    let next = row.and_then(|row| {
        let asked = usize::try_from(incident.escalations).unwrap_or(usize::MAX);
        row.escalation.get(asked)
    });
    let waited = case.now.spent_since(&incident.phase_since);
    let patience = patience(case, incident.phase).saturating_mul(incident.escalations + 1);
    let Some(next) = next.filter(|_| waited >= patience) else { return Draft::default() };
    let why = format!(
        "incident {} is at `{}` for {}: {failed}",
        incident.number,
        incident.phase,
        Spent(waited)
    );
    let mut draft = case.stays(Fact::Escalated { to: next.clone(), why: why.as_str().into() });
    let text = format!("{next} is asked: {why}");
    let within = self::patience(case, incident.phase);
    draft.alerts.push(case.asks(AlertKind::Escalation, text, within));
    draft
}

/// How long the present phase may take before the next in line is asked.
fn patience(case: &Case<'_, '_>, phase: Phase) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    let within = allowed(case, phase);
    let answer = case.responsible().and_then(|row| row.escalate_after).map(|after| *after);
    match phase {
        Phase::Decide => answer.or(within).unwrap_or(5 * MINUTE),
        _ => within.or(answer).unwrap_or(15 * MINUTE),
    }
}

/// What the plan's procedure allows for a phase.
pub(super) fn allowed(case: &Case<'_, '_>, phase: Phase) -> Option<Duration> {
    let steps = case.plan.rollback().steps.iter();
    steps
        .filter(|step| step.phase == phase)
        .filter_map(|step| step.within.map(|within| *within))
        .max()
}
