//! Conditions of a promotion.

use std::time::Duration;

use super::MissingFlag;
use super::approvals;
use super::evidence;
use super::flag_view::{FlagView, Next};
use super::freeze;
use super::human_duration::HumanDuration;
use super::refusal::Unmet;
use super::state::Evidence;
use crate::plan::model::{
    Bound, Criterion, Date, Metric, Quantity, StageDetails, StageMetric, TriggerCause, Watch,
    WrittenDuration,
};

/// A checked condition: the ground that the record of the promotion keeps, or why the condition is not met.
pub(super) type Condition = Result<String, Unmet>;

/// Checks every condition of the next promotion.
pub(super) fn of_promotion(flag: &FlagView<'_, '_>) -> Vec<Condition> {
    let mut conditions: Vec<Condition> = blockers(flag).into_iter().map(Err).collect();
    if flag.state.complete {
        return conditions;
    }
    if let Some(details) = flag.details() {
        conditions.extend(of_stage(flag, details));
    }
    conditions.extend(approvals::check(flag, &approvals::of_next(flag.plan, flag.state.stage)));
    if flag.is_off() {
        conditions.extend(start(flag));
    }
    if flag.next() != Next::Complete {
        conditions.extend(hours(flag));
    }
    conditions
}

/// Returns what blocks every promotion, even a forced one: completion, a freeze, a hold, an incident, a missing flag, or no
/// second person.
pub(super) fn blockers(flag: &FlagView<'_, '_>) -> Vec<Unmet> {
    let state = flag.state;
    let mut unmet = Vec::new();
    if state.complete {
        let found = format!("the rollout is complete, in stage `{}`", state.stage);
        unmet.push(Unmet::new("complete", found, "no promotion is left"));
    }
    unmet.extend(freeze::frozen(flag.freeze, flag.now));
    if let Some(hold) = &state.hold {
        let held_for = HumanDuration(flag.now.elapsed_since(&hold.since));
        let found = format!("held by {} for {held_for}: {}", hold.by, hold.why);
        unmet.push(Unmet::new("held", found, "resume it first"));
    }
    if let Some(incident) = &state.incident {
        let found = format!(
            "incident {} is open, at `{}`: {}",
            incident.number, incident.phase, incident.about
        );
        unmet.push(Unmet::new("incident", found, "go through its steps and close it first"));
    }
    for MissingFlag { flag: required, requires, stage } in flag.missing {
        let found = format!("`{required}` is at `{stage}`, and `{}` requires it", flag.plan.key());
        unmet.push(Unmet::new(
            "requires",
            found,
            format!("promote `{required}` to `{requires}` first"),
        ));
    }
    if !state.complete {
        unmet.extend(approvals::four_eyes(flag));
    }
    unmet
}

/// Checks the conditions for leaving the stage.
fn of_stage(flag: &FlagView<'_, '_>, details: &StageDetails) -> Vec<Condition> {
    let mut conditions = Vec::new();
    conditions.extend(details.min_duration.map(|min| min_duration(flag, min)));
    if flag.is_last() {
        conditions.extend(details.watch.as_ref().map(|lasts| watch(flag, lasts)));
    }
    // A criterion may repeat a target of the stage's metrics. Check such a target once.
    let mut checked = Vec::new();
    let mut check_once = |kind, metric, target: Bound, sustained| {
        let condition = (metric, target, sustained);
        let is_new = !checked.contains(&condition);
        checked.push(condition);
        is_new.then(|| on_target(flag, kind, metric, target, sustained))
    };
    for StageMetric { metric, target, sustained, .. } in &details.metrics {
        conditions.extend(check_once("metric", metric, *target, *sustained));
    }
    let criteria = details.criteria.iter().map(|criterion| ("criterion", criterion));
    let checklist = details.checklist.iter().map(|item| ("checklist", item));
    for (kind, condition) in criteria.chain(checklist) {
        conditions.extend(match condition {
            Criterion::Metric { metric, target, sustained, .. } => {
                check_once(kind, metric, *target, *sustained)
            }
            Criterion::Manual { id, text, owner, expires } => {
                Some(signed(flag, kind, id, text, owner.as_deref(), *expires))
            }
        });
    }
    let of_triggers = metrics_of_triggers_only(flag, details);
    conditions.extend(of_triggers.into_iter().map(|metric| has_reading(flag, metric)));
    conditions
}

