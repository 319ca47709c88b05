//! Up: by the conditions, or by force.

use super::case::{Case, Decision, Draft, Next, position_of};
use super::conditions;
use super::refusal::Unmet;
use crate::eval::StageName;
use crate::plan::one_of;
use crate::rollout::Fact;

/// One stage up, if every condition holds.
pub(super) fn promote(case: &Case<'_, '_>) -> Decision {
    let (mut grounds, mut unmet) = (Vec::new(), Vec::new());
    for condition in conditions::of_promotion(case) {
        match condition {
            Ok(ground) => grounds.push(ground.into()),
            Err(condition) => unmet.push(condition),
        }
    }
    if unmet.is_empty() { Ok(up(case, None, grounds)) } else { Err(unmet) }
}

/// One stage up if that is this one; nothing where the flag is there already.
pub(super) fn promote_to(case: &Case<'_, '_>, to: StageName) -> Decision {
    if case.state.stage == to {
        return Ok(Draft::default());
    }
    if case.next() == Next::Stage(to) {
        return promote(case);
    }
    let found = format!("`{to}` is not the next stage: the flag is at `{}`", case.state.stage);
    let hint = match case.next() {
        Next::Stage(next) => format!("the next stage is `{next}`"),
        Next::Complete => "this is the last stage".to_owned(),
    };
    Err(vec![Unmet::new("moved", found, hint)])
}

/// Up, whatever is unmet of what the plan asks; not past what a person has to end first.
pub(super) fn force(case: &Case<'_, '_>, to: Option<StageName>, reason: &str) -> Decision {
    let mut unmet = conditions::standing(case);
    if reason.trim().is_empty() {
        let hint = "say why; it is kept with the promotion";
        unmet.push(Unmet::new("reason", "there is no reason", hint));
    }
    let from = position_of(case.plan, case.state.stage).unwrap_or(0);
    let above = to.map(|to| (to, position_of(case.plan, to).filter(|place| *place > from)));
    if let Some((to, None)) = above {
        let names: Vec<_> = case.plan.stages().skip(from).map(|stage| stage.name()).collect();
        let found = format!("`{to}` is no stage above `{}`", case.state.stage);
        let hint = match names.is_empty() {
            true => "this is the last one".to_owned(),
            false => one_of(&to, names.iter().map(StageName::as_str)),
        };
        unmet.push(Unmet::new("stage", found, hint));
    }
    if !unmet.is_empty() {
        return Err(unmet);
    }
    let mut grounds: Vec<Box<str>> = Vec::new();
    let failed = conditions::of_promotion(case).into_iter().filter_map(Result::err);
    grounds.extend(failed.map(|unmet| Box::from(unmet.found)));
    if let Some((to, Some(place))) = above {
        let skipped = case.plan.stages().skip(from).take(place.saturating_sub(from + 1));
        let names: Vec<_> = skipped.map(|stage| stage.name().to_string()).collect();
        if !names.is_empty() {
            grounds.push(format!("skips {}", names.join(", ")).into());
        }
        let fact = Fact::Promoted { forced: Some(reason.into()), grounds };
        return Ok(Draft { facts: vec![(fact, to)], ..Draft::default() });
    }
    Ok(up(case, Some(reason), grounds))
}

/// One stage up, or from the last one complete.
pub(super) fn up(case: &Case<'_, '_>, reason: Option<&str>, grounds: Vec<Box<str>>) -> Draft {
    let forced = reason.map(Into::into);
    let step = match case.next() {
        Next::Stage(to) => (Fact::Promoted { forced, grounds }, to),
        Next::Complete => (Fact::Completed { forced, grounds }, case.state.stage),
    };
    Draft { facts: vec![step], ..Draft::default() }
}
