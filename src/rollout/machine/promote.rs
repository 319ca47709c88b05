//! Promotions, regular and forced.

use super::approvals;
use super::conditions;
use super::flag_view::{Decision, FlagView, Next, position_of};
use super::refusal::Unmet;
use crate::eval::StageName;
use crate::plan::one_of;
use crate::rollout::Fact;

/// Promotes the flag one stage, if every condition holds.
pub(super) fn promote(flag: &FlagView<'_, '_>) -> Result<Decision, Vec<Unmet>> {
    let (mut grounds, mut unmet) = (Vec::new(), Vec::new());
    for condition in conditions::of_promotion(flag) {
        match condition {
            Ok(ground) => grounds.push(ground.into()),
            Err(condition) => unmet.push(condition),
        }
    }
    if unmet.is_empty() { Ok(one_step(flag, None, grounds)) } else { Err(unmet) }
}

/// Promotes the flag to its next stage, if that is the named one. Changes nothing if the flag is there already.
pub(super) fn promote_to(flag: &FlagView<'_, '_>, to: StageName) -> Result<Decision, Vec<Unmet>> {
    if flag.state.stage == to {
        return Ok(Decision::default());
    }
    if flag.next() == Next::Stage(to) {
        return promote(flag);
    }
    let found = format!("`{to}` is not the next stage: the flag is at `{}`", flag.state.stage);
    let hint = match flag.next() {
        Next::Stage(next) => format!("the next stage is `{next}`"),
        Next::Complete => "this is the last stage".to_owned(),
    };
    Err(vec![Unmet::new("moved", found, hint)])
}

/// Promotes the flag although conditions of the plan are unmet. A hold or an open incident still blocks the promotion,
/// and so does a missing approval of `force`.
pub(super) fn force(
    flag: &FlagView<'_, '_>,
    to: Option<StageName>,
    reason: &str,
) -> Result<Decision, Vec<Unmet>> {
    let mut unmet = conditions::blockers(flag);
    let approvals = approvals::check(flag, &approvals::of_force(flag.plan));
    unmet.extend(approvals.into_iter().filter_map(Result::err));
    if reason.trim().is_empty() {
        let hint = "say why: the journal keeps the reason with the promotion";
        unmet.push(Unmet::new("reason", "the reason is blank", hint));
    }
    let from = position_of(flag.plan, flag.state.stage).unwrap_or(0);
    let above = to.map(|to| (to, position_of(flag.plan, to).filter(|place| *place > from)));
    if let Some((to, None)) = above {
        let names: Vec<_> = flag.plan.stages().skip(from).map(|stage| stage.name()).collect();
        let found = format!("`{to}` is not a stage above `{}`", flag.state.stage);
        let hint = match names.is_empty() {
            true => "this is the last stage".to_owned(),
            false => one_of(&to, names.iter().map(StageName::as_str)),
        };
        unmet.push(Unmet::new("stage", found, hint));
    }
    if !unmet.is_empty() {
        return Err(unmet);
    }
    let mut grounds: Vec<Box<str>> = Vec::new();
    let failed = conditions::of_promotion(flag).into_iter().filter_map(Result::err);
    grounds.extend(failed.map(|unmet| Box::from(unmet.found)));
    if let Some((to, Some(place))) = above {
        let skipped = flag.plan.stages().skip(from).take(place.saturating_sub(from + 1));
        let names: Vec<_> = skipped.map(|stage| stage.name().to_string()).collect();
        if !names.is_empty() {
            grounds.push(format!("skips {}", names.join(", ")).into());
        }
        let fact = Fact::Promoted { forced: Some(reason.into()), grounds };
        return Ok(Decision { facts: vec![(fact, to)], ..Decision::default() });
    }
    Ok(one_step(flag, Some(reason), grounds))
}

/// Returns the decision that promotes the flag one stage, or completes the rollout.
pub(super) fn one_step(
    flag: &FlagView<'_, '_>,
    reason: Option<&str>,
    grounds: Vec<Box<str>>,
) -> Decision {
    let forced = reason.map(Into::into);
    let step = match flag.next() {
        Next::Stage(to) => (Fact::Promoted { forced, grounds }, to),
        Next::Complete => (Fact::Completed { forced, grounds }, flag.state.stage),
    };
    Decision { facts: vec![step], ..Decision::default() }
}
