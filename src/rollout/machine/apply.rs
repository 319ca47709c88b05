//! Changes of a flag's state. No other module changes it.

use super::EventContext;
use super::evidence::{self, MetricReading};
use super::flag_view::position_of;
use super::messages;
use super::state::{FlagState, Hold, Incident, PendingMessages, Report, Signature};
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{FlagPlan, Phase, Quantity, When};
use crate::rollout::{Cause, Fact, Stamp};

/// Changes a flag's state by a fact. Both `transition` and the replay of a journal use it.
///
/// `context.record` is the number of the fact's record. `context.serving` is ignored.
pub(in crate::rollout) fn apply(
    plan: &FlagPlan<'_>,
    state: &mut FlagState,
    fact: &Fact,
    to: StageName,
    context: &EventContext<'_>,
) {
    let (now, stamp) = (context.now, context.now.stamp());
    match fact {
        // These are about all flags.
        Fact::Opened { .. }
        | Fact::Continued { .. }
        | Fact::Restored { .. }
        | Fact::Updated { .. }
        | Fact::Seen {}
        | Fact::Unknown { .. }
        | Fact::RolledBackAll { .. }
        | Fact::HeldAll { .. }
        | Fact::ResumedAll { .. } => {}
        Fact::Promoted { .. } => promote(plan, state, to, stamp),
        Fact::Completed { .. } => {
            let pending = std::mem::take(&mut state.pending_messages);
            let left = (state.stage, state.since);
            state.pending_messages = messages::pending_after_promotion(pending, left, stamp);
            state.complete = true;
        }
        Fact::Held { why } => {
            state.hold = Some(Hold { by: context.by.into(), why: why.clone(), since: stamp });
        }
        Fact::Resumed { .. } => state.hold = None,
        Fact::RolledBack { cause, .. } => roll_back(state, cause, to, context),
        Fact::Signed { item, evidence } => {
            let (by, evidence) = (context.by.into(), evidence.clone());
            state.signatures.insert(item.clone(), Signature { by, evidence, since: stamp });
            watch::mark_check(plan, state, now);
        }
        Fact::Unsigned { item, .. } | Fact::Expired { item } => {
            state.signatures.remove(item);
        }
        Fact::Reported { kind, note } => {
            let about = format!("incident {kind}").into();
            let incident = || new_incident(about, to, Phase::Decide, context);
            let incident = state.incident.get_or_insert_with(incident);
            let (by, kind, note) = (context.by.into(), kind.clone(), note.clone());
            incident.last_report = Some(Box::new(Report { by, kind, note }));
        }
        Fact::Asked { trigger, .. } => {
            let incident = || new_incident(trigger.clone(), to, Phase::Decide, context);
            state.incident.get_or_insert_with(incident);
        }
        Fact::Messaged { stage, when, number, .. } => {
            let Ok(when) = when.parse() else { return };
            state
                .pending_messages
                .retain(|pending| (pending.stage, pending.when) != (*stage, when));
            state.sent_messages.retain(|(of, at, _)| (*of, *at) != (*stage, when));
            state.sent_messages.push((*stage, when, *number));
        }
        Fact::Stepped { phase, .. } => step(state, *phase, context),
        Fact::Escalated { .. } => {
            if let Some(incident) = &mut state.incident {
                incident.escalations = incident.escalations.saturating_add(1);
            }
        }
        Fact::Closed { .. } => {
            let was_rolled_back = state.incident.take().is_some_and(|it| it.cause.is_some());
            if was_rolled_back {
                // These readings were taken to verify the rollback, not to judge the present stage.
                state.evidence.clear();
            }
        }
        Fact::Measured { metric, value, control, samples, judged } => {
            let parse = |text: &Option<Box<str>>| {
                let metrics = evidence::metric_conditions(plan, state);
                let unit = metrics.get(&**metric).map(|(it, _)| it.unit)?;
                Quantity::parse(text.as_deref()?, unit).ok()
            };
            let (value, control, samples) = (parse(value), parse(control), *samples);
            let reading = MetricReading { metric, value, control, samples, judged: *judged };
            let after = evidence::evidence_after(plan, state, &reading, context.by, now);
            if let Some(after) = after {
                state.evidence.insert(metric.clone(), after);
                watch::mark_check(plan, state, now);
            }
        }
        Fact::WatchMissed { last, .. } => state.watch_missed = state.watch_missed.max(*last),
    }
}

fn roll_back(state: &mut FlagState, cause: &Cause, to: StageName, context: &EventContext<'_>) {
    let (from, now) = (state.stage, context.now.stamp());
    let mut incident = state.incident.take();
    if let (Some(incident), Cause::Trigger { .. }) = (&mut incident, cause) {
        // The incident may be about another trigger, which only asked for a decision.
        incident.about = cause.to_string().into();
    }
    let new = new_incident(cause.to_string().into(), from, Phase::Verify, context);
    let (stage, began, reason) = (from, state.since, Some(cause.to_string().into()));
    let pending = PendingMessages { stage, when: When::Rollback, since: now, began, reason };
    let incident = Incident {
        cause: Some(cause.clone()),
        from,
        phase: Phase::Verify,
        phase_since: now,
        escalations: 0,
        ..incident.unwrap_or(new)
    };
    let (incident, pending_messages) = (Some(incident), vec![pending]);
    *state = FlagState { incident, pending_messages, has_begun: true, ..FlagState::new(to, now) };
}

fn promote(plan: &FlagPlan<'_>, state: &mut FlagState, to: StageName, now: Stamp) {
    let before = std::mem::replace(state, FlagState::new(to, now));
    let start = std::mem::take(&mut state.pending_messages);
    let left = (before.stage, before.since);
    state.pending_messages = messages::pending_after_promotion(before.pending_messages, left, now);
    state.pending_messages.extend(start);
    state.sent_messages = before.sent_messages;
    // Messages announce later stages in advance. Remember those, so that they are not sent again.
    let (place, here) = (|stage| position_of(plan, stage), position_of(plan, to));
    state.sent_messages.retain(|(stage, ..)| place(*stage) > here);
}

fn new_incident(
    about: Box<str>,
    from: StageName,
    phase: Phase,
    context: &EventContext<'_>,
) -> Incident {
    Incident {
        number: context.record,
        about,
        cause: None,
        from,
        by: context.by.into(),
        opened: context.now.stamp(),
        phase,
        phase_since: context.now.stamp(),
        escalations: 0,
        last_report: None,
    }
}

fn step(state: &mut FlagState, done: Phase, context: &EventContext<'_>) {
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
