//! The way back.

use super::alert::{Alert, AlertKind};
use super::case::{Case, Decision, Draft, position_of};
use super::incident;
use super::refusal::Unmet;
use crate::eval::StageName;
use crate::plan::model::{Action, FlagPlan, RollBackTarget};
use crate::plan::one_of;
use crate::rollout::{Cause, Fact};

/// Where a roll-back takes a flag that is in that stage.
pub(super) fn target(plan: &FlagPlan<'_>, stage: StageName) -> StageName {
    match plan.rollback().target {
        RollBackTarget::Off => StageName::OFF,
        RollBackTarget::PreviousStage => {
            let below = position_of(plan, stage).unwrap_or(0).checked_sub(2);
            let previous = below.and_then(|index| plan.stages().nth(index));
            previous.map_or(StageName::OFF, |stage| stage.name())
        }
    }
}

/// To where the plan says.
pub(super) fn to_target(case: &Case<'_, '_>, cause: Cause) -> Draft {
    to(case, cause, target(case.plan, case.state.stage))
}

/// To a stage below. A flag that is off has nothing to take back.
pub(super) fn to(case: &Case<'_, '_>, cause: Cause, stage: StageName) -> Draft {
    if case.is_off() {
        return Draft::default();
    }
    let alert = alert(case, &cause, stage);
    let fact = Fact::RolledBack { cause, effective_ms: None };
    Draft { facts: vec![(fact, stage)], alerts: vec![alert], ..Draft::default() }
}

/// That a flag is taken back to a stage.
pub(super) fn alert(case: &Case<'_, '_>, cause: &Cause, to: StageName) -> Alert {
    let text = format!("taken back from `{}` to `{to}`: {cause}", case.state.stage);
    case.alert(AlertKind::RolledBack, text)
}

/// Somebody decides so.
pub(super) fn decided(case: &Case<'_, '_>, to_stage: Option<StageName>, reason: &str) -> Decision {
    let cause = Cause::Decision { reason: reason.into() };
    let Some(stage) = to_stage else { return Ok(to_target(case, cause)) };
    let place = |stage| position_of(case.plan, stage);
    match (place(stage), place(case.state.stage)) {
        (Some(above), Some(from)) if above < from => Ok(to(case, cause, stage)),
        // A stage that the plan no longer has is no reason to stay.
        (Some(_), None) => Ok(to(case, cause, stage)),
        _ => {
            let below = place(case.state.stage).unwrap_or(0).saturating_sub(1);
            let stages = case.plan.stages().take(below).map(|stage| stage.name());
            let names: Vec<_> = std::iter::once(StageName::OFF).chain(stages).collect();
            let found = format!("`{stage}` is no stage below `{}`", case.state.stage);
            let hint = one_of(&stage, names.iter().map(StageName::as_str));
            Err(vec![Unmet::new("stage", found, hint)])
        }
    }
}

/// Something that watches found a trigger beyond its limit.
pub(super) fn breached(case: &Case<'_, '_>, trigger: usize, found: &str) -> Decision {
    let Some((_, trigger)) = case.triggers().nth(trigger) else {
        let count = case.plan.triggers().len();
        let hint = format!("the plan has {count} triggers, counted from 0");
        return Err(vec![Unmet::new("trigger", format!("there is no trigger {trigger}"), hint)]);
    };
    if case.is_off() {
        return Ok(Draft::default());
    }
    let text = trigger.cause.to_string();
    Ok(match trigger.action {
        Action::RollBack => {
            to_target(case, Cause::Trigger { trigger: text.into(), evidence: found.into() })
        }
        Action::Decide => incident::ask(case, &text, found),
    })
}
