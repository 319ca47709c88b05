//! Rollbacks.

use super::alert::{Alert, AlertKind};
use super::flag_view::{Decision, FlagView, position_of};
use super::incident;
use super::refusal::Unmet;
use crate::eval::StageName;
use crate::percent::Percent;
use crate::plan::model::{Action, FlagPlan, RollbackTarget, Stage};
use crate::plan::one_of;
use crate::rollout::{Cause, Fact};

/// Returns the stage that a flag in a stage is rolled back to, by the plan.
pub(super) fn target(plan: &FlagPlan<'_>, stage: StageName) -> StageName {
    match plan.rollback().target {
        RollbackTarget::Off => StageName::OFF,
        RollbackTarget::PreviousStage => {
            let stages: Vec<_> =
                plan.stages().take(position_of(plan, stage).unwrap_or(0)).collect();
            let last_to_leave =
                (0..stages.len()).rev().find(|index| adds_users(plan, &stages, *index));
            let previous = last_to_leave.and_then(|index| stages.get(index.checked_sub(1)?));
            previous.map_or(StageName::OFF, Stage::name)
        }
    }
}

/// Returns whether the stage at an index adds users to the stages before it. A pause does not: a rollback to the stage
/// before a pause would take the flag from no user.
fn adds_users(plan: &FlagPlan<'_>, stages: &[Stage<'_>], index: usize) -> bool {
    let (before, stage) = (stages.get(..index).unwrap_or_default(), stages.get(index));
    let (Some(last), Some(stage)) = (before.last(), stage) else { return true };
    let has_new_group = stage
        .groups()
        .any(|group| before.iter().all(|earlier| earlier.groups().all(|known| known != group)));
    let has_share = |earlier: &Stage<'_>| {
        earlier.percent() >= stage.percent() && earlier.within().eq(stage.within())
    };
    let adds_share = stage.percent() > Percent::NONE && !before.iter().any(has_share);
    adds_share
        || (has_new_group && (last.percent() < Percent::ALL || last.within().next().is_some()))
        || plan.hold_back().any(|hold| hold.until == Some(stage.name()))
}

/// Rolls the flag back to the plan's target.
pub(super) fn to_target(flag: &FlagView<'_, '_>, cause: Cause) -> Decision {
    to(flag, cause, target(flag.plan, flag.state.stage))
}

/// Rolls the flag back to a stage. Changes nothing if the flag is off.
pub(super) fn to(flag: &FlagView<'_, '_>, cause: Cause, stage: StageName) -> Decision {
    if flag.is_off() {
        return Decision::default();
    }
    let alert = alert(flag, &cause, stage);
    let fact = Fact::RolledBack { cause, effective_ms: None };
    Decision { facts: vec![(fact, stage)], alerts: vec![alert], ..Decision::default() }
}

/// Returns the alert about a rollback.
pub(super) fn alert(flag: &FlagView<'_, '_>, cause: &Cause, to: StageName) -> Alert {
    let text = format!("rolled back from `{}` to `{to}`: {cause}", flag.state.stage);
    flag.alert(AlertKind::RolledBack, text)
}

/// Decides about a rollback that a person or program requests.
pub(super) fn on_request(
    flag: &FlagView<'_, '_>,
    to_stage: Option<StageName>,
    reason: &str,
) -> Result<Decision, Vec<Unmet>> {
    let cause = Cause::Decision { reason: reason.into() };
    let Some(stage) = to_stage else { return Ok(to_target(flag, cause)) };
    let place = |stage| position_of(flag.plan, stage);
    match (place(stage), place(flag.state.stage)) {
        (Some(above), Some(from)) if above < from => Ok(to(flag, cause, stage)),
        // The plan no longer has the flag's stage. Still roll back.
        (Some(_), None) => Ok(to(flag, cause, stage)),
        _ => {
            let below = place(flag.state.stage).unwrap_or(0).saturating_sub(1);
            let stages = flag.plan.stages().take(below).map(|stage| stage.name());
            let names: Vec<_> = std::iter::once(StageName::OFF).chain(stages).collect();
            let found = format!("`{stage}` is not a stage below `{}`", flag.state.stage);
            let hint = one_of(&stage, names.iter().map(StageName::as_str));
            Err(vec![Unmet::new("stage", found, hint)])
        }
    }
}

/// Decides about a trigger that a guard reports as breached.
pub(super) fn on_breach(
    flag: &FlagView<'_, '_>,
    trigger: usize,
    found: &str,
) -> Result<Decision, Vec<Unmet>> {
    let Some((_, trigger)) = flag.triggers().nth(trigger) else {
        let count = flag.plan.triggers().len();
        let hint = format!("the plan has {count} triggers, counted from 0");
        return Err(vec![Unmet::new("trigger", format!("there is no trigger {trigger}"), hint)]);
    };
    if flag.is_off() {
        return Ok(Decision::default());
    }
    let text = trigger.cause.to_string();
    Ok(match trigger.action {
        Action::RollBack => {
            to_target(flag, Cause::Trigger { trigger: text.into(), evidence: found.into() })
        }
        Action::Decide => incident::ask(flag, &text, found),
    })
}
