//! What people do beside promoting: hold, resume, sign.

use super::case::{Case, Decision};
use super::refusal::Unmet;
use super::watch;
use crate::plan::model::{Criterion, StageDetails};
use crate::plan::one_of;
use crate::rollout::Fact;

pub(super) fn hold(case: &Case<'_, '_>, why: &str) -> Decision {
    let state = case.state;
    let mut unmet = Vec::new();
    if why.trim().is_empty() {
        let hint = "say why; it is kept with the hold";
        unmet.push(Unmet::new("reason", "there is no reason", hint));
    }
    if let Some(hold) = &state.hold {
        let found = format!("held already, by {}: {}", hold.by, hold.why);
        unmet.push(Unmet::new("held", found, "resume it first to hold it for another reason"));
    }
    if let Some(incident) = state.incident.as_ref().filter(|it| it.cause.is_some()) {
        let found = format!("incident {} is open: {}", incident.number, incident.about);
        unmet.push(Unmet::new("incident", found, "the flag is not promoted before it is closed"));
    }
    if state.complete {
        unmet.push(Unmet::new("complete", "the rollout is complete", "there is nothing to hold"));
    }
    if unmet.is_empty() { Ok(case.stays(Fact::Held { why: why.into() })) } else { Err(unmet) }
}

pub(super) fn resume(case: &Case<'_, '_>, why: Option<&str>) -> Decision {
    if case.state.hold.is_none() {
        return Err(vec![Unmet::new("not_held", "nobody holds it", "there is nothing to resume")]);
    }
    Ok(case.stays(Fact::Resumed { why: why.map(Into::into) }))
}

pub(super) fn sign(case: &Case<'_, '_>, item: &str, evidence: Option<&str>) -> Decision {
    let items = case.details().map(items).unwrap_or_default();
    if !items.contains(&item) {
        return Err(vec![unknown(case, item, &items)]);
    }
    let evidence = evidence.map(Into::into);
    Ok(case.stays(Fact::Signed { item: item.into(), evidence }))
}

pub(super) fn unsign(case: &Case<'_, '_>, item: &str, why: Option<&str>) -> Decision {
    if !case.state.signatures.contains_key(item) {
        let found = format!("`{}` is not signed", item.escape_debug());
        let signed: Vec<&str> = case.state.signatures.keys().map(|id| &**id).collect();
        let hint = match signed.is_empty() {
            true => "nothing is signed in this stage".to_owned(),
            false => one_of(item, signed.into_iter()),
        };
        return Err(vec![Unmet::new("item", found, hint)]);
    }
    Ok(case.stays(Fact::Unsigned { item: item.into(), why: why.map(Into::into) }))
}

/// What can be signed in a stage.
pub(super) fn items(details: &StageDetails) -> Vec<&str> {
    let manual = details.conditions().filter_map(|condition| match condition {
        Criterion::Manual { id, .. } => Some(&**id),
        Criterion::Metric { .. } => None,
    });
    let watch = details.watch.as_ref().map(|_| watch::ITEM);
    manual.chain(watch).collect()
}

fn unknown(case: &Case<'_, '_>, item: &str, items: &[&str]) -> Unmet {
    let found =
        format!("`{}` is nothing to sign in stage `{}`", item.escape_debug(), case.state.stage);
    let hint = match items.is_empty() {
        true => "this stage asks nobody to sign".to_owned(),
        false => one_of(item, items.iter().copied()),
    };
    Unmet::new("item", found, hint)
}
