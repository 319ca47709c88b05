//! Another document, while a flag is on its way.

use std::collections::BTreeSet;

use super::case::{position_of, stage_of};
use super::evidence;
use super::people;
use super::refusal::{Refusal, Unmet};
use super::state::{FlagState, Removed};
use crate::eval::StageName;
use crate::gate::{AudienceChange, Comparison, Edit, Objection, PER_UPDATE, new_reason};
use crate::percent::Percent;
use crate::plan::model::{Criterion, FlagPlan, Metric, NoData, StageDetails, TriggerCause};
use crate::plan::one_of;
use crate::rollout::{Changed, Stamp};

/// What another plan changes for a flag.
#[derive(Debug, Default)]
pub(in crate::rollout) struct Replanned {
    /// What the flag has to show again: `time`, `metric NAME`, `item ID`, `complete`.
    pub(in crate::rollout) reset: Vec<Box<str>>,
    pub(in crate::rollout) audience: Vec<AudienceChange>,
    /// The document's reason, where the change needs one.
    pub(in crate::rollout) reason: Option<Box<str>>,
}

/// What another plan changes for a flag, which stays in its stage.
///
/// Without a reason the plan may let in nobody whom the plan in force does not admit at this stage: what the next stage
/// adds, its conditions decide. [`Edit`] has the rule.
///
/// # Errors
///
/// [`Refusal`] when the flag cannot stay where it is under the new plan.
pub(in crate::rollout) fn replan<'p>(
    old: &FlagPlan<'p>,
    new: &FlagPlan<'p>,
    state: &FlagState,
    per_update: Percent,
    comparison: &mut Comparison<'p>,
) -> Result<Replanned, Refusal> {
    let (before, after) = (old.definition(), new.definition());
    let current = before.position_of(&state.stage).unwrap_or(0);
    let Some(to) = after.position_of(&state.stage) else {
        let names: Vec<_> = new.stages().map(|stage| stage.name()).collect();
        let found = format!("it is in stage `{}`, which the document does not have", state.stage);
        let known = one_of(&state.stage, names.iter().map(StageName::as_str));
        let hint = format!("keep the stage, or roll back first ({known})");
        return Err(refused(new, vec![Unmet::new("stage", found, hint)]));
    };
    let edit = Edit::new(before, (current, current), after, to, per_update);
    let objections = edit.objections(comparison);
    let reason = new_reason(before, after).filter(|_| !objections.is_empty());
    if reason.is_none() && !objections.is_empty() {
        let used = after.skip_reason().is_some();
        return Err(refused(new, unmet_of(state.stage, &objections, used)));
    }
    let lets_in = objections.iter().any(|objection| objection.kind != PER_UPDATE);
    if lets_in {
        let unmet = ended_first(state);
        if !unmet.is_empty() {
            return Err(refused(new, unmet));
        }
    }
    let audience = edit.changes(comparison);
    let reset = resets(old, new, state, &audience);
    Ok(Replanned { reset, audience, reason: reason.map(Into::into) })
}

/// Where a flag that was removed comes back to, under a plan that declares it again.
///
/// # Errors
///
/// [`Refusal`] when the plan lets in users whom the flag's stage did not admit when it was removed, without a reason or while
/// an incident or a hold bars promotion.
pub(in crate::rollout) fn returned<'p>(
    removed: &'p Removed,
    new: &FlagPlan<'p>,
    comparison: &mut Comparison<'p>,
) -> Result<Changed, Refusal> {
    let (before, after, state) = (&*removed.definition, new.definition(), &removed.state);
    let current = before.position_of(&state.stage).unwrap_or(0);
    let to = after.position_of(&new.stage()).unwrap_or(0);
    let edit = Edit::new(before, (current, current), after, to, Percent::ALL);
    let objections = edit.objections(comparison);
    let reason = new_reason(before, after).filter(|_| !objections.is_empty());
    let mut unmet = Vec::new();
    if !objections.is_empty() {
        unmet = ended_first(state);
        if reason.is_none() {
            let used = after.skip_reason().is_some();
            unmet.extend(unmet_of(new.stage(), &objections, used));
        }
    }
    if !unmet.is_empty() {
        let found = format!("it was removed in stage `{}`", state.stage);
        let hint = format!("add it again with `stage = \"{}\"`", state.stage);
        unmet.insert(0, Unmet::new("removed", found, hint));
        return Err(refused(new, unmet));
    }
    let reason = reason.map(Into::into);
    Ok(Changed { new: true, back: true, reason, ..Changed::of(new.key(), Some(new.stage())) })
}

/// The state of a flag that comes back: nobody had it meanwhile, so it shows everything again.
pub(in crate::rollout) fn restored(removed: &FlagState, stage: StageName, now: Stamp) -> FlagState {
    let complete = removed.complete && removed.stage == stage;
    let (hold, incident) = (removed.hold.clone(), removed.incident.clone());
    FlagState { complete, hold, incident, ..FlagState::new(stage, now) }
}

