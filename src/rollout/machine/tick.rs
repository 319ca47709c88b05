//! Work that becomes due with time, and the list of overdue work.

use super::conditions;
use super::evidence;
use super::flag_view::{Decision, FlagView};
use super::human_duration::HumanDuration;
use super::incident;
use super::promote;
use super::rollback;
use super::state::Progress;
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{Advance, Criterion, NoData, TriggerCause};
use crate::rollout::{Cause, Fact};

/// Returns everything that is due. It promotes one stage at most, and does nothing that needs a person.
pub(super) fn tick(flag: &FlagView<'_, '_>, serving: StageName) -> Decision {
    if let Some(missing) = flag.missing.first().filter(|_| !flag.is_off()) {
        let cause = Cause::Prerequisite { flag: missing.flag.clone() };
        return rollback::to(flag, cause, StageName::OFF);
    }
    let mut decision = expired_signatures(flag);
    let fired = fired_by_time(flag);
    let is_rollback = fired.facts.iter().any(|(fact, _)| matches!(fact, Fact::RolledBack { .. }));
    // A question asked in this tick blocks a promotion in the same tick.
    let is_asked = !fired.facts.is_empty();
    decision.extend(fired);
    if is_rollback {
        return decision;
    }
    decision.extend(incident::due(flag, serving));
    decision.extend(watch::due(flag));
    if !is_asked && is_ready(flag) {
        decision.extend(promote::one_step(flag, None, grounds(flag)));
    }
    decision
}

/// Removes signatures that have certainly expired. A signature that has expired by the wall clock alone stays, because
/// a machine with a wrong clock must not remove it. A promotion still requires a new one.
fn expired_signatures(flag: &FlagView<'_, '_>) -> Decision {
    let mut decision = Decision::default();
    let Some(details) = flag.details() else { return decision };
    for condition in details.conditions() {
        let Criterion::Manual { id, expires: Some(expires), .. } = condition else { continue };
        let Some(signature) = flag.state.signatures.get(id) else { continue };
        if flag.now.elapsed_since(&signature.since) > **expires {
            decision.extend(flag.stays(Fact::Expired { item: id.clone() }));
        }
    }
    decision
}

/// Fires triggers because time has certainly passed: a limit was exceeded for long enough, or data is missing and the
/// trigger has `no_data = "rollback"`. Downtime and wrong wall clocks do not count.
fn fired_by_time(flag: &FlagView<'_, '_>) -> Decision {
    let mut decision = Decision::default();
    if flag.is_off() {
        return decision;
    }
    for (_, trigger) in flag.triggers() {
        let TriggerCause::Metric { metric, no_data, .. } = &trigger.cause else { continue };
        let evidence = flag.state.evidence.get(&metric.name);
        let required = flag.state.required_since.get(&metric.name).unwrap_or(&flag.state.since);
        let last = evidence.map_or(required, |evidence| &evidence.read_at);
        let missing_for = flag.now.elapsed_since(last);
        let is_stale = missing_for > *metric.stale_after;
        let is_empty = evidence.is_some_and(|evidence| evidence.value.is_none());
        if *no_data == NoData::RollBack && (is_stale || is_empty) {
            let found = format!("no data for {}", HumanDuration(missing_for));
            let cause = Cause::Trigger {
                trigger: trigger.cause.to_string().into(),
                evidence: found.into(),
            };
            return rollback::to_target(flag, cause);
        }
    }
    for (name, evidence) in &flag.state.evidence {
        evidence::fire_triggers(flag, name, evidence, &mut decision);
        if !decision.facts.is_empty() {
            break;
        }
        decision.alerts.clear();
    }
    decision
}

/// Returns whether the flag is promoted automatically now.
fn is_ready(flag: &FlagView<'_, '_>) -> bool {
    let (advance, progress) = match flag.is_off() {
        // A flag that was on stays off until a person promotes it.
        true if flag.state.has_begun => (None, Progress::Off),
        true => (Some(flag.plan.start_advance()), Progress::Off),
        false => (flag.details().map(|details| details.advance), Progress::Running),
    };
    advance == Some(Advance::Auto)
        && flag.state.progress() == progress
        && conditions::of_promotion(flag).iter().all(Result::is_ok)
}

fn grounds(flag: &FlagView<'_, '_>) -> Vec<Box<str>> {
    conditions::of_promotion(flag).into_iter().flatten().map(Into::into).collect()
}

/// Returns one line for everything that is overdue.
pub(super) fn overdue(flag: &FlagView<'_, '_>) -> Vec<String> {
    let state = flag.state;
    let mut overdue = Vec::new();
    let max = flag.details().and_then(|details| details.max_duration);
    if let Some(max) = max.filter(|max| flag.time_in_stage() > **max && !state.complete) {
        overdue.push(format!(
            "in `{}` for {}, planned at most {max}",
            state.stage,
            HumanDuration(flag.time_in_stage()),
        ));
    }
    if !state.complete {
        let missed = watch::missed(flag);
        overdue.extend(missed.into_iter().map(|(first, last)| watch::missed_text(first, last)));
    }
    if let Some(incident) = &state.incident {
        let spent = flag.now.elapsed_since(&incident.phase_since);
        let allowed = incident::allowed(flag, incident.phase);
        if let Some(allowed) = allowed.filter(|allowed| spent > *allowed) {
            overdue.push(format!(
                "incident {} at `{}` for {}, allowed {}",
                incident.number,
                incident.phase,
                HumanDuration(spent),
                HumanDuration(allowed)
            ));
        }
    }
    overdue
}
