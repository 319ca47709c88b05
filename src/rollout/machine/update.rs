//! Updates of the plan, for a flag whose rollout is under way.

use std::collections::BTreeSet;

use super::approvals;
use super::evidence;
use super::flag_view::{position_of, stage_of};
use super::manual;
use super::refusal::{Refusal, Unmet};
use super::state::{FlagState, RemovedFlag};
use crate::eval::StageName;
use crate::gate::{AudienceChange, AudienceComparison, Edit, Objection, PER_UPDATE, new_reason};
use crate::percent::Percent;
use crate::plan::model::{Criterion, FlagPlan, Group, Metric, NoData, TriggerCause};
use crate::plan::one_of;
use crate::rollout::{FlagChange, Stamp};

/// The effect of an accepted update on a flag.
#[derive(Debug, Default)]
pub(in crate::rollout) struct FlagUpdate {
    /// The evidence that the flag loses: `time`, `metric NAME`, `item ID`, `complete`.
    pub(in crate::rollout) reset: Vec<Box<str>>,
    pub(in crate::rollout) audience: Vec<AudienceChange>,
    /// The document's `skip_reason`, if the change needs it.
    pub(in crate::rollout) reason: Option<Box<str>>,
    pub(in crate::rollout) permissions: Vec<Box<str>>,
}

/// Checks an update for a flag, which stays in its stage.
///
/// Without a `skip_reason`, the new plan may let in only users that the plan in force admits at this stage. [`Edit`]
/// has the rule. The stages of required flags need no check: a flag is off while a flag that it requires is below its
/// stage. `frozen` is the unmet condition of a freeze that is in force.
///
/// # Errors
///
/// [`Refusal`] if the new plan lacks the flag's stage, or changes its audience in a way that is not allowed.
pub(in crate::rollout) fn check_update<'p>(
    old: &FlagPlan<'p>,
    new: &FlagPlan<'p>,
    state: &FlagState,
    per_update: Percent,
    frozen: Option<&Unmet>,
    comparison: &mut AudienceComparison<'p>,
) -> Result<FlagUpdate, Refusal> {
    let (before, after) = (old.definition(), new.definition());
    let current = before.position_of(&state.stage).unwrap_or(0);
    let Some(to) = after.position_of(&state.stage) else {
        let names: Vec<_> = new.stages().map(|stage| stage.name()).collect();
        let found = format!("it is in stage `{}`, which the document does not define", state.stage);
        let known = one_of(&state.stage, names.iter().map(StageName::as_str));
        let hint = format!("keep the stage, or roll back first ({known})");
        return Err(refused(new, vec![Unmet::new("stage", found, hint)]));
    };
    let edit = Edit::new(before, (current, current), after, to, per_update);
    let objections = edit.objections(comparison);
    let reason = new_reason(before, after).filter(|_| !objections.is_empty());
    if reason.is_none() && !objections.is_empty() {
        let used = after.skip_reason().is_some();
        return Err(refused(new, unmet_objections(state.stage, &objections, used)));
    }
    let lets_in = objections.iter().any(|objection| objection.kind != PER_UPDATE);
    if lets_in {
        let unmet = blockers(state, frozen);
        if !unmet.is_empty() {
            return Err(refused(new, unmet));
        }
    }
    let audience = edit.changes(comparison);
    let reset = resets(old, new, state, &audience);
    let permissions = approvals::changes(old, new);
    Ok(FlagUpdate { reset, audience, reason: reason.map(Into::into), permissions })
}