/// Returns each metric that triggers watch and the stage itself does not.
fn metrics_of_triggers_only<'p>(
    flag: &FlagView<'_, 'p>,
    details: &StageDetails,
) -> Vec<&'p Metric> {
    let of_stage: Vec<&str> = details.tracked_metrics().map(|metric| &*metric.name).collect();
    let mut metrics: Vec<&Metric> = Vec::new();
    for (_, trigger) in flag.triggers() {
        let TriggerCause::Metric { metric, .. } = &trigger.cause else { continue };
        let is_listed =
            of_stage.contains(&&*metric.name) || metrics.iter().any(|it| it.name == metric.name);
        if !is_listed {
            metrics.push(metric);
        }
    }
    metrics
}

/// Checks that a metric has a current reading. A trigger on a metric without readings never fires, and that does not
/// show that the flag is healthy.
fn has_reading(flag: &FlagView<'_, '_>, metric: &Metric) -> Condition {
    let name = &metric.name;
    let (evidence, _) = current_reading(flag, "trigger", metric, "a trigger watches it")?;
    let required = evidence::required_samples(flag.plan, name);
    if !evidence::has_enough_samples(evidence.samples, required) {
        let reading = evidence::evidence_text(evidence);
        let found = format!("the last reading of `{name}` is {reading}");
        let required = required.unwrap_or_default();
        let hint = format!("a trigger requires at least {required} samples");
        return Err(Unmet::new("trigger", found, hint));
    }
    Ok(format!("{name} is known: {}", evidence::evidence_text(evidence)))
}

fn min_duration(flag: &FlagView<'_, '_>, min: WrittenDuration) -> Condition {
    let spent = flag.time_in_stage();
    match min.checked_sub(spent) {
        None | Some(Duration::ZERO) => {
            Ok(format!("at least {min}: {} in `{}`", HumanDuration(spent), flag.state.stage))
        }
        Some(rest) => {
            let found = format!(
                "{} of at least {min} spent in stage `{}`",
                HumanDuration(spent),
                flag.state.stage
            );
            let hint = format!("wait {}", Remaining(rest));
            Err(Unmet::new("min_duration", found, hint).wait(rest))
        }
    }
}

fn watch(flag: &FlagView<'_, '_>, watch: &Watch) -> Condition {
    let spent = flag.time_in_stage();
    match watch.lasts.checked_sub(spent) {
        None | Some(Duration::ZERO) => Ok(format!("watched for {}", watch.lasts)),
        Some(rest) => {
            let found = format!("{} of the {} watch are over", HumanDuration(spent), watch.lasts);
            Err(Unmet::new("watch", found, format!("wait {}", Remaining(rest))).wait(rest))
        }
    }
}

/// Remaining time, printed as one second at least: "wait 0s" would be wrong advice.
struct Remaining(Duration);

impl std::fmt::Display for Remaining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        HumanDuration(self.0.max(Duration::from_secs(1))).fmt(f)
    }
}

/// Checks that a metric is on target, and has been for long enough.
fn on_target(
    flag: &FlagView<'_, '_>,
    kind: &'static str,
    metric: &Metric,
    target: Bound,
    sustained: Option<WrittenDuration>,
) -> Condition {
    let name = &metric.name;
    let refuse = |found: String, hint: String| Err(Unmet::new(kind, found, hint));
    let (evidence, value) = current_reading(flag, kind, metric, &format!("it has to be {target}"))?;
    if !target.holds(value) {
        let found = format!("`{name}` is {value}");
        return refuse(found, format!("it has to be {target}"));
    }
    let Some(sustained) = sustained else {
        return Ok(format!("{name} {target}: {value}"));
    };
    let since = evidence.satisfied_since.get(&*target.to_string()).copied();
    let held = since.map_or(Duration::ZERO, |since| flag.now.elapsed_since(&since));
    match sustained.checked_sub(held) {
        None | Some(Duration::ZERO) => {
            Ok(format!("{name} {target} for {sustained}: {}", HumanDuration(held)))
        }
        Some(rest) => {
            let found =
                format!("`{name}` has been {target} for {} of {sustained}", HumanDuration(held));
            let hint = format!("wait {}, and go on reporting it", Remaining(rest));
            Err(Unmet::new(kind, found, hint).wait(rest))
        }
    }
}

