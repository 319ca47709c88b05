//! Holding all flags at once, for a time or until they are resumed.

use std::time::SystemTime;

use super::human_duration::HumanDuration;
use super::refusal::{Refusal, Unmet};
use super::state::Freeze;
use crate::rollout::journal::{ToSecond, millis_of_moment};
use crate::rollout::{Fact, Now};

/// Decides about a request to hold all flags. `last` is the last freeze, which may be over.
///
/// A freeze can be made longer. It cannot be made shorter or replaced, because a second person must not end the first
/// one's freeze by accident.
pub(in crate::rollout) fn hold_all(
    last: Option<&Freeze>,
    why: &str,
    until: Option<SystemTime>,
    now: Now<'_>,
) -> Result<Fact, Refusal> {
    let mut unmet = Vec::new();
    if why.trim().is_empty() {
        let hint = "say why: the journal keeps the reason with the hold";
        unmet.push(Unmet::new("reason", "the reason is blank", hint));
    }
    if let Some(until) = until.filter(|until| *until <= now.at()) {
        let found = format!("the end {} is in the past", ToSecond(until));
        unmet.push(Unmet::new("until", found, "name a later end, or none"));
    }
    let is_longer =
        |freeze: &Freeze| freeze.until.is_some_and(|end| until.is_none_or(|until| until > end));
    let in_force = last.filter(|freeze| freeze.is_in_force(now.at()));
    if let Some(freeze) = in_force.filter(|freeze| !is_longer(freeze)) {
        let hint = match freeze.until {
            Some(_) => "name a later end to extend the freeze, or resume all flags first",
            None => "resume all flags first",
        };
        unmet.push(Unmet::new("frozen", found(freeze, now), hint));
    }
    match unmet.is_empty() {
        true => Ok(Fact::HeldAll { why: why.into(), until_ms: until.map(millis_of_moment) }),
        false => Err(refusal("hold", unmet)),
    }
}

/// Decides about a request to resume all flags.
pub(in crate::rollout) fn resume_all(
    last: Option<&Freeze>,
    why: Option<&str>,
    now: Now<'_>,
) -> Result<Fact, Refusal> {
    if last.is_some_and(|freeze| freeze.is_in_force(now.at())) {
        return Ok(Fact::ResumedAll { why: why.map(Into::into) });
    }
    let hint = "resume a flag with a hold of its own by its key";
    Err(refusal("resume", vec![Unmet::new("not_held", "there is no hold of all flags", hint)]))
}

fn refusal(event: &'static str, unmet: Vec<Unmet>) -> Refusal {
    Refusal { flag: "".into(), event, unmet }
}

/// Returns the condition that a promotion does not meet during a freeze. `last` is the last freeze, which may be over.
pub(in crate::rollout) fn frozen(last: Option<&Freeze>, now: Now<'_>) -> Option<Unmet> {
    let freeze = last.filter(|freeze| freeze.is_in_force(now.at()))?;
    let hint = match freeze.until {
        Some(_) => "wait until then, or resume all flags",
        None => "resume all flags first",
    };
    Some(Unmet::new("frozen", found(freeze, now), hint))
}

fn found(freeze: &Freeze, now: Now<'_>) -> String {
    let Freeze { by, why, since, until } = freeze;
    match until {
        Some(until) => format!("all flags are held until {}, by {by}: {why}", ToSecond(*until)),
        None => {
            let held_for = HumanDuration(now.elapsed_since(since));
            format!("all flags are held by {by} for {held_for}: {why}")
        }
    }
}
