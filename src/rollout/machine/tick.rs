//! What time makes due.

use super::case::{Case, Draft};
use super::conditions;
use super::evidence;
use super::incident;
use super::promote;
use super::rollback;
use super::state::Standing;
use super::text::Spent;
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{Advance, Criterion, NoData, TriggerCause};
use crate::rollout::{Cause, Fact};

/// Everything that is due: at most one stage up, and nothing that waits for a person.
pub(super) fn tick(case: &Case<'_, '_>, serving: StageName) -> Draft {
    let mut draft = expired(case);
    let back = taken_back(case);
    let is_back = back.facts.iter().any(|(fact, _)| matches!(fact, Fact::RolledBack { .. }));
    // What is asked for now bars what would be done now.
    let is_asked = !back.facts.is_empty();
    draft.extend(back);
    if is_back {
        return draft;
    }
    draft.extend(incident::due(case, serving));
    draft.extend(watch::due(case));
    if !is_asked && is_ready(case) {
        draft.extend(promote::up(case, None, grounds(case)));
    }
    draft
}

/// Signatures that have certainly expired. Where only the wall clock says so, a promotion asks for them again, and they
/// stay: a machine whose clock is wrong takes nobody's signature away.
fn expired(case: &Case<'_, '_>) -> Draft {
    let mut draft = Draft::default();
    let Some(details) = case.details() else { return draft };
    for condition in details.conditions() {
        let Criterion::Manual { id, expires: Some(expires), .. } = condition else { continue };
        let Some(signature) = case.state.signatures.get(id) else { continue };
        if case.now.spent_since(&signature.since) > **expires {
            draft.extend(case.stays(Fact::Expired { item: id.clone() }));
        }
    }
    draft
}

/// Triggers that fire because time has certainly passed: a limit exceeded for long enough by now, or data that stay away
/// where no data means a rollback. Neither downtime nor a wrong wall clock is such time.
fn taken_back(case: &Case<'_, '_>) -> Draft {
    let mut draft = Draft::default();
    if case.is_off() {
        return draft;
    }
    for (_, trigger) in case.triggers() {
        let TriggerCause::Metric { metric, no_data, .. } = &trigger.cause else { continue };
        let evidence = case.state.evidence.get(&metric.name);
        let asked = case.state.asked.get(&metric.name).unwrap_or(&case.state.since);
        let last = evidence.map_or(asked, |evidence| &evidence.read);
        let spent = case.now.spent_since(last);
        let is_stale = spent > *metric.stale_after;
        let is_empty = evidence.is_some_and(|evidence| evidence.value.is_none());
        if *no_data == NoData::RollBack && (is_stale || is_empty) {
            let found = format!("no data for {}", Spent(spent));
            let cause = Cause::Trigger {
                trigger: trigger.cause.to_string().into(),
                evidence: found.into(),
            };
            return rollback::to_target(case, cause);
        }
    }
    for (name, evidence) in &case.state.evidence {
        evidence::fire(case, name, evidence, &mut draft);
        if !draft.facts.is_empty() {
            break;
        }
        draft.alerts.clear();
    }
    draft
}

/// Whether the flag goes on by itself.
fn is_ready(case: &Case<'_, '_>) -> bool {
    let auto = case.details().is_some_and(|details| details.advance == Advance::Auto);
    auto && case.state.standing() == Standing::Running
        && conditions::of_promotion(case).iter().all(Result::is_ok)
}

fn grounds(case: &Case<'_, '_>) -> Vec<Box<str>> {
    conditions::of_promotion(case).into_iter().flatten().map(Into::into).collect()
}

/// What is overdue, for people.
pub(super) fn overdue(case: &Case<'_, '_>) -> Vec<String> {
    let state = case.state;
    let mut overdue = Vec::new();
    let max = case.details().and_then(|details| details.max_duration);
    if let Some(max) = max.filter(|max| case.spent() > **max && !state.complete) {
        overdue.push(format!(
            "in `{}` for {}, planned at most {max}",
            state.stage,
            Spent(case.spent()),
        ));
    }
    if !state.complete {
        let missed = watch::missed(case);
        overdue.extend(missed.into_iter().map(|(first, last)| watch::missed_text(first, last)));
    }
    if let Some(incident) = &state.incident {
        let spent = case.now.spent_since(&incident.phase_since);
        let allowed = incident::allowed(case, incident.phase);
        if let Some(allowed) = allowed.filter(|allowed| spent > *allowed) {
            overdue.push(format!(
                "incident {} at `{}` for {}, allowed {}",
                incident.number,
                incident.phase,
                Spent(spent),
                Spent(allowed)
            ));
        }
    }
    overdue
}
