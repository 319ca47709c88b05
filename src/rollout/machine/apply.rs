//! The state after a fact: the one place where it changes.

use super::Context;
use super::evidence::{self, Read};
use super::state::{FlagState, Hold, Incident, Signature};
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, Phase, Quantity};
use crate::rollout::{Cause, Fact};

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
    let now = context.now;
    match fact {
        Fact::Opened { .. } | Fact::Updated { .. } => {}
        Fact::Promoted { .. } => *state = FlagState { ..FlagState::new(to, now) },
        Fact::Completed { .. } => state.complete = true,
        Fact::Held { why } => {
            state.hold = Some(Hold { by: context.by.into(), why: why.clone(), since: now });
        }
        Fact::Resumed { .. } => state.hold = None,
        Fact::RolledBack { cause, .. } => take_back(state, cause, to, context),
        Fact::Signed { item, evidence } => {
            let (by, evidence) = (context.by.into(), evidence.clone());
            state.signatures.insert(item.clone(), Signature { by, evidence, since: now });
            watch::note(plan, state, now);
        }
        Fact::Unsigned { item, .. } | Fact::Expired { item } => {
            state.signatures.remove(item);
        }
        Fact::Reported { kind, .. } => {
            let about = format!("incident {kind}").into();
            state.incident.get_or_insert_with(|| Incident {
                number: context.next,
                about,
                cause: None,
                from: to,
                by: context.by.into(),
                opened: now,
                phase: Phase::Decide,
                phase_since: now,
                escalations: 0,
            });
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
        Fact::Measured { metric, value, control, samples } => {
            let read = |text: &Option<Box<str>>| {
                let unit = evidence::tests(plan, state).get(&**metric).map(|(it, _)| it.unit)?;
                Quantity::parse(text.as_deref()?, unit).ok()
            };
            let (value, control) = (read(value), read(control));
            let read = Read { metric, value, control, samples: *samples };
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
    let (from, now) = (state.stage, context.now);
    let incident = state.incident.take();
    let fresh = Incident {
        number: context.next,
        about: cause.to_string().into(),
        cause: None,
        from,
        by: context.by.into(),
        opened: now,
        phase: Phase::Verify,
        phase_since: now,
        escalations: 0,
    };
    let incident = Incident {
        cause: Some(cause.clone()),
        from,
        phase: Phase::Verify,
        phase_since: now,
        escalations: 0,
        ..incident.unwrap_or(fresh)
    };
    *state = FlagState { incident: Some(incident), ..FlagState::new(to, now) };
}

fn step(state: &mut FlagState, done: Phase, context: &Context<'_>) {
    let Some(incident) = &mut state.incident else { return };
    incident.phase = match done {
        Phase::Decide => Phase::Execute,
        Phase::Execute => Phase::Verify,
        Phase::Verify => Phase::Communicate,
        Phase::Communicate | Phase::Investigate => Phase::Investigate,
    };
    incident.phase_since = context.now;
    incident.escalations = 0;
}