fn refused(plan: &FlagPlan<'_>, unmet: Vec<Unmet>) -> Refusal {
    Refusal { flag: plan.key().into(), event: "update", unmet }
}

fn unmet_of(stage: StageName, objections: &[Objection], used: bool) -> Vec<Unmet> {
    let unmet = objections.iter().map(|objection| {
        let found = format!("stage `{stage}` {}", objection.what);
        Unmet::new(objection.kind, found, objection.remedy(used))
    });
    unmet.collect()
}

/// What bars promotion, forced or not, and so an update that lets in users.
fn ended_first(state: &FlagState) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    if let Some(hold) = &state.hold {
        let found = format!("held by {}: {}", hold.by, hold.why);
        unmet.push(Unmet::new("held", found, "resume it first"));
    }
    if let Some(incident) = &state.incident {
        let found = format!("incident {} is open: {}", incident.number, incident.about);
        unmet.push(Unmet::new("incident", found, "go through its steps and close it first"));
    }
    unmet
}

fn resets(
    old: &FlagPlan<'_>,
    new: &FlagPlan<'_>,
    state: &FlagState,
    changes: &[AudienceChange],
) -> Vec<Box<str>> {
    let mut resets: Vec<Box<str>> = Vec::new();
    // A few more people on a list are no other audience.
    let matches_others =
        |change: &AudienceChange| matches!(change, AudienceChange::Attributes { .. });
    let others = audience(old, state.stage) != audience(new, state.stage)
        || changes.iter().any(matches_others);
    if others && state.stage != StageName::OFF {
        resets.push("time".into());
    }
    let (before, after) = (evidence::tests(old, state), evidence::tests(new, state));
    // A metric whose absence begins to take the flag back is missing from now on, and not since the stage began.
    let is_off = state.stage == StageName::OFF;
    let (was_needed, is_needed) =
        if is_off { Default::default() } else { (needed(old), needed(new)) };
    let names: BTreeSet<&str> = state.evidence.keys().map(|name| &**name).collect();
    for name in names.union(&is_needed) {
        let of = |tests: Option<&(&Metric, Vec<evidence::Test>)>| {
            tests.map(|(metric, tests)| {
                let texts: BTreeSet<_> = tests.iter().map(|it| it.text()).collect();
                (metric.unit, metric.source.clone(), texts)
            })
        };
        let others = others && names.contains(name);
        let newly_needed = is_needed.contains(name) && !was_needed.contains(name);
        if others || newly_needed || of(before.get(*name)) != of(after.get(*name)) {
            resets.push(format!("metric {name}").into());
        }
    }
    let text = |plan: &FlagPlan<'_>, id: &str| {
        stage_of(plan, state.stage).and_then(|stage| text_of(stage.details(), id))
    };
    for id in state.signatures.keys() {
        if text(old, id) != text(new, id) {
            resets.push(format!("item {id}").into());
        }
    }
    let goes_on = position_of(new, state.stage).is_some_and(|place| place < new.stages().len());
    if state.complete && goes_on {
        resets.push("complete".into());
    }
    resets
}

/// The metrics that take the flag back when nobody reads them.
fn needed<'p>(plan: &FlagPlan<'p>) -> BTreeSet<&'p str> {
    let names = plan.triggers().iter().filter_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, no_data: NoData::RollBack, .. } => Some(&*metric.name),
        _ => None,
    });
    names.collect()
}

/// Whom a stage lets in, as far as a document says it.
fn audience(plan: &FlagPlan<'_>, name: StageName) -> impl PartialEq + use<> {
    let above = position_of(plan, name).unwrap_or(0);
    let stages: Vec<_> = plan
        .stages()
        .take(above)
        .map(|stage| stage.groups().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let holds: Vec<_> = plan.hold_back().map(|(group, until)| (group.to_owned(), until)).collect();
    (stage_of(plan, name).map(|stage| stage.percent()), stages, holds, plan.salt())
}

/// What is signed under an id.
fn text_of(details: &StageDetails, id: &str) -> Option<String> {
    let manual = details.conditions().find_map(|condition| match condition {
        Criterion::Manual { id: known, text, .. } if **known == *id => Some(text.to_string()),
        _ => None,
    });
    manual.or_else(|| people::items(details).contains(&id).then(String::new))
}

/// Makes the resets that `replan` listed, as a record has them.
pub(in crate::rollout) fn reset(state: &mut FlagState, resets: &[Box<str>], now: Stamp) {
    for reset in resets {
        match reset.split_once(' ') {
            Some(("metric", name)) => {
                state.evidence.remove(name);
                state.asked.insert(name.into(), now);
            }
            Some(("item", id)) => {
                state.signatures.remove(id);
            }
            _ if **reset == *"time" => {
                state.since = now;
                state.watch_missed = 0;
                state.watch_done.clear();
                state.asked.clear();
            }
            _ if **reset == *"complete" => state.complete = false,
            _ => {}
        }
    }
}
