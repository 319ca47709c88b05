//! Incidents, from the report or the rollback until they are closed.

use std::time::Duration;

use super::alert::{Alert, AlertKind};
use super::evidence::evidence_text;
use super::flag_view::{Decision, FlagView};
use super::human_duration::HumanDuration;
use super::refusal::Unmet;
use super::rollback;
use super::state::{Evidence, FlagState, Incident};
use crate::eval::StageName;
use crate::plan::model::{Action, IncidentKind, Limit, Metric, Phase, TriggerCause};
use crate::plan::{Excerpt, one_of};
use crate::rollout::{Cause, Fact};

/// Decides about a reported incident. An unknown kind is refused: a spelling mistake must not leave the flag on. A
/// report that repeats the last one changes nothing.
pub(super) fn report(
    flag: &FlagView<'_, '_>,
    kind: &str,
    note: Option<&str>,
    by: &str,
) -> Result<Decision, Vec<Unmet>> {
    let kinds = kinds(flag);
    if !kinds.contains(&kind) {
        let found = match kind.trim().is_empty() {
            true => "the kind of the incident is blank".to_owned(),
            false => format!("`{}` is not a known kind of incident", Excerpt(kind)),
        };
        return Err(vec![Unmet::new("report", found, one_of(kind, kinds.into_iter()))]);
    }
    let note: Option<Box<str>> = note.map(Into::into);
    let mut decision = flag.stays(Fact::Reported { kind: kind.into(), note: note.clone() });
    let names_kind = |cause: &TriggerCause| matches!(cause, TriggerCause::Incident(named) if named.as_str() == kind);
    let trigger = flag.triggers().find(|(_, trigger)| names_kind(&trigger.cause));
    let rolls_back = trigger.is_some_and(|(_, trigger)| trigger.action == Action::RollBack);
    let is_rolled_back = flag.state.incident.as_ref().is_some_and(|it| it.cause.is_some());
    if rolls_back && !is_rolled_back && !flag.is_off() {
        decision.extend(rollback::to_target(flag, Cause::Incident { kind: kind.into(), note }));
    } else if is_repeated(flag.state, by, kind, note.as_deref()) {
        return Ok(Decision::default());
    } else {
        let details = note.map(|note| format!(": {note}")).unwrap_or_default();
        let question = if is_rolled_back || flag.is_off() { "" } else { "; roll back?" };
        let text = format!("incident {kind} reported{details}{question}");
        decision.alerts.push(decision_alert(flag, text));
    }
    Ok(decision)
}

/// Returns whether a report repeats the last report of the open incident.
pub(in crate::rollout) fn is_repeated(
    state: &FlagState,
    by: &str,
    kind: &str,
    note: Option<&str>,
) -> bool {
    let last = state.incident.as_ref().and_then(|incident| incident.last_report.as_deref());
    last.is_some_and(|last| (&*last.by, &*last.kind, last.note.as_deref()) == (by, kind, note))
}

/// Returns the built-in kinds of incidents, then the other kinds that the flag's triggers name.
fn kinds<'p>(flag: &FlagView<'p, '_>) -> Vec<&'p str> {
    let mut kinds: Vec<&str> = IncidentKind::KNOWN.iter().map(IncidentKind::as_str).collect();
    for (_, trigger) in flag.triggers() {
        if let TriggerCause::Incident(kind) = &trigger.cause
            && !kinds.contains(&kind.as_str())
        {
            kinds.push(kind.as_str());
        }
    }
    kinds
}

/// Asks whether to roll the flag back, for a trigger with `action = "decide"`. This opens an incident, so that nothing
/// is promoted meanwhile and the question escalates. If another incident is open, it only sends an alert.
pub(super) fn ask(flag: &FlagView<'_, '_>, trigger: &str, evidence: &str) -> Decision {
    let mut decision = Decision::default();
    if flag.state.incident.as_ref().is_some_and(|incident| *incident.about == *trigger) {
        return decision;
    }
    if flag.state.incident.is_none() {
        let fact = Fact::Asked { trigger: trigger.into(), evidence: evidence.into() };
        decision.extend(flag.stays(fact));
    }
    decision.alerts.push(decision_alert(flag, format!("{trigger}: {evidence}; roll back?")));
    decision
}

/// Returns an alert that asks for a decision.
fn decision_alert(flag: &FlagView<'_, '_>, text: String) -> Alert {
    flag.question(AlertKind::Decision, text, time_to_escalation(flag, Phase::Decide))
}

