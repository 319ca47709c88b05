//! What has to hold before a flag goes on.

use std::time::Duration;

use super::case::{Case, Next};
use super::evidence;
use super::refusal::Unmet;
use super::state::Evidence;
use super::text::Spent;
use crate::plan::model::{
    Bound, Criterion, Date, Metric, Quantity, StageDetails, StageMetric, TriggerCause, Watch,
    WrittenDuration,
};

/// A condition as it stands: the ground it gives, or why it is not met.
pub(super) type Condition = Result<String, Unmet>;

/// Every condition of the next promotion.
pub(super) fn of_promotion(case: &Case<'_, '_>) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = standing(case).into_iter().map(Err).collect();
    if case.state.complete {
        return conditions;
    }
    if let Some(details) = case.details() {
        conditions.extend(of_stage(case, details));
    }
    if case.next() != Next::Complete {
        conditions.extend(hours(case));
    }
    conditions
}

/// What a flag's standing has against going up, whatever the plan says: also forced.
pub(super) fn standing(case: &Case<'_, '_>) -> Vec<Unmet> {
    let state = case.state;
    let mut unmet = Vec::new();
    if state.complete {
        let found = format!("the rollout is complete, in stage `{}`", state.stage);
        unmet.push(Unmet::new("complete", found, "there is nothing left to promote"));
    }
    if let Some(hold) = &state.hold {
        let found = format!("held by {} for {}: {}", hold.by, spent(case, &hold.since), hold.why);
        unmet.push(Unmet::new("held", found, "resume it first"));
    }
    if let Some(incident) = &state.incident {
        let found = format!(
            "incident {} is open, at `{}`: {}",
            incident.number, incident.phase, incident.about
        );
        unmet.push(Unmet::new("incident", found, "go through its steps and close it first"));
    }
    unmet
}

fn spent(case: &Case<'_, '_>, since: &crate::rollout::Stamp) -> Spent {
    Spent(case.now.spent_since(since))
}

/// What the stage asks of a flag that leaves it.
fn of_stage(case: &Case<'_, '_>, details: &StageDetails) -> Vec<Condition> {
    let mut conditions = Vec::new();
    conditions.extend(details.min_duration.map(|min| min_duration(case, min)));
    if case.is_last() {
        conditions.extend(details.watch.as_ref().map(|lasts| watch(case, lasts)));
    }
    // A criterion may repeat a target of the stage's metrics. It is one condition.
    let mut asked = Vec::new();
    let mut data = |kind, which, target: Bound, sustained| {
        let asks = (which, target, sustained);
        let is_new = !asked.contains(&asks);
        asked.push(asks);
        is_new.then(|| metric(case, kind, which, target, sustained))
    };
    for StageMetric { metric, target, sustained, .. } in &details.metrics {
        conditions.extend(data("metric", metric, *target, *sustained));
    }
    let criteria = details.criteria.iter().map(|criterion| ("criterion", criterion));
    let checklist = details.checklist.iter().map(|item| ("checklist", item));
    for (kind, condition) in criteria.chain(checklist) {
        conditions.extend(match condition {
            Criterion::Metric { metric, target, sustained, .. } => {
                data(kind, metric, *target, *sustained)
            }
            Criterion::Manual { id, text, owner, expires } => {
                Some(signed(case, kind, id, text, owner.as_deref(), *expires))
            }
        });
    }
    conditions.extend(watched(case, details).into_iter().map(|metric| known(case, metric)));
    conditions
}

/// The metrics that triggers watch and the stage itself asks nothing of, each once.
fn watched<'p>(case: &Case<'_, 'p>, details: &StageDetails) -> Vec<&'p Metric> {
    let asked: Vec<&str> = details.tracked_metrics().map(|metric| &*metric.name).collect();
    let mut watched: Vec<&Metric> = Vec::new();
    for (_, trigger) in case.triggers() {
        let TriggerCause::Metric { metric, .. } = &trigger.cause else { continue };
        let is_told =
            asked.contains(&&*metric.name) || watched.iter().any(|known| known.name == metric.name);
        if !is_told {
            watched.push(metric);
        }
    }
    watched
}

/// A metric that nobody reads fires no trigger, and that is no sign of health.
fn known(case: &Case<'_, '_>, metric: &Metric) -> Condition {
    let name = &metric.name;
    let (evidence, _) = reading(case, "trigger", metric, "a trigger watches it")?;
    let least = evidence::least(case.plan, name);
    if !evidence::is_enough(evidence.samples, least) {
        let samples = evidence.samples.unwrap_or_default();
        let noun = if samples == 1 { "sample" } else { "samples" };
        let found = format!("the last reading of `{name}` is of {samples} {noun}");
        let least = least.unwrap_or_default();
        let hint = format!("report it from more: a trigger that watches it asks for {least}");
        return Err(Unmet::new("trigger", found, hint));
    }
    Ok(format!("{name} is known: {}", evidence::evidence_text(evidence)))
}

fn min_duration(case: &Case<'_, '_>, min: WrittenDuration) -> Condition {
    let spent = case.spent();
    match min.checked_sub(spent) {
        None | Some(Duration::ZERO) => {
            Ok(format!("at least {min}: {} in `{}`", Spent(spent), case.state.stage))
        }
        Some(rest) => {
            let found =
                format!("{} of at least {min} spent in stage `{}`", Spent(spent), case.state.stage);
            let hint = format!("wait {}", AtLeast(rest));
            Err(Unmet::new("min_duration", found, hint).wait(rest))
        }
    }
}

