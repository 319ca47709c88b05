//! The state machine of one flag: pure, no clock, no file, no gate.

pub(super) mod alert;
mod apply;
mod case;
mod conditions;
pub(super) mod event;
mod evidence;
mod incident;
mod people;
mod promote;
pub(super) mod refusal;
mod replan;
mod rollback;
pub(super) mod state;
mod telling;
pub(super) mod text;
mod tick;
mod watch;

use crate::eval::StageName;
use crate::plan::model::FlagPlan;
use crate::rollout::{Cause, Fact, Now};
use alert::Alert;
pub(super) use apply::apply;
pub(super) use case::Draft;
use case::{Case, Next};
pub(super) use event::cut;
use event::{Event, Reading};
use evidence::Read;
pub(super) use evidence::wanted;
use refusal::{Refusal, Unmet};
pub(super) use replan::{Replanned, replan, reset, restored, returned};
use state::FlagState;
pub(super) use state::Removed;

/// What an event makes of a flag.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transition {
    /// The flag's state since.
    pub state: FlagState,
    /// What happened, in order, each with the stage the flag was in since: a record of the journal
    /// each. Empty when the event changed nothing.
    pub facts: Vec<(Fact, StageName)>,
    /// Who has to be told what.
    pub alerts: Vec<Alert>,
}

/// What an event meets, beside the flag itself.
#[derive(Clone, Copy, Debug)]
pub struct Context<'c> {
    /// Now.
    pub now: Now<'c>,
    /// Who or what the event is of.
    pub by: &'c str,
    /// The stage by which the process answers questions.
    pub serving: StageName,
    /// The number that the next record will have.
    pub next: u64,
}

/// What an event makes of a flag, or every reason why it cannot be.
///
/// # The states
///
/// What each event makes of a flag in each state, where every condition holds: `-` is a refusal, `=` the
/// same state. The flag has two stages; its roll-back leads to off.
///
/// ```text
/// state                     promote  force    hold            resume   roll back    report              step  close
/// off                       running  running  held            -        =            off, incident       -     -
/// off, incident             -        -        held, incident  -        =            =                   =     off
/// running                   running  running  held            -        rolled back  running, incident   -     -
/// running, incident         -        -        held, incident  -        rolled back  =                   =     running
/// held                      -        -        -               running  rolled back  held, incident      -     -
/// rolled back               -        -        -               -        =            =                   =     -
/// rolled back, looked into  -        -        -               -        =            =                   -     off
/// complete                  -        -        -               -        rolled back  complete, incident  -     -
/// ```
///
/// An incident that a trigger answers takes the flag back as it is reported. One that none answers leaves
/// it where it is, and bars promotion, forced or not, until it is closed. `off` that is held resumes to
/// `off`; a promotion from the last stage is `complete`.
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
/// use stagegate::rollout::{Context, Event, FlagState, Stamp, transition};
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     stages = [{ name = "pilot", percent = 10, min_duration = "1d" }, { name = "ga", percent = 100 }]
/// "#)?;
/// let flag = plan.flag("search").unwrap();
/// let start = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
/// let off = FlagState::new(flag.stage(), start);
/// let context = Context { now: start.into(), by: "ana", serving: off.stage, next: 2 };
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
    context: &Context<'_>,
) -> Result<Transition, Refusal> {
    let draft = draft(plan, state, event, context)?;
    let mut state = state.clone();
    for ((fact, to), place) in draft.facts.iter().zip(0..) {
        let next = context.next.saturating_add(place);
        apply(plan, &mut state, fact, *to, &Context { next, ..*context });
    }
    Ok(Transition { state, facts: draft.facts, alerts: draft.alerts })
}

/// The facts and alerts of a transition, without the state after.
pub(super) fn draft(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    event: &Event,
    context: &Context<'_>,
) -> Result<Draft, Refusal> {
    let case = Case::new(plan, state, context);
    let refuse = |unmet| Refusal { flag: plan.key().into(), event: event.name(), unmet };
    decide(&case, event, context).map_err(refuse)
}