/// Checks an update that adds a removed flag again, and returns the change that the record keeps.
///
/// # Errors
///
/// [`Refusal`] if the plan lets in users that the flag's stage did not admit when the flag was removed. A `skip_reason`
/// allows that, unless the flag is held or has an open incident, or a freeze is in force.
pub(in crate::rollout) fn check_readded<'p>(
    removed: &'p RemovedFlag,
    new: &FlagPlan<'p>,
    frozen: Option<&Unmet>,
    comparison: &mut AudienceComparison<'p>,
) -> Result<FlagChange, Refusal> {
    let (before, after, state) = (&*removed.definition, new.definition(), &removed.state);
    let current = before.position_of(&state.stage).unwrap_or(0);
    let to = after.position_of(&new.stage()).unwrap_or(0);
    let edit = Edit::new(before, (current, current), after, to, Percent::ALL);
    let objections = edit.objections(comparison);
    let reason = new_reason(before, after).filter(|_| !objections.is_empty());
    let mut unmet = Vec::new();
    if !objections.is_empty() {
        unmet = blockers(state, frozen);
        if reason.is_none() {
            let used = after.skip_reason().is_some();
            unmet.extend(unmet_objections(new.stage(), &objections, used));
        }
    }
    if !unmet.is_empty() {
        let found = format!("the flag was in stage `{}` when it was removed", state.stage);
        let hint = format!("add it again with `stage = \"{}\"`", state.stage);
        unmet.insert(0, Unmet::new("removed", found, hint));
        return Err(refused(new, unmet));
    }
    let reason = reason.map(Into::into);
    Ok(FlagChange { new: true, back: true, reason, ..FlagChange::of(new.key(), Some(new.stage())) })
}

/// Returns the state of a removed flag that is added again. It keeps its hold and its incident, but no evidence,
/// because the flag was off meanwhile.
pub(in crate::rollout) fn readded_state(
    removed: &FlagState,
    stage: StageName,
    now: Stamp,
) -> FlagState {
    let complete = removed.complete && removed.stage == stage;
    let (hold, incident) = (removed.hold.clone(), removed.incident.clone());
    let has_begun = removed.has_begun || stage != StageName::OFF;
    FlagState { complete, hold, incident, has_begun, ..FlagState::new(stage, now) }
}

fn refused(plan: &FlagPlan<'_>, unmet: Vec<Unmet>) -> Refusal {
    Refusal { flag: plan.key().into(), event: "update", unmet }
}

fn unmet_objections(stage: StageName, objections: &[Objection], used: bool) -> Vec<Unmet> {
    let unmet = objections.iter().map(|objection| {
        let found = format!("stage `{stage}` {}", objection.effect);
        Unmet::new(objection.kind, found, objection.remedy(used))
    });
    unmet.collect()
}

/// Returns what blocks an update that lets in users, even with a `skip_reason`: a freeze, a hold, an open incident.
fn blockers(state: &FlagState, frozen: Option<&Unmet>) -> Vec<Unmet> {
    let mut unmet: Vec<Unmet> = frozen.cloned().into_iter().collect();
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
    // A longer or shorter list of users does not reset the evidence.
    let is_by_attributes =
        |change: &AudienceChange| matches!(change, AudienceChange::Attributes { .. });
    let audience_changed = audience_rules(old, state.stage) != audience_rules(new, state.stage)
        || changes.iter().any(is_by_attributes);
    if audience_changed && state.stage != StageName::OFF {
        resets.push("time".into());
    }
    let (before, after) =
        (evidence::metric_conditions(old, state), evidence::metric_conditions(new, state));
    // If the new plan rolls back when a metric is missing, the metric counts as missing from now on, not from the
    // beginning of the stage. So its evidence is reset, too.
    let is_off = state.stage == StageName::OFF;
    let (was_needed, is_needed) = if is_off {
        Default::default()
    } else {
        (no_data_rollback_metrics(old), no_data_rollback_metrics(new))
    };
    let names: BTreeSet<&str> = state.evidence.keys().map(|name| &**name).collect();
    for name in names.union(&is_needed) {
        let of = |conditions: Option<&(&Metric, Vec<evidence::MetricCondition>)>| {
            conditions.map(|(metric, conditions)| {
                let texts: BTreeSet<_> = conditions.iter().map(|it| it.text()).collect();
                (metric.unit, metric.source.clone(), texts)
            })
        };
        let is_invalid = audience_changed && names.contains(name);
        let newly_needed = is_needed.contains(name) && !was_needed.contains(name);
        if is_invalid || newly_needed || of(before.get(*name)) != of(after.get(*name)) {
            resets.push(format!("metric {name}").into());
        }
    }
    let later_changed = later_audiences(old, state.stage) != later_audiences(new, state.stage);
    for id in state.signatures.keys() {
        let is_approval = approvals::items(old, state.stage).any(|item| *item == **id);
        if item_text(old, state.stage, id) != item_text(new, state.stage, id)
            || is_approval && later_changed
        {
            resets.push(format!("item {id}").into());
        }
    }
    let has_next = position_of(new, state.stage).is_some_and(|place| place < new.stages().len());
    if state.complete && has_next {
        resets.push("complete".into());
    }
    resets
}

