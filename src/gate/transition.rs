//! The next snapshot after an update, and the rules for moving flags.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edit::{
    AudienceChange, AudienceComparison, Edit, Objection, PER_UPDATE, emptied_users_files,
    new_reason, stage_name, too_many_removed,
};
use super::error::{Kind, UpdateError};
use super::observer::Change;
use crate::eval::{Flag, FlagDefinition, Position, Prerequisite, Snapshot, StageName};
use crate::percent::Percent;
use crate::plan::{Plan, PlannedFlag, Problem, nearest, one_of};

/// Moves one flag to a stage. Moving it up by more than one stage needs a reason.
pub(super) fn to_stage(
    snapshot: &Snapshot,
    name: &str,
    stage: &str,
    reason: Option<&str>,
    is_driven: bool,
) -> Result<(Snapshot, Vec<Change>), UpdateError> {
    let (slot, flag) = snapshot.find(name).ok_or_else(|| unknown_flag(snapshot, name))?;
    let definition = flag.definition();
    let key = definition.key.as_str();
    let to = definition.position_of(stage).ok_or_else(|| unknown_stage(definition, stage))?;
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Kind::NoReason { flag: key.to_owned(), to: stage_name(definition, to) }.into());
    }
    let from = flag.position();
    if is_driven && to > from {
        return Err(
            Kind::DrivenFlag { flag: key.to_owned(), to: stage_name(definition, to) }.into()
        );
    }
    if reason.is_none() && is_skip(from, to) {
        return Err(Kind::Skip {
            flag: key.to_owned(),
            from: stage_name(definition, from),
            to: stage_name(definition, to),
            skipped: skipped(definition, from, to),
            next: stage_name(definition, from + 1),
        }
        .into());
    }
    Ok(with_stage(snapshot, (slot, flag), to, reason))
}

/// Moves one flag between two stages without a check, as its rollout has decided. Fails if the flag is not at `from`,
/// or is already at `to`.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn between(
    snapshot: &Snapshot,
    key: &str,
    from: StageName,
    to: StageName,
) -> Result<(Snapshot, Vec<Change>), ()> {
    let (slot, flag) = snapshot.find_key(key).ok_or(())?;
    let definition = flag.definition();
    let (from, to) =
        (definition.position_of(&from).ok_or(())?, definition.position_of(&to).ok_or(())?);
    if from != flag.position() || from == to {
        return Err(());
    }
    Ok(with_stage(snapshot, (slot, flag), to, None))
}

/// Moves one flag down to a stage. Fails if the flag is already at the stage or below.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn down_to(
    snapshot: &Snapshot,
    key: &str,
    to: StageName,
) -> Result<(Snapshot, Vec<Change>), ()> {
    let (slot, flag) = snapshot.find_key(key).ok_or(())?;
    // An unknown stage must not keep the flag up.
    let to = flag.definition().position_of(&to).unwrap_or(0);
    if flag.position() <= to {
        return Err(());
    }
    Ok(with_stage(snapshot, (slot, flag), to, None))
}

/// Moves flags down to their stages. Fails if each flag is already at its stage or below. The caller lists the flags
/// that require a listed flag, too.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn all_down_to(
    snapshot: &Snapshot,
    flags: &[(&str, StageName)],
) -> Result<(Snapshot, Vec<Change>), ()> {
    let lowered = flags.iter().filter_map(|(key, to)| {
        let (slot, flag) = snapshot.find_key(key)?;
        // An unknown stage must not keep the flag up.
        let to = flag.definition().position_of(to).unwrap_or(0);
        (flag.position() > to).then(|| (slot, flag.at(to)))
    });
    let lowered: Vec<(usize, Flag)> = lowered.collect();
    let changes = lowered.iter().filter_map(|(slot, after)| {
        change(Some(snapshot.flags().get(*slot)?), after, Vec::new(), None)
    });
    let mut changes: Vec<Change> = changes.collect();
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    if lowered.is_empty() { Err(()) } else { Ok((snapshot.with(lowered), changes)) }
}

/// Moves a flag to a stage. If it moves down, turns off the flags that require it at a higher stage.
fn with_stage(
    snapshot: &Snapshot,
    (slot, flag): (usize, &Flag),
    to: Position,
    reason: Option<&str>,
) -> (Snapshot, Vec<Change>) {
    let mut moved = vec![(slot, flag.at(to))];
    if to < flag.position() {
        moved.extend(dependants(snapshot, flag, to).map(|(slot, flag)| (slot, flag.at(0))));
    }
    let changes = moved.iter().filter_map(|(slot, after)| {
        let before = snapshot.flags().get(*slot)?;
        let reason = if after.key() == flag.key() { reason } else { None };
        change(Some(before), after, Vec::new(), reason)
    });
    let mut changes: Vec<Change> = changes.collect();
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    (snapshot.with(moved), changes)
}

