//! From one snapshot to the next: which moves are allowed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edit::{
    AudienceChange, Comparison, Edit, Objection, PER_UPDATE, emptied, name, new_reason,
    too_many_gone,
};
use super::error::{Kind, UpdateError};
use super::observer::Change;
use crate::eval::{Flag, FlagDefinition, Position, Snapshot, StageName};
use crate::percent::Percent;
use crate::plan::{Plan, PlannedFlag, Problem, nearest, one_of};

/// One flag to a stage. Up more than one stage only with a reason.
pub(super) fn to_stage(
    snapshot: &Snapshot,
    key: &str,
    stage: &str,
    reason: Option<&str>,
    driven: bool,
) -> Result<(Snapshot, Vec<Change>), UpdateError> {
    let (slot, flag) = snapshot.find(key).ok_or_else(|| unknown_flag(snapshot, key))?;
    let definition = flag.definition();
    let to = definition.position_of(stage).ok_or_else(|| unknown_stage(definition, stage))?;
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        return Err(Kind::NoReason { flag: key.to_owned(), to: name(definition, to) }.into());
    }
    let from = flag.position();
    if driven && to > from {
        return Err(Kind::Driven { flag: key.to_owned(), to: name(definition, to) }.into());
    }
    if reason.is_none() && is_skip(from, to) {
        return Err(Kind::Skip {
            flag: key.to_owned(),
            from: name(definition, from),
            to: name(definition, to),
            skipped: skipped(definition, from, to),
            next: name(definition, from + 1),
        }
        .into());
    }
    Ok(moved(snapshot, (slot, flag), to, reason))
}

/// One flag from a stage to another, by whoever has decided already. `Err` where it is not at the
/// first, or there is nothing to do.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn placed(
    snapshot: &Snapshot,
    key: &str,
    from: StageName,
    to: StageName,
) -> Result<(Snapshot, Vec<Change>), ()> {
    let (slot, flag) = snapshot.find(key).ok_or(())?;
    let definition = flag.definition();
    let (from, to) =
        (definition.position_of(&from).ok_or(())?, definition.position_of(&to).ok_or(())?);
    if from != flag.position() || from == to {
        return Err(());
    }
    Ok(moved(snapshot, (slot, flag), to, None))
}

/// One flag down to a stage. `Err` where it is there or below already.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn lowered(
    snapshot: &Snapshot,
    key: &str,
    to: StageName,
) -> Result<(Snapshot, Vec<Change>), ()> {
    let (slot, flag) = snapshot.find(key).ok_or(())?;
    // A stage that is unknown is no reason to stay up.
    let to = flag.definition().position_of(&to).unwrap_or(0);
    if flag.position() <= to {
        return Err(());
    }
    Ok(moved(snapshot, (slot, flag), to, None))
}

fn moved(
    snapshot: &Snapshot,
    (slot, flag): (usize, &Flag),
    to: Position,
    reason: Option<&str>,
) -> (Snapshot, Vec<Change>) {
    let (definition, from) = (flag.definition(), flag.position());
    let change = Change {
        flag: definition.key.shared(),
        from: Some(name(definition, from)),
        to: Some(name(definition, to)),
        audience: Vec::new(),
        reason: reason.map(str::to_owned),
    };
    let changes = if from == to { Vec::new() } else { vec![change] };
    (snapshot.with(slot, flag.at(to)), changes)
}

