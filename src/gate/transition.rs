//! From one snapshot to the next: which moves are allowed.

use std::sync::Arc;

use super::error::{Kind, UpdateError};
use super::observer::Change;
use crate::eval::{Flag, FlagDefinition, Position, Snapshot, Stage, StageName};
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
        reason: reason.map(str::to_owned),
    };
    let changes = if from == to { Vec::new() } else { vec![change] };
    (snapshot.with(slot, flag.at(to)), changes)
}

/// Every flag to where a plan has it. Every skip is told, not only the first.
pub(super) fn to_plan(
    snapshot: &Snapshot,
    plan: &Plan,
) -> Result<(Snapshot, Vec<Change>), UpdateError> {
    let (mut flags, mut changes, mut skips) = (Vec::new(), Vec::new(), Vec::new());
    for planned in plan.planned() {
        let before = snapshot.flag(planned.definition.key.as_str());
        let flag = Flag::new(Arc::clone(&planned.definition), planned.declared);
        // A flag that is new starts where its document says, as at the start of a process.
        let after = before.map_or(Ok((planned.declared, None)), |b| position_after(b, planned));
        match after {
            Ok((position, reason)) => {
                let flag = flag.at(position);
                changes.extend(change(before, &flag, reason));
                flags.push(flag);
            }
            Err(from) => skips.push(skip_problem(plan, planned, from)),
        }
    }
    if !skips.is_empty() {
        skips.sort_by_key(|problem| problem.span().start);
        return Err(Kind::DocumentSkips { error: plan.error(skips) }.into());
    }
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(gone(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    Ok((next, changes))
}

/// Every flag to where whoever drives the gate has it.
#[cfg_attr(not(feature = "rollout"), expect(dead_code))]
pub(super) fn to_flags(snapshot: &Snapshot, flags: Vec<Flag>) -> (Snapshot, Vec<Change>) {
    let before = |flag: &Flag| snapshot.flag(flag.key().as_str());
    let mut changes: Vec<Change> =
        flags.iter().filter_map(|flag| change(before(flag), flag, None)).collect();
    let next = Snapshot::new(snapshot.version() + 1, flags, Some(snapshot));
    changes.extend(gone(snapshot, &next));
    changes.sort_by(|a, b| a.flag.cmp(&b.flag));
    (next, changes)
}

/// The flags that the next snapshot no longer has.
fn gone<'s>(snapshot: &'s Snapshot, next: &'s Snapshot) -> impl Iterator<Item = Change> + use<'s> {
    let flags = snapshot.flags().iter().filter(|flag| next.flag(flag.key().as_str()).is_none());
    flags.map(|flag| Change {
        flag: flag.key().shared(),
        from: flag.definition().stage_name(flag.position()),
        to: None,
        reason: None,
    })
}

/// Where a flag is once its new definition is in force, and the reason if that skips a stage; `Err`
/// with where it counts as being, when there is none.
fn position_after<'p>(
    before: &Flag,
    planned: &'p PlannedFlag,
) -> Result<(Position, Option<&'p str>), Position> {
    let (old, new) = (before.definition(), &*planned.definition);
    let from = reached(before, new);
    let taken_down = before.position() < before.declared();
    let declared_again = old.stage_name(before.declared()) == new.stage_name(planned.declared);
    if taken_down && declared_again {
        return Ok((from.min(planned.declared), None));
    }
    if !is_skip(from, planned.declared) {
        return Ok((planned.declared, None));
    }
    // A reason is good for the one document that brings it: left behind, it would disarm the rule.
    match new.skip_reason().filter(|reason| old.skip_reason() != Some(reason)) {
        Some(reason) => Ok((planned.declared, Some(reason))),
        None => Err(from),
    }
}

/// How far into the new definition a flag counts as being: at the stage of the same name, if that
/// one's percentage is no more than its users have now; else past every stage from the first on
/// that lets in nobody new, by percentage or, beyond as many stages as it had reached, by a group.
fn reached(before: &Flag, new: &FlagDefinition) -> Position {
    let position = before.position();
    let Some(now) = before.definition().stage(position) else { return 0 };
    let same_name = new.position_of(now.name());
    let same_name =
        same_name.filter(|position| new.stage(*position).is_some_and(|s| s.percent <= now.percent));
    same_name.unwrap_or_else(|| {
        let lets_nobody_in = |(stage, nth): &(&Stage, Position)| {
            stage.percent <= now.percent && (stage.groups.is_empty() || *nth <= position)
        };
        let covered = new.stages.iter().zip(1..).take_while(lets_nobody_in).last();
        covered.map_or(0, |(_, nth)| nth)
    })
}

fn is_skip(from: Position, to: Position) -> bool {
    to > from.saturating_add(1)
}

fn change(before: Option<&Flag>, after: &Flag, reason: Option<&str>) -> Option<Change> {
    let stage = |flag: &Flag| flag.definition().stage_name(flag.position());
    let (from, to) = (before.and_then(stage), stage(after));
    let reason = reason.map(str::to_owned);
    (from != to).then(|| Change { flag: after.key().shared(), from, to, reason })
}

fn skip_problem(plan: &Plan, planned: &PlannedFlag, from: Position) -> Problem {
    let definition = &*planned.definition;
    let (to, next) = (planned.declared, name(definition, from + 1));
    let message = format!(
        "found \"{}\", which skips {}: the flag is at \"{}\"",
        name(definition, to),
        skipped(definition, from, to),
        name(definition, from),
    );
    let hint = match definition.skip_reason() {
        None => format!("write \"{next}\", or give a `skip_reason` beside `stage`"),
        Some(_) => format!("write \"{next}\", or a new `skip_reason`: this one was used before"),
    };
    plan.problem(planned, message, hint)
}

/// The stages between two positions.
fn skipped(definition: &FlagDefinition, from: Position, to: Position) -> String {
    let names = (from + 1..to).map(|position| name(definition, position).to_string());
    names.collect::<Vec<_>>().join(", ")
}

fn name(definition: &FlagDefinition, position: Position) -> StageName {
    definition.stage_name(position).unwrap_or(StageName::OFF)
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