/// Returns the flags that require a flag at a higher stage than `to`, directly or through others, with their slots.
fn dependants<'s>(
    snapshot: &'s Snapshot,
    flag: &'s Flag,
    to: Position,
) -> impl Iterator<Item = (usize, &'s Flag)> {
    let depends = move |other: &Flag| {
        let required = other.definition().targeting().into_iter().flat_map(|it| &it.all_required);
        let mut mine = required.filter(|required| required.flag == *flag.key());
        mine.any(|required| required.position > to)
    };
    // A flag that is on and requires another one is targeted. So few flags are looked at closely.
    let targeted = snapshot.flags().iter().enumerate().filter(|(_, other)| other.is_targeted());
    targeted.filter(move |(_, other)| depends(other))
}

/// Moves every flag to its stage in a plan. The error lists every edit that needs a reason, not only the first one.
pub(super) fn to_plan(
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<(Snapshot, Vec<Change>), UpdateError> {
    let mut comparison = AudienceComparison::default();
    let (mut flags, mut changes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_after = BTreeSet::new();
    for planned in plan.planned() {
        let key = planned.definition.key.as_str();
        let before = snapshot.find_key(key).map(|(_, flag)| flag);
        let flag = Flag::new(Arc::clone(&planned.definition), planned.declared);
        // A new flag starts at its `stage`, as at the start of a process. A removed flag that comes back counts as
        // being where it was.
        let Some(known) = before.or_else(|| snapshot.removed(key)) else {
            changes.extend(change(before, &flag, Vec::new(), None));
            on_after.extend((planned.declared > 0).then_some(key));
            flags.push(flag);
            continue;
        };
        let position = position_after(known, planned, &mut comparison);
        on_after.extend((position > 0).then_some(key));
        let edit = edit_of(known, planned, position, plan.per_update());
        let mut objections = edit.objections(&mut comparison);
        objections.extend(edit.reached_requirement(|old, new| {
            reaches(snapshot, plan, (old, new)).unwrap_or((true, true))
        }));
        let (old, new) = (known.definition(), &*planned.definition);
        let reason = new_reason(old, new).filter(|_| !objections.is_empty());
        if objections.is_empty() || reason.is_some() {
            let flag = flag.at(position);
            let audience =
                if before.is_some() { edit.changes(&mut comparison) } else { Vec::new() };
            changes.extend(change(before, &flag, audience, reason));
            flags.push(flag);
        } else {
            refused.push((problem(plan, planned, known, position, &objections), objections));
        }
    }
    let is_removed = |flag: &&Flag| plan.flag(flag.key().as_str()).is_none();
    let is_on = |flag: &&Flag| flag.position() > 0;
    let in_force = snapshot.flags().iter();
    let removed = in_force.clone().filter(is_on).filter(is_removed).count();
    let too_many = too_many_removed(plan, in_force.clone().filter(is_on).count(), removed);
    let groups = in_force.flat_map(|flag| flag.definition().groups());
    let is_on_after = |planned: &PlannedFlag| on_after.contains(planned.definition.key.as_str());
    let emptied = emptied_users_files(plan, groups, is_on_after);
    let is_skip = refused.iter().flat_map(|(_, all)| all).any(|one| one.kind != PER_UPDATE);
    let mut problems: Vec<Problem> = refused.into_iter().map(|(problem, _)| problem).collect();
    problems.extend(too_many);
    problems.extend(emptied);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.span().start);
        return Err(Kind::NeedsReason { error: plan.error(problems), is_skip }.into());
    }
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(removed_flags(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    Ok((next, changes))
}

/// Returns whether a required flag reaches its stage: at most, as the plan in force allows, and after the update. `None`
/// if the flag has a reason of its own.
fn reaches(
    snapshot: &Snapshot,
    plan: &Plan,
    (old, new): (&Prerequisite, &Prerequisite),
) -> Option<(bool, bool)> {
    let key = old.flag.as_str();
    let known = snapshot.flag(key).or_else(|| snapshot.removed(key))?;
    let planned = plan.planned_flag(key)?;
    if new_reason(known.definition(), &planned.definition).is_some() {
        return None;
    }
    let position = position_after(known, planned, &mut AudienceComparison::default());
    let allowed = allowed_position(known, planned, position);
    // A removed flag may refer to an older list of stages.
    let required = known.definition().position_of(&old.stage).unwrap_or(old.position);
    Some((allowed >= required, position >= new.position))
}

fn edit_of<'e>(
    known: &'e Flag,
    planned: &'e PlannedFlag,
    position: Position,
    per_update: Percent,
) -> Edit<'e> {
    let positions = (known.position(), allowed_position(known, planned, position));
    Edit::new(known.definition(), positions, &planned.definition, position, per_update)
}

/// Returns the position in the plan in force whose users an update may let in, if it moves the flag to `position`.
///
/// An update may move a flag one stage up. If the flag stays in its stage, only that stage counts.
fn allowed_position(known: &Flag, planned: &PlannedFlag, position: Position) -> Position {
    let (old, current) = (known.definition(), known.position());
    match stage_name(&planned.definition, position) == stage_name(old, current) {
        true => current,
        false => current.saturating_add(1).min(old.last()),
    }
}