/// Decides about the completion of the incident's present phase.
pub(super) fn step(
    flag: &FlagView<'_, '_>,
    note: Option<&str>,
    overriding: Option<&str>,
    serving: StageName,
) -> Result<Decision, Vec<Unmet>> {
    let incident = open(flag)?;
    let stepped = |overridden: Option<&str>| {
        let (note, overridden) = (note.map(Into::into), overridden.map(Into::into));
        flag.stays(Fact::Stepped { phase: incident.phase, note, overridden })
    };
    match incident.phase {
        Phase::Decide | Phase::Communicate => Ok(stepped(None)),
        Phase::Execute if flag.is_off() => Ok(stepped(None)),
        Phase::Execute => {
            let reason =
                note.map_or_else(|| format!("incident {}", incident.number), str::to_owned);
            let cause = Cause::Decision { reason: reason.into() };
            Ok(rollback::to_target(flag, cause))
        }
        Phase::Verify => match (verify(flag, incident, serving), overriding) {
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

/// Decides about closing the incident.
pub(super) fn close(flag: &FlagView<'_, '_>, note: &str) -> Result<Decision, Vec<Unmet>> {
    let incident = open(flag)?;
    let mut unmet = Vec::new();
    if note.trim().is_empty() {
        let hint = "say what you found: the journal keeps the note with the incident";
        unmet.push(Unmet::new("note", "the note is blank", hint));
    }
    if incident.cause.is_some() && incident.phase != Phase::Investigate {
        let found = format!("incident {} is at `{}`", incident.number, incident.phase);
        unmet.push(Unmet::new("incident", found, "go through its steps up to `investigate` first"));
    }
    if unmet.is_empty() { Ok(flag.stays(Fact::Closed { note: note.into() })) } else { Err(unmet) }
}

fn open<'c>(flag: &FlagView<'c, '_>) -> Result<&'c Incident, Vec<Unmet>> {
    flag.state.incident.as_ref().ok_or_else(|| {
        vec![Unmet::new("no_incident", "no incident is open", "report one, or roll back")]
    })
}

/// Checks that the rollback has worked: the process serves the flag's stage, and the metric that fired is back within
/// its limit.
pub(super) fn verify(
    flag: &FlagView<'_, '_>,
    incident: &Incident,
    serving: StageName,
) -> Result<(), Unmet> {
    if serving != flag.state.stage {
        let found = format!(
            "this process still serves stage `{serving}`, and the flag is at `{}`",
            flag.state.stage
        );
        return Err(Unmet::new("verify", found, "wait until the process has caught up"));
    }
    let Some((metric, limit)) = breached_limit(flag, incident) else { return Ok(()) };
    let name = &metric.name;
    let hint = format!("report it: it must no longer be {limit}");
    let Some(evidence) = flag.state.evidence.get(name) else {
        let found = format!("`{name}` has not been read since the rollback");
        return Err(Unmet::new("verify", found, hint));
    };
    // A bad reading that repeats is recorded once, so it says `still` at any age.
    if evidence.satisfied_since.contains_key(&*limit.to_string()) {
        let found = format!("`{name}` is still {limit}: {}", evidence_text(evidence));
        let hint = "the flag may not be the cause: investigate further, or override with a reason";
        return Err(Unmet::new("verify", found, hint));
    }
    let fresh = flag.now.age_of(&evidence.read_at).is_some_and(|age| age <= *metric.stale_after);
    if !fresh || evidence.value.is_none() {
        let found = format!("`{name}` has no fresh reading");
        return Err(Unmet::new("verify", found, hint));
    }
    Ok(())
}

/// Returns whether a reading of this metric verifies the rollback, as far as the metric goes.
pub(super) fn can_verify(flag: &FlagView<'_, '_>, metric: &Metric, evidence: &Evidence) -> bool {
    let incident = flag.state.incident.as_ref().filter(|it| it.phase == Phase::Verify);
    let breached = incident.and_then(|incident| breached_limit(flag, incident));
    breached.is_some_and(|(breached, limit)| {
        breached.name == metric.name
            && evidence.value.is_some()
            && !evidence.satisfied_since.contains_key(&*limit.to_string())
    })
}

/// Returns the metric and the limit of the trigger that rolled the flag back.
fn breached_limit<'p>(flag: &FlagView<'_, 'p>, incident: &Incident) -> Option<(&'p Metric, Limit)> {
    let Some(Cause::Trigger { trigger: text, .. }) = &incident.cause else { return None };
    flag.plan.triggers().iter().find_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, limit, .. } if *trigger.cause.to_string() == **text => {
            Some((&**metric, *limit))
        }
        _ => None,
    })
}

/// Returns what is due for an open incident: its verification, if that passes, or the next escalation.
pub(super) fn due(flag: &FlagView<'_, '_>, serving: StageName) -> Decision {
    let Some(incident) = &flag.state.incident else { return Decision::default() };
    let failed = match incident.phase {
        Phase::Decide => "nobody has decided".to_owned(),
        Phase::Verify => match verify(flag, incident, serving) {
            Ok(()) => {
                let fact = Fact::Stepped { phase: Phase::Verify, note: None, overridden: None };
                return flag.stays(fact);
            }
            Err(unmet) => unmet.found,
        },
        Phase::Execute | Phase::Communicate | Phase::Investigate => return Decision::default(),
    };
    let row = flag.responsible();
    let next = row.and_then(|row| {
        let asked = usize::try_from(incident.escalations).unwrap_or(usize::MAX);
        row.escalation.get(asked)
    });
    let waited = flag.now.elapsed_since(&incident.phase_since);
    let patience = time_to_escalation(flag, incident.phase);
    let is_due = waited >= patience.saturating_mul(incident.escalations + 1);
    let Some(next) = next.filter(|_| is_due) else { return Decision::default() };
    let why = format!(
        "incident {} is at `{}` for {}: {failed}",
        incident.number,
        incident.phase,
        HumanDuration(waited)
    );
    let mut decision = flag.stays(Fact::Escalated { to: next.clone(), why: why.as_str().into() });
    let text = format!("{next} is asked: {why}");
    decision.alerts.push(flag.question(AlertKind::Escalation, text, patience));
    decision
}

/// Returns the time after which the next in line is asked.
fn time_to_escalation(flag: &FlagView<'_, '_>, phase: Phase) -> Duration {
    const MINUTE: Duration = Duration::from_secs(60);
    let within = allowed(flag, phase);
    let answer = flag.responsible().and_then(|row| row.escalate_after).map(|after| *after);
    match phase {
        Phase::Decide => answer.or(within).unwrap_or(5 * MINUTE),
        _ => within.or(answer).unwrap_or(15 * MINUTE),
    }
}

/// Returns the time that the plan's procedure allows for a phase.
pub(super) fn allowed(flag: &FlagView<'_, '_>, phase: Phase) -> Option<Duration> {
    let steps = flag.plan.rollback().steps.iter();
    steps
        .filter(|step| step.phase == phase)
        .filter_map(|step| step.within.map(|within| *within))
        .max()
}
