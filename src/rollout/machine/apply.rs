//! The state after a fact: the one place where it changes.

use super::Context;
use super::case::position_of;
use super::evidence::{self, Read};
use super::state::{FlagState, Hold, Incident, Owed, Signature};
use super::telling;
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, Phase, Quantity, When};
use crate::rollout::{Cause, Fact, Stamp};

/// The state once a fact is known: what `transition` did, and what replay does.
///
/// `context.next` is the number of the fact's record; `context.serving` is not looked at.
pub(in crate::rollout) fn apply(
    plan: &FlagPlan<'_>,
    state: &mut FlagState,
    fact: &Fact,
    to: StageName,
    context: &Context<'_>,
) {
    let (now, stamp) = (context.now, context.now.stamp());
    match fact {
        Fact::Opened { .. } | Fact::Updated { .. } | Fact::Seen {} => {}
        Fact::Promoted { .. } => promote(plan, state, to, stamp),
        Fact::Completed { .. } => {
            let owed = std::mem::take(&mut state.owed);
            state.owed = telling::owed_by_promotion(owed, (state.stage, state.since), stamp);
            state.complete = true;
        }
        Fact::Held { why } => {
            state.hold = Some(Hold { by: context.by.into(), why: why.clone(), since: stamp });
        }
        Fact::Resumed { .. } => state.hold = None,
        Fact::RolledBack { cause, .. } => take_back(state, cause, to, context),
        Fact::Signed { item, evidence } => {
            let (by, evidence) = (context.by.into(), evidence.clone());
            state.signatures.insert(item.clone(), Signature { by, evidence, since: stamp });
            watch::note(plan, state, now);
        }
        Fact::Unsigned { item, .. } | Fact::Expired { item } => {
            state.signatures.remove(item);
        }
        Fact::Reported { kind, .. } => {
            let about = format!("incident {kind}").into();
            state.incident.get_or_insert_with(|| opened(about, to, Phase::Decide, context));
        }
        Fact::Asked { trigger, .. } => {
            let asked = || opened(trigger.clone(), to, Phase::Decide, context);
            state.incident.get_or_insert_with(asked);
        }
        Fact::Messaged { stage, when, number, .. } => {
            let Ok(when) = when.parse() else { return };
            state.owed.retain(|owed| (owed.stage, owed.when) != (*stage, when));
            state.messaged.retain(|(of, at, _)| (*of, *at) != (*stage, when));
            state.messaged.push((*stage, when, *number));
        }
        Fact::Stepped { phase, .. } => step(state, *phase, context),
        Fact::Escalated { .. } => {
            if let Some(incident) = &mut state.incident {
                incident.escalations = incident.escalations.saturating_add(1);
            }
        }
        Fact::Closed { .. } => {
            let was_taken_back = state.incident.take().is_some_and(|it| it.cause.is_some());
            if was_taken_back {
                // What was read for the incident shows nothing about the stage it is in now.
                state.evidence.clear();
            }
        }
        Fact::Measured { metric, value, control, samples, judged } => {
            let read = |text: &Option<Box<str>>| {
                let unit = evidence::tests(plan, state).get(&**metric).map(|(it, _)| it.unit)?;
                Quantity::parse(text.as_deref()?, unit).ok()
            };
            let (value, control) = (read(value), read(control));
            let read = Read { metric, value, control, samples: *samples, judged: *judged };
            let after = evidence::evidence_after(plan, state, &read, context.by, now);
            if let Some(after) = after {
                state.evidence.insert(metric.clone(), after);
                watch::note(plan, state, now);
            }
        }
        Fact::WatchMissed { last, .. } => state.watch_missed = state.watch_missed.max(*last),
    }
}

fn take_back(state: &mut FlagState, cause: &Cause, to: StageName, context: &Context<'_>) {
    let (from, now) = (state.stage, context.now.stamp());
    let mut incident = state.incident.take();
    if let (Some(incident), Cause::Trigger { .. }) = (&mut incident, cause) {
        // What was asked before is not what took it back.
        incident.about = cause.to_string().into();
    }
    let fresh = opened(cause.to_string().into(), from, Phase::Verify, context);
    let (stage, began, reason) = (from, state.since, Some(cause.to_string().into()));
    let owed = Owed { stage, when: When::RollBack, since: now, began, reason };
    let incident = Incident {
        cause: Some(cause.clone()),
        from,
        phase: Phase::Verify,
        phase_since: now,
        escalations: 0,
        ..incident.unwrap_or(fresh)
    };
    *state = FlagState { incident: Some(incident), owed: vec![owed], ..FlagState::new(to, now) };
}

fn promote(plan: &FlagPlan<'_>, state: &mut FlagState, to: StageName, now: Stamp) {
    let before = std::mem::replace(state, FlagState::new(to, now));
    let start = std::mem::take(&mut state.owed);
    state.owed = telling::owed_by_promotion(before.owed, (before.stage, before.since), now);
    state.owed.extend(start);
    state.messaged = before.messaged;
    // What was told of stages that are still to come.
    let (place, here) = (|stage| position_of(plan, stage), position_of(plan, to));
    state.messaged.retain(|(stage, ..)| place(*stage) > here);
}

fn opened(about: Box<str>, from: StageName, phase: Phase, context: &Context<'_>) -> Incident {
    Incident {
        number: context.next,
        about,
        cause: None,
        from,
        by: context.by.into(),
        opened: context.now.stamp(),
        phase,
        phase_since: context.now.stamp(),
        escalations: 0,
    }
}

fn step(state: &mut FlagState, done: Phase, context: &Context<'_>) {
    let Some(incident) = &mut state.incident else { return };
    incident.phase = match done {
        Phase::Decide => Phase::Execute,
        Phase::Execute => Phase::Verify,
        Phase::Verify => Phase::Communicate,
        Phase::Communicate | Phase::Investigate => Phase::Investigate,
    };
    incident.phase_since = context.now.stamp();
    incident.escalations = 0;
}
