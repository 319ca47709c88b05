//! The state machine of one flag: pure functions that read no clock, file or gate.

pub(super) mod alert;
mod apply;
mod approvals;
mod conditions;
pub(super) mod event;
mod evidence;
mod flag_view;
mod freeze;
pub(super) mod human_duration;
mod incident;
mod manual;
mod messages;
mod promote;
pub(super) mod refusal;
mod rollback;
pub(super) mod state;
mod tick;
mod update;
mod watch;

use crate::eval::StageName;
use crate::plan::model::FlagPlan;
use crate::rollout::{Cause, Fact, Now};
use alert::Alert;
pub(super) use apply::apply;
pub(super) use event::truncated;
use event::{Event, Reading};
use evidence::MetricReading;
pub(super) use evidence::metrics_to_read;
pub(super) use flag_view::Decision;
use flag_view::{FlagView, Next};
pub(super) use freeze::{frozen, hold_all, resume_all};
pub(super) use incident::is_repeated as is_repeated_report;
use refusal::{Refusal, Unmet};
pub(super) use state::RemovedFlag;
use state::{FlagState, Freeze};
pub(super) use update::{FlagUpdate, apply_resets, check_readded, check_update, readded_state};

/// The result of an event: the flag's new state, and the facts and alerts that led to it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transition {
    /// The flag's state after the event.
    pub state: FlagState,
    /// What happened, in order. Each fact comes with the flag's stage after it, and becomes one
    /// record of the journal. Empty if the event changed nothing.
    pub facts: Vec<(Fact, StageName)>,
    /// Alerts for the people responsible.
    pub alerts: Vec<Alert>,
}

/// The circumstances of an event: when it happens, who caused it, and what the process serves.
#[derive(Clone, Copy, Debug)]
pub struct EventContext<'c> {
    /// The time of the event.
    pub now: Now<'c>,
    /// The person or program that caused the event.
    pub by: &'c str,
    /// The stage that this process's gate serves.
    pub serving: StageName,
    /// The number of the journal record that the event's first fact will get.
    pub record: u64,
    /// The flags that the plan requires, as far as they have not reached their stage.
    pub missing: &'c [MissingFlag],
    /// The last freeze of all flags. It may be over.
    pub freeze: Option<&'c Freeze>,
}

/// A flag that another flag requires and that has not reached its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingFlag {
    /// The key of the required flag.
    pub flag: Box<str>,
    /// The stage that the flag must have reached.
    pub requires: StageName,
    /// The stage of the flag.
    pub stage: StageName,
}

/// Returns the state of a flag after an event, or every reason why the event is refused.
///
/// # The states
///
/// The table shows the state after each event, if every condition of the plan holds. `-` is a refusal,
/// `=` the same state. The flag in the table has two stages, and its rollback leads to off.
///
/// ```text
/// state                     promote  force    hold            resume   roll back    report              step  close
/// off                       running  running  held            -        =            off, incident       -     -
/// off, incident             -        -        held, incident  -        =            =                   =     off
/// running                   running  running  held            -        rolled back  running, incident   -     -
/// running, incident         -        -        held, incident  -        rolled back  =                   =     running
/// held                      -        -        -               running  rolled back  held, incident      -     -
/// rolled back               -        -        -               -        =            =                   =     -
/// rolled back, investigate  -        -        -               -        =            =                   -     off
/// complete                  -        -        -               -        rolled back  complete, incident  -     -
/// ```
///
/// If a trigger with `action = "rollback"` names the kind of a reported incident, the report rolls the flag
/// back. Otherwise the flag stays in its stage, and the open incident blocks every promotion, even a forced
/// one. A flag that was held while off resumes to `off`. A promotion from the last stage completes the
/// rollout.
///
/// # Errors
///
/// [`Refusal`] with every condition that is not met.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use stagegate::Plan;
/// use stagegate::rollout::{EventContext, Event, FlagState, Stamp, transition};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     stages = [{ name = "pilot", percent = 10, min_duration = "1d" }, { name = "ga", percent = 100 }]
/// "#)?;
/// let flag = plan.flag("search").unwrap();
/// let start = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
/// let off = FlagState::new(flag.stage(), start);
/// let context = EventContext {
///     now: start.into(),
///     by: "ana",
///     serving: off.stage,
///     record: 2,
///     missing: &[],
///     freeze: None,
/// };
/// let pilot = transition(&flag, &off, &Event::Promote, &context)?.state;
/// assert_eq!(pilot.stage, "pilot");
///
/// let refusal = transition(&flag, &pilot, &Event::Promote, &context).unwrap_err();
/// assert_eq!(
///     refusal.to_string(),
///     "promote of `search` is refused: 1 condition is not met\n  \
///      0s of at least 1d spent in stage `pilot`\n      wait 1d",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn transition(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    event: &Event,
    context: &EventContext<'_>,
) -> Result<Transition, Refusal> {
    let decision = decide(plan, state, event, context)?;
    let mut state = state.clone();
    for ((fact, to), place) in decision.facts.iter().zip(0..) {
        let record = context.record.saturating_add(place);
        apply(plan, &mut state, fact, *to, &EventContext { record, ..*context });
    }
    Ok(Transition { state, facts: decision.facts, alerts: decision.alerts })
}

/// Returns the facts, alerts and messages of an event, without the state after it.
pub(super) fn decide(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    event: &Event,
    context: &EventContext<'_>,
) -> Result<Decision, Refusal> {
    let flag = FlagView::new(plan, state, context);
    let refuse = |unmet| Refusal { flag: plan.key().into(), event: event.name(), unmet };
    dispatch(&flag, event, context).map_err(refuse)
}