/// Returns the metrics of triggers with `no_data = "rollback"`.
fn no_data_rollback_metrics<'p>(plan: &FlagPlan<'p>) -> BTreeSet<&'p str> {
    let names = plan.triggers().iter().filter_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, no_data: NoData::RollBack, .. } => Some(&*metric.name),
        _ => None,
    });
    names.collect()
}

/// Returns the rules that decide who is in a stage, without the listed users and the attributes of groups.
fn audience_rules(plan: &FlagPlan<'_>, name: StageName) -> impl PartialEq + use<> {
    let above = position_of(plan, name).unwrap_or(0);
    let stages: Vec<_> = plan
        .stages()
        .take(above)
        .map(|stage| (owned(stage.groups()), owned(stage.within())))
        .collect();
    let holds: Vec<_> = plan
        .hold_back()
        .map(|hold| (hold.group.to_owned(), hold.until, owned(hold.except.into_iter())))
        .collect();
    let unit = plan.unit().map(str::to_owned);
    let requires: Vec<_> = plan.requires().map(|(flag, stage)| (flag.to_owned(), stage)).collect();
    let percent = stage_of(plan, name).map(|stage| stage.percent());
    ((percent, stages, holds), (plan.salt(), unit, owned(plan.only()), requires))
}

fn owned<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

/// Returns the rules that decide who is in each later stage. People approve a promotion to these users.
fn later_audiences(plan: &FlagPlan<'_>, stage: StageName) -> impl PartialEq + use<> {
    let above = position_of(plan, stage).unwrap_or(0);
    let later: Vec<_> =
        plan.stages().skip(above).map(|it| (it.name(), audience_rules(plan, it.name()))).collect();
    let group = |group: Group<'_>| {
        let alternatives = group.alternatives().map(|all| {
            let all = all.iter();
            all.map(|it| format!("{}: {it:#}", it.attribute())).collect::<BTreeSet<_>>()
        });
        let alternatives: BTreeSet<_> = alternatives.collect();
        let values_of = group.values_of().map(str::to_owned);
        (group.name().to_owned(), values_of, owned(group.includes()), alternatives)
    };
    let groups: Vec<_> = plan.groups().into_iter().map(group).collect();
    (later, groups)
}

/// Returns the text that people sign under an id in a stage.
fn item_text(plan: &FlagPlan<'_>, stage: StageName, id: &str) -> Option<String> {
    let conditions = stage_of(plan, stage).into_iter().flat_map(|it| it.details().conditions());
    let manual = conditions.into_iter().find_map(|condition| match condition {
        Criterion::Manual { id: known, text, .. } if **known == *id => Some(text.to_string()),
        _ => None,
    });
    let has = || manual::items(plan, stage).iter().any(|item| item == id);
    manual.or_else(|| has().then(String::new))
}

/// Applies the resets of a record, which [`check_update`] listed.
pub(in crate::rollout) fn apply_resets(state: &mut FlagState, resets: &[Box<str>], now: Stamp) {
    for reset in resets {
        match reset.split_once(' ') {
            Some(("metric", name)) => {
                state.evidence.remove(name);
                state.required_since.insert(name.into(), now);
            }
            Some(("item", id)) => {
                state.signatures.remove(id);
            }
            _ if **reset == *"time" => {
                state.since = now;
                state.watch_missed = 0;
                state.watch_done.clear();
                state.required_since.clear();
            }
            _ if **reset == *"complete" => state.complete = false,
            _ => {}
        }
    }
}