/// Replaces all flags without a check, as the rollout has decided.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn to_flags(snapshot: &Snapshot, flags: Vec<Flag>) -> (Snapshot, Vec<Change>) {
    let before = |flag: &Flag| Some(snapshot.find_key(flag.key().as_str())?.1);
    let mut changes: Vec<Change> =
        flags.iter().filter_map(|flag| change(before(flag), flag, Vec::new(), None)).collect();
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(removed_flags(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    (next, changes)
}

/// Returns the changes of flags that the next snapshot lacks.
fn removed_flags<'s>(
    snapshot: &'s Snapshot,
    next: &'s Snapshot,
) -> impl Iterator<Item = Change> + use<'s> {
    let flags = snapshot.flags().iter().filter(|flag| next.find_key(flag.key().as_str()).is_none());
    flags.map(|flag| Change {
        flag: flag.key().shared(),
        from: flag.definition().stage_name(flag.position()),
        to: None,
        audience: Vec::new(),
        reason: None,
    })
}

/// Returns the position of a flag after an update.
///
/// The flag moves to its `stage` in the document. But if a call has moved the flag, and the document repeats the
/// `stage`, the flag stays where it is.
fn position_after<'f>(
    before: &'f Flag,
    planned: &'f PlannedFlag,
    comparison: &mut AudienceComparison<'f>,
) -> Position {
    let (old, new) = (before.definition(), &*planned.definition);
    let (current, declared) = (before.position(), before.declared());
    let declared_again = old.stage_name(declared) == new.stage_name(planned.declared);
    if current == declared || !declared_again {
        return planned.declared;
    }
    let same = new.position_of(&stage_name(old, current));
    let mut lets_in_no_one = |position: &Position| {
        // Compares with the users who have the flag now. So an edit does not undo the call, or move the flag further
        // up.
        let edit = Edit::new(old, (current, current), new, *position, Percent::ALL);
        edit.lets_in_no_one(comparison)
    };
    let highest = match same {
        Some(same) if current > declared => return same,
        Some(same) => same.min(planned.declared),
        None if current > declared => new.last(),
        None => planned.declared,
    };
    (0..=highest).rev().find(|position| lets_in_no_one(position)).unwrap_or(0)
}

fn is_skip(from: Position, to: Position) -> bool {
    to > from.saturating_add(1)
}

fn change(
    before: Option<&Flag>,
    after: &Flag,
    audience: Vec<AudienceChange>,
    reason: Option<&str>,
) -> Option<Change> {
    let stage = |flag: &Flag| flag.definition().stage_name(flag.position());
    let (from, to) = (before.and_then(stage), stage(after));
    let reason = reason.map(str::to_owned);
    let flag = after.key().shared();
    (from != to || !audience.is_empty()).then_some(Change { flag, from, to, audience, reason })
}

fn problem(
    plan: &Plan,
    planned: &PlannedFlag,
    known: &Flag,
    to: Position,
    objections: &[Objection],
) -> Problem {
    let (old, new) = (known.definition(), &*planned.definition);
    let (stage, current) = (stage_name(new, to), known.position());
    let used = new.skip_reason().is_some();
    // If the flag only skips stages, the message names them instead of percentages.
    let next = stage_name(old, current.saturating_add(1));
    let skips = old.position_of(&stage).filter(|place| is_skip(current, *place));
    if let Some(place) = skips.filter(|_| new.position_of(&next).is_some()) {
        let message = format!(
            "found \"{stage}\", which skips {}: the flag is at \"{}\"",
            skipped(old, current, place),
            stage_name(old, current),
        );
        let hint = match used {
            false => format!("write \"{next}\", or give a `skip_reason` beside `stage`"),
            true => {
                format!("write \"{next}\", or a new `skip_reason`: this one was used before")
            }
        };
        return plan.problem(planned, message, hint);
    }
    let effects: Vec<&str> = objections.iter().map(|objection| &*objection.effect).collect();
    let message = format!("found \"{stage}\", which {}", effects.join("; it "));
    let hint = objections.first().map(|objection| objection.remedy(used)).unwrap_or_default();
    plan.problem(planned, message, hint)
}

/// Returns the names of the stages between two positions.
fn skipped(definition: &FlagDefinition, from: Position, to: Position) -> String {
    let names = (from + 1..to).map(|position| stage_name(definition, position).to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn unknown_flag(snapshot: &Snapshot, name: &str) -> UpdateError {
    let names = snapshot.flags().iter().flat_map(Flag::names);
    let hint = match nearest(name, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the plan has none of that name".to_owned(),
    };
    Kind::UnknownFlag { flag: name.to_owned(), hint }.into()
}

fn unknown_stage(definition: &FlagDefinition, stage: &str) -> UpdateError {
    let names: Vec<_> =
        (0..=definition.last()).map(|position| stage_name(definition, position)).collect();
    let hint = one_of(stage, names.iter().map(StageName::as_str));
    Kind::UnknownStage { flag: definition.key.as_str().to_owned(), stage: stage.to_owned(), hint }
        .into()
}