/// What an event takes back wherever the flag turns out to be above `stage`, and the stage that the flag may not pass
/// then. `None` for an event that takes nothing back.
pub(super) fn intent(
    plan: &FlagPlan<'_>,
    stage: StageName,
    event: &Event,
    context: &Context<'_>,
) -> Option<(Draft, StageName)> {
    let to = match event {
        Event::RollBack { to, .. } => to.unwrap_or(stage),
        Event::Breach { .. } | Event::Report { .. } => stage,
        _ => return None,
    };
    let highest = FlagState::new(plan.stages().last()?.name(), context.now.stamp());
    let mut draft = draft(plan, &highest, event, context).ok()?;
    draft.taken_back_to()?;
    for (fact, place) in &mut draft.facts {
        *place = if matches!(fact, Fact::RolledBack { .. }) { to } else { stage };
    }
    Some((draft, to))
}

/// Says that a flag is taken back.
pub(super) fn taken_back(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    now: Now<'_>,
    cause: &Cause,
    to: StageName,
) -> Alert {
    rollback::alert(&Case { plan, state, now }, cause, to)
}

fn decide(case: &Case<'_, '_>, event: &Event, context: &Context<'_>) -> case::Decision {
    let serving = context.serving;
    match event {
        Event::Promote => promote::promote(case),
        Event::PromoteTo { to } => promote::promote_to(case, *to),
        Event::Force { to, reason } => promote::force(case, *to, reason),
        Event::Hold { why } => people::hold(case, why),
        Event::Resume { why } => people::resume(case, why.as_deref()),
        Event::RollBack { to, reason } => rollback::decided(case, *to, reason),
        Event::Breach { trigger, evidence } => rollback::breached(case, *trigger, evidence),
        Event::Sign { item, evidence } => people::sign(case, item, evidence.as_deref()),
        Event::Unsign { item, why } => people::unsign(case, item, why.as_deref()),
        Event::Report { kind, note } => incident::report(case, kind, note.as_deref()),
        Event::Step { note, overriding } => {
            incident::step(case, note.as_deref(), overriding.as_deref(), serving)
        }
        Event::Close { note } => incident::close(case, note),
        Event::Measure { metric, reading, control, samples } => {
            let value = match reading {
                Reading::Value(value) => Some(*value),
                Reading::NoData => None,
            };
            let (control, samples) = (*control, *samples);
            let read = Read { metric, value, control, samples, judged: false };
            evidence::measure(case, &read, context.by)
        }
        Event::Judged { stage, .. } if *stage != case.state.stage => Ok(Draft::default()),
        Event::Judged { metric, value, control, samples, .. } => {
            let (value, control, samples) = (Some(*value), *control, Some(*samples));
            let read = Read { metric, value, control, samples, judged: true };
            evidence::measure(case, &read, context.by)
        }
        Event::Tick => Ok(tick::tick(case, serving)),
        Event::Tell => Ok(telling::due(case)),
    }
}

/// What stands between a flag and its next promotion; empty when nothing does.
#[must_use]
pub fn unmet(plan: &FlagPlan<'_>, state: &FlagState, now: Now<'_>) -> Vec<Unmet> {
    let conditions = conditions::of_promotion(&Case { plan, state, now });
    conditions.into_iter().filter_map(Result::err).collect()
}

/// What is overdue for a flag, listed and not done: its stage, checks of the watch, a phase of the
/// incident.
#[must_use]
pub fn overdue(plan: &FlagPlan<'_>, state: &FlagState, now: Now<'_>) -> Vec<String> {
    tick::overdue(&Case { plan, state, now })
}

/// The stage that a flag's next promotion leads to; `None` in the last.
pub(super) fn next(plan: &FlagPlan<'_>, state: &FlagState) -> Option<StageName> {
    let now = state.since.into();
    match (Case { plan, state, now }).next() {
        Next::Stage(next) => Some(next),
        Next::Complete => None,
    }
}

/// Whether a stage of a flag's plan, or off, is below another.
pub(super) fn is_below(plan: &FlagPlan<'_>, stage: StageName, other: StageName) -> bool {
    let position = |name| case::position_of(plan, name).unwrap_or(0);
    position(stage) < position(other)
}

/// Where a roll-back takes a flag that is in its present stage.
pub(super) fn roll_back_to(plan: &FlagPlan<'_>, state: &FlagState) -> StageName {
    rollback::target(plan, state.stage)
}