/// Every flag to where a plan has it. Everything that needs a reason is told, not only the first.
pub(super) fn to_plan(
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<(Snapshot, Vec<Change>), UpdateError> {
    let mut comparison = Comparison::default();
    let (mut flags, mut changes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut on = BTreeSet::new();
    for planned in plan.planned() {
        let key = planned.definition.key.as_str();
        let before = snapshot.flag(key);
        let flag = Flag::new(Arc::clone(&planned.definition), planned.declared);
        // A flag that is new starts where its document says, as at the start of a process. One that was removed goes on from
        // where it was.
        let Some(known) = before.or_else(|| snapshot.removed(key)) else {
            changes.extend(change(before, &flag, Vec::new(), None));
            on.extend((planned.declared > 0).then_some(key));
            flags.push(flag);
            continue;
        };
        let position = position_after(known, planned, &mut comparison);
        on.extend((position > 0).then_some(key));
        let edit = edit_of(known, planned, position, plan.per_update());
        let objections = edit.objections(&mut comparison);
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
    let is_gone = |flag: &&Flag| plan.flag(flag.key().as_str()).is_none();
    let is_on = |flag: &&Flag| flag.position() > 0;
    let in_force = snapshot.flags().iter();
    let gone = in_force.clone().filter(is_on).filter(is_gone).count();
    let too_many = too_many_gone(plan, in_force.clone().filter(is_on).count(), gone);
    let groups = in_force.flat_map(|flag| flag.definition().groups());
    let emptied = emptied(plan, groups, |planned| on.contains(planned.definition.key.as_str()));
    let is_skip = refused.iter().flat_map(|(_, all)| all).any(|one| one.kind != PER_UPDATE);
    let mut problems: Vec<Problem> = refused.into_iter().map(|(problem, _)| problem).collect();
    problems.extend(too_many);
    problems.extend(emptied);
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.span().start);
        return Err(Kind::Unreasoned { error: plan.error(problems), is_skip }.into());
    }
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(gone_flags(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    Ok((next, changes))
}

fn edit_of<'e>(
    known: &'e Flag,
    planned: &'e PlannedFlag,
    position: Position,
    per_update: Percent,
) -> Edit<'e> {
    let (old, current) = (known.definition(), known.position());
    let new = &*planned.definition;
    // One stage up is what any update may do. One that leaves the flag in its stage does not go up.
    let allowed = match name(new, position) == name(old, current) {
        true => current,
        false => current.saturating_add(1).min(old.last()),
    };
    Edit::new(old, (current, allowed), new, position, per_update)
}

/// Every flag to where whoever drives the gate has it.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn to_flags(snapshot: &Snapshot, flags: Vec<Flag>) -> (Snapshot, Vec<Change>) {
    let before = |flag: &Flag| snapshot.flag(flag.key().as_str());
    let mut changes: Vec<Change> =
        flags.iter().filter_map(|flag| change(before(flag), flag, Vec::new(), None)).collect();
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(gone_flags(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    (next, changes)
}

/// The flags that the next snapshot no longer has.
fn gone_flags<'s>(
    snapshot: &'s Snapshot,
    next: &'s Snapshot,
) -> impl Iterator<Item = Change> + use<'s> {
    let flags = snapshot.flags().iter().filter(|flag| next.flag(flag.key().as_str()).is_none());
    flags.map(|flag| Change {
        flag: flag.key().shared(),
        from: flag.definition().stage_name(flag.position()),
        to: None,
        audience: Vec::new(),
        reason: None,
    })
}

/// Where a flag is once its new definition is in force: where the document puts it, unless a call has moved the flag since a
/// document said the same.
fn position_after<'f>(
    before: &'f Flag,
    planned: &'f PlannedFlag,
    comparison: &mut Comparison<'f>,
) -> Position {
    let (old, new) = (before.definition(), &*planned.definition);
    let (current, declared) = (before.position(), before.declared());
    let declared_again = old.stage_name(declared) == new.stage_name(planned.declared);
    if current == declared || !declared_again {
        return planned.declared;
    }
    let same = new.position_of(&name(old, current));
    let mut lets_in_nobody = |position: &Position| {
        // Compared with who has the flag now: no edit brings back what a call has taken down, nor takes it further up.
        let edit = Edit::new(old, (current, current), new, *position, Percent::ALL);
        edit.lets_in_nobody(comparison)
    };
    let highest = match same {
        Some(same) if current > declared => return same,
        Some(same) => same.min(planned.declared),
        None if current > declared => new.last(),
        None => planned.declared,
    };
    (0..=highest).rev().find(|position| lets_in_nobody(position)).unwrap_or(0)
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
    let (stage, current) = (name(new, to), known.position());
    let used = new.skip_reason().is_some();
    // Of a plain skip people want to know what it skips.
    let next = name(old, current.saturating_add(1));
    let skips = old.position_of(&stage).filter(|place| is_skip(current, *place));
    if let Some(place) = skips.filter(|_| new.position_of(&next).is_some()) {
        let message = format!(
            "found \"{stage}\", which skips {}: the flag is at \"{}\"",
            skipped(old, current, place),
            name(old, current),
        );
        let hint = match used {
            false => format!("write \"{next}\", or give a `skip_reason` beside `stage`"),
            true => {
                format!("write \"{next}\", or a new `skip_reason`: this one was used before")
            }
        };
        return plan.problem(planned, message, hint);
    }
    let what: Vec<&str> = objections.iter().map(|objection| &*objection.what).collect();
    let message = format!("found \"{stage}\", which {}", what.join("; it "));
    let hint = objections.first().map(|objection| objection.remedy(used)).unwrap_or_default();
    plan.problem(planned, message, hint)
}

/// The stages between two positions.
fn skipped(definition: &FlagDefinition, from: Position, to: Position) -> String {
    let names = (from + 1..to).map(|position| name(definition, position).to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn unknown_flag(snapshot: &Snapshot, key: &str) -> UpdateError {
    let keys = snapshot.flags().iter().map(|flag| flag.key().as_str());
    let hint = match nearest(key, keys) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the plan has none of that name".to_owned(),
    };
    Kind::UnknownFlag { flag: key.to_owned(), hint }.into()
}

fn unknown_stage(definition: &FlagDefinition, stage: &str) -> UpdateError {
    let names: Vec<_> =
        (0..=definition.last()).map(|position| name(definition, position)).collect();
    let hint = one_of(stage, names.iter().map(StageName::as_str));
    Kind::UnknownStage { flag: definition.key.as_str().to_owned(), stage: stage.to_owned(), hint }
        .into()
}