fn watch(case: &Case<'_, '_>, watch: &Watch) -> Condition {
    let spent = case.spent();
    match watch.lasts.checked_sub(spent) {
        None | Some(Duration::ZERO) => Ok(format!("watched for {}", watch.lasts)),
        Some(rest) => {
            let found = format!("{} of the {} watch are over", Spent(spent), watch.lasts);
            Err(Unmet::new("watch", found, format!("wait {}", AtLeast(rest))).wait(rest))
        }
    }
}

/// A rest of time: never nothing, as something is missing.
struct AtLeast(Duration);

impl std::fmt::Display for AtLeast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Spent(self.0.max(Duration::from_secs(1))).fmt(f)
    }
}

fn metric(
    case: &Case<'_, '_>,
    kind: &'static str,
    metric: &Metric,
    target: Bound,
    sustained: Option<WrittenDuration>,
) -> Condition {
    let name = &metric.name;
    let refuse = |found: String, hint: String| Err(Unmet::new(kind, found, hint));
    let (evidence, value) = reading(case, kind, metric, &format!("it has to be {target}"))?;
    if !target.holds(value) {
        let found = format!("`{name}` is {value}");
        return refuse(found, format!("it has to be {target}"));
    }
    let Some(sustained) = sustained else {
        return Ok(format!("{name} {target}: {value}"));
    };
    let since = evidence.holding.get(&*target.to_string()).copied();
    let held = since.map_or(Duration::ZERO, |since| case.now.spent_since(&since));
    match sustained.checked_sub(held) {
        None | Some(Duration::ZERO) => {
            Ok(format!("{name} {target} for {sustained}: {}", Spent(held)))
        }
        Some(rest) => {
            let found = format!("`{name}` has been {target} for {} of {sustained}", Spent(held));
            let hint = format!("wait {}, and go on reporting it", AtLeast(rest));
            Err(Unmet::new(kind, found, hint).wait(rest))
        }
    }
}

/// The last reading of a metric, if it is of this stage, counts still and has a value; `asks` is what
/// of it is asked for.
fn reading<'c>(
    case: &Case<'c, '_>,
    kind: &'static str,
    metric: &Metric,
    asks: &str,
) -> Result<(&'c Evidence, Quantity), Unmet> {
    let name = &metric.name;
    let refuse = |found: String, hint: String| Err(Unmet::new(kind, found, hint));
    let Some(evidence) = case.state.evidence.get(name) else {
        let found = format!("`{name}` has not been read in stage `{}`", case.state.stage);
        return refuse(found, format!("report it: {asks}"));
    };
    let fresh = case.now.age_of(&evidence.read).filter(|age| *age <= *metric.stale_after);
    if fresh.is_none() {
        let age = case.now.age_of(&evidence.read).map_or_else(
            || "from before the clock was set back".to_owned(),
            |age| format!("{} old", Spent(age)),
        );
        let found =
            format!("the last reading of `{name}` is {age}, and counts for {}", metric.stale_after);
        return refuse(found, format!("report it again: {asks}"));
    }
    let Some(value) = evidence.value else {
        let found = format!("`{name}` has no data");
        return refuse(found, format!("no data is not health: {asks}"));
    };
    Ok((evidence, value))
}

fn signed(
    case: &Case<'_, '_>,
    kind: &'static str,
    id: &str,
    text: &str,
    owner: Option<&str>,
    expires: Option<WrittenDuration>,
) -> Condition {
    let owner = owner.map(|owner| format!(", by {owner}")).unwrap_or_default();
    let Some(signature) = case.state.signatures.get(id) else {
        let found = format!("`{id}` is not signed: {text}");
        return Err(Unmet::new(kind, found, format!("have it signed{owner}")));
    };
    let age = case.now.age_of(&signature.since);
    let expired = expires.filter(|expires| age.is_none_or(|age| age > **expires));
    if let Some(expires) = expired {
        let found = format!(
            "the signature of `{id}` by {} has expired after {expires}: {text}",
            signature.by,
        );
        return Err(Unmet::new(kind, found, format!("have it signed again{owner}")));
    }
    Ok(format!("{id} signed by {}", signature.by))
}

fn hours(case: &Case<'_, '_>) -> Option<Condition> {
    let calendar = case.plan.calendar()?;
    if calendar.allows(case.now.at()) {
        return Some(Ok(format!("within {}, {}", calendar.hours, calendar.time_zone)));
    }
    let day = Date::of(case.now.at(), &calendar.time_zone);
    let unmet = match calendar.freeze_on(day) {
        Some(freeze) => Unmet::new(
            "hours",
            format!("nothing is promoted from {} to {}: {}", freeze.from, freeze.to, freeze.reason),
            format!("wait until {} is over", freeze.to),
        ),
        None => Unmet::new(
            "hours",
            format!(
                "it is outside the hours of promotions, {}, {}",
                calendar.hours, calendar.time_zone
            ),
            "wait for them",
        ),
    };
    Some(Err(unmet))
}

/// A value in a sentence: `no data` where there is none.
pub(super) fn value_text(value: Option<Quantity>) -> String {
    value.map_or_else(|| "no data".to_owned(), |value| value.to_string())
}
