//! Manual actions without a change of stage: hold, resume, sign, unsign.

use super::approvals;
use super::flag_view::{Decision, FlagView, stage_of};
use super::refusal::Unmet;
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{Criterion, FlagPlan};
use crate::plan::one_of;
use crate::rollout::Fact;

pub(super) fn hold(flag: &FlagView<'_, '_>, why: &str) -> Result<Decision, Vec<Unmet>> {
    let state = flag.state;
    let mut unmet = Vec::new();
    if why.trim().is_empty() {
        let hint = "say why: the journal keeps the reason with the hold";
        unmet.push(Unmet::new("reason", "the reason is blank", hint));
    }
    if let Some(hold) = &state.hold {
        let found = format!("held already, by {}: {}", hold.by, hold.why);
        unmet.push(Unmet::new("held", found, "resume it first to hold it for another reason"));
    }
    if let Some(incident) = state.incident.as_ref().filter(|it| it.cause.is_some()) {
        let found = format!("incident {} is open: {}", incident.number, incident.about);
        let hint = "no hold is needed: nothing is promoted until you close the incident";
        unmet.push(Unmet::new("incident", found, hint));
    }
    if state.complete {
        let hint = "no hold is needed: no promotion is left";
        unmet.push(Unmet::new("complete", "the rollout is complete", hint));
    }
    if unmet.is_empty() { Ok(flag.stays(Fact::Held { why: why.into() })) } else { Err(unmet) }
}

pub(super) fn resume(flag: &FlagView<'_, '_>, why: Option<&str>) -> Result<Decision, Vec<Unmet>> {
    if flag.state.hold.is_none() {
        let hint = "only a held flag can be resumed";
        return Err(vec![Unmet::new("not_held", "the flag is not held", hint)]);
    }
    Ok(flag.stays(Fact::Resumed { why: why.map(Into::into) }))
}

pub(super) fn sign(
    flag: &FlagView<'_, '_>,
    item: &str,
    evidence: Option<&str>,
) -> Result<Decision, Vec<Unmet>> {
    let items = items(flag.plan, flag.state.stage);
    if !items.iter().any(|known| known == item) {
        return Err(vec![unknown(flag, item, &items)]);
    }
    approvals::check_signer(flag, item).map_err(|unmet| vec![unmet])?;
    let evidence = evidence.map(Into::into);
    Ok(flag.stays(Fact::Signed { item: item.into(), evidence }))
}

pub(super) fn unsign(
    flag: &FlagView<'_, '_>,
    item: &str,
    why: Option<&str>,
) -> Result<Decision, Vec<Unmet>> {
    if !flag.state.signatures.contains_key(item) {
        let found = format!("`{}` is not signed", item.escape_debug());
        let signed: Vec<&str> = flag.state.signatures.keys().map(|id| &**id).collect();
        let hint = match signed.is_empty() {
            true => "nothing is signed in this stage".to_owned(),
            false => one_of(item, signed.into_iter()),
        };
        return Err(vec![Unmet::new("item", found, hint)]);
    }
    Ok(flag.stays(Fact::Unsigned { item: item.into(), why: why.map(Into::into) }))
}

/// Returns the ids of the items that can be signed in a stage.
pub(super) fn items(plan: &FlagPlan<'_>, stage: StageName) -> Vec<String> {
    let details = stage_of(plan, stage).map(|stage| stage.details());
    let conditions = details.iter().flat_map(|details| details.conditions());
    let manual = conditions.filter_map(|condition| match condition {
        Criterion::Manual { id, .. } => Some(id.to_string()),
        Criterion::Metric { .. } => None,
    });
    let watch = details.and_then(|details| details.watch.as_ref()).map(|_| watch::ITEM.to_owned());
    manual.chain(watch).chain(approvals::items(plan, stage)).collect()
}

fn unknown(flag: &FlagView<'_, '_>, item: &str, items: &[String]) -> Unmet {
    let (item_text, stage) = (item.escape_debug(), flag.state.stage);
    let found = format!("stage `{stage}` has no item `{item_text}` to sign");
    let hint = match items.is_empty() {
        true => "this stage has no items to sign".to_owned(),
        false => one_of(item, items.iter().map(String::as_str)),
    };
    Unmet::new("item", found, hint)
}