/// Returns the decision for a rollback of a flag that may be above `stage`, the stage that this process knows, and the
/// stage that the flag may not exceed afterwards. Returns `None` if the event does not roll the flag back.
///
/// The decision is the one for the plan's last stage, because another process may serve the flag there.
pub(super) fn rollback_bound(
    plan: &FlagPlan<'_>,
    stage: StageName,
    event: &Event,
    context: &EventContext<'_>,
) -> Option<(Decision, StageName)> {
    let to = match event {
        Event::RollBack { to, .. } => to.unwrap_or(stage),
        Event::Breach { .. } | Event::Report { .. } => stage,
        _ => return None,
    };
    let highest = FlagState::new(plan.stages().last()?.name(), context.now.stamp());
    let mut decision = decide(plan, &highest, event, context).ok()?;
    decision.rolls_back_to()?;
    for (fact, place) in &mut decision.facts {
        *place = if matches!(fact, Fact::RolledBack { .. }) { to } else { stage };
    }
    Some((decision, to))
}

/// Returns the alert about a rollback.
pub(super) fn rollback_alert(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    now: Now<'_>,
    cause: &Cause,
    to: StageName,
) -> Alert {
    rollback::alert(&FlagView { plan, state, now, missing: &[], freeze: None, by: None }, cause, to)
}

fn dispatch(
    flag: &FlagView<'_, '_>,
    event: &Event,
    context: &EventContext<'_>,
) -> Result<Decision, Vec<Unmet>> {
    let serving = context.serving;
    match event {
        Event::Promote => promote::promote(flag),
        Event::PromoteTo { to } => promote::promote_to(flag, *to),
        Event::Force { to, reason } => promote::force(flag, *to, reason),
        Event::Hold { why } => manual::hold(flag, why),
        Event::Resume { why } => manual::resume(flag, why.as_deref()),
        Event::RollBack { to, reason } => rollback::on_request(flag, *to, reason),
        Event::Breach { trigger, evidence } => rollback::on_breach(flag, *trigger, evidence),
        Event::Sign { item, evidence } => manual::sign(flag, item, evidence.as_deref()),
        Event::Unsign { item, why } => manual::unsign(flag, item, why.as_deref()),
        Event::Report { kind, note } => incident::report(flag, kind, note.as_deref(), context.by),
        Event::Step { note, overriding } => {
            incident::step(flag, note.as_deref(), overriding.as_deref(), serving)
        }
        Event::Close { note } => incident::close(flag, note),
        Event::Measure { metric, reading, control, samples } => {
            let value = match reading {
                Reading::Value(value) => Some(*value),
                Reading::NoData => None,
            };
            let (control, samples) = (*control, *samples);
            let reading = MetricReading { metric, value, control, samples, judged: false };
            evidence::measure(flag, &reading, context.by)
        }
        Event::Judged { stage, .. } if *stage != flag.state.stage => Ok(Decision::default()),
        Event::Judged { metric, value, control, samples, .. } => {
            let (value, control, samples) = (Some(*value), *control, Some(*samples));
            let reading = MetricReading { metric, value, control, samples, judged: true };
            evidence::measure(flag, &reading, context.by)
        }
        Event::Tick => Ok(tick::tick(flag, serving)),
        Event::SendMessages => Ok(messages::due(flag)),
    }
}

/// Returns the unmet conditions of a flag's next promotion. Empty if nothing blocks it.
///
/// The promoter is unknown, so one signature is enough for `four_eyes`. A promotion by that person is still refused.
#[must_use]
pub fn unmet(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    now: Now<'_>,
    missing: &[MissingFlag],
    freeze: Option<&Freeze>,
) -> Vec<Unmet> {
    let conditions =
        conditions::of_promotion(&FlagView { plan, state, now, missing, freeze, by: None });
    conditions.into_iter().filter_map(Result::err).collect()
}

/// Returns the flags that a flag requires, directly or through others, and that have not reached their stage. `find`
/// returns the plan and the stage of a flag.
pub(super) fn missing_flags<'p>(
    plan: &FlagPlan<'p>,
    find: impl Fn(&str) -> Option<(FlagPlan<'p>, StageName)>,
) -> Vec<MissingFlag> {
    let missing = |(flag, requires): (&'p str, StageName)| {
        let found = find(flag);
        let stage = found.map_or(StageName::OFF, |(_, stage)| stage);
        let is_missing = found.is_none_or(|(plan, stage)| is_below(&plan, stage, requires));
        is_missing.then(|| MissingFlag { flag: flag.into(), requires, stage })
    };
    plan.all_required().filter_map(missing).collect()
}

/// Returns one line for everything that is overdue: the flag's stage, checks of its watch, and the phase of its
/// incident.
#[must_use]
pub fn overdue(plan: &FlagPlan<'_>, state: &FlagState, now: Now<'_>) -> Vec<String> {
    tick::overdue(&FlagView { plan, state, now, missing: &[], freeze: None, by: None })
}

/// Returns the stage that a flag's next promotion leads to, or `None` in the last stage.
pub(super) fn next_stage(plan: &FlagPlan<'_>, state: &FlagState) -> Option<StageName> {
    let now = state.since.into();
    match (FlagView { plan, state, now, missing: &[], freeze: None, by: None }).next() {
        Next::Stage(next) => Some(next),
        Next::Complete => None,
    }
}

/// Returns whether a stage is below another one. A stage that the plan does not have counts as off.
pub(super) fn is_below(plan: &FlagPlan<'_>, stage: StageName, other: StageName) -> bool {
    let position = |name| flag_view::position_of(plan, name).unwrap_or(0);
    position(stage) < position(other)
}

/// Returns the stage that a rollback without a stage leads to.
pub(super) fn rollback_target(plan: &FlagPlan<'_>, state: &FlagState) -> StageName {
    rollback::target(plan, state.stage)
}