/// Returns the last reading of a metric, if it was taken in this stage, is fresh and has a value. `why` says in hints
/// why the reading is needed.
fn current_reading<'c>(
    flag: &FlagView<'c, '_>,
    kind: &'static str,
    metric: &Metric,
    why: &str,
) -> Result<(&'c Evidence, Quantity), Unmet> {
    let name = &metric.name;
    let refuse = |found: String, hint: String| Err(Unmet::new(kind, found, hint));
    let Some(evidence) = flag.state.evidence.get(name) else {
        let found = format!("`{name}` has not been read in stage `{}`", flag.state.stage);
        return refuse(found, format!("report it: {why}"));
    };
    let age = flag.now.age_of(&evidence.read_at);
    if age.is_none_or(|age| age > *metric.stale_after) {
        let found = match age {
            Some(age) => format!(
                "the last reading of `{name}` is {} old, more than its `stale_after` of {}",
                HumanDuration(age),
                metric.stale_after
            ),
            None => format!("the last reading of `{name}` is dated in the future"),
        };
        return refuse(found, format!("report it again: {why}"));
    }
    let Some(value) = evidence.value else {
        let found = format!("`{name}` has no data");
        return refuse(found, format!("report a value: {why}"));
    };
    Ok((evidence, value))
}

pub(super) fn signed(
    flag: &FlagView<'_, '_>,
    kind: &'static str,
    id: &str,
    text: &str,
    owner: Option<&str>,
    expires: Option<WrittenDuration>,
) -> Condition {
    let owner = owner.map(|owner| format!(", by {owner}")).unwrap_or_default();
    let Some(signature) = flag.state.signatures.get(id) else {
        let found = format!("`{id}` is not signed: {text}");
        return Err(Unmet::new(kind, found, format!("have it signed{owner}")));
    };
    let age = flag.now.age_of(&signature.since);
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

/// Checks that the start of the rollout is over, for a flag that is off.
fn start(flag: &FlagView<'_, '_>) -> Option<Condition> {
    let start = flag.plan.start_moment()?;
    if start.at <= flag.now.at() {
        return Some(Ok(format!("began {start}")));
    }
    let hint = format!("wait until then, or change `timeline.start` of `{}`", flag.plan.key());
    Some(Err(Unmet::new("start", format!("begins {start}"), hint)))
}

fn hours(flag: &FlagView<'_, '_>) -> Option<Condition> {
    let calendar = flag.plan.calendar()?;
    if calendar.allows(flag.now.at()) {
        return Some(Ok(format!("within {}, {}", calendar.hours, calendar.time_zone)));
    }
    let day = Date::of(flag.now.at(), &calendar.time_zone);
    let unmet = match calendar.freeze_on(day) {
        Some(freeze) => Unmet::new(
            "hours",
            format!(
                "promotions are frozen from {} to {}: {}",
                freeze.from, freeze.to, freeze.reason
            ),
            format!("wait until {} is over", freeze.to),
        ),
        None => Unmet::new(
            "hours",
            format!("outside the promotion hours: {}, {}", calendar.hours, calendar.time_zone),
            "wait until the next promotion hours",
        ),
    };
    Some(Err(unmet))
}

/// Returns a value's text, or `no data`.
pub(super) fn value_text(value: Option<Quantity>) -> String {
    value.map_or_else(|| "no data".to_owned(), |value| value.to_string())
}
