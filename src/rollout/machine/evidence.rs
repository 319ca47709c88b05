//! Readings of metrics, and the triggers they fire.

use std::collections::BTreeMap;

use super::alert::AlertKind;
use super::case::{Case, Decision, Draft, stage_of};
use super::conditions::value_text;
use super::incident;
use super::refusal::Unmet;
use super::rollback;
use super::state::{Evidence, FlagState};
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{
    Action, Bound, Criterion, FlagPlan, Limit, Metric, Quantity, Trigger, TriggerCause,
};
use crate::plan::one_of;
use crate::rollout::{Cause, Fact, Now};

/// A condition on a metric that the plan names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Test {
    Target(Bound),
    Alert(Bound),
    Limit(Limit),
}

/// A reading of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read<'r> {
    pub(super) metric: &'r str,
    pub(super) value: Option<Quantity>,
    pub(super) control: Option<Quantity>,
    pub(super) samples: Option<u64>,
    /// Whether a guard read it.
    pub(super) judged: bool,
}

/// Every metric that a flag's triggers and the stage name, with every condition on it. Off has the
/// triggers alone, and the metrics of the stage it was taken back from.
pub(super) fn tests<'p>(
    plan: &FlagPlan<'p>,
    state: &FlagState,
) -> BTreeMap<&'p str, (&'p Metric, Vec<Test>)> {
    let mut tests: BTreeMap<&str, (&Metric, Vec<Test>)> = BTreeMap::new();
    let mut add = |metric: &'p Metric, test: Test| {
        tests.entry(&*metric.name).or_insert_with(|| (metric, Vec::new())).1.push(test);
    };
    let from = state.incident.as_ref().map(|incident| incident.from);
    let stage = if state.stage == StageName::OFF { from } else { Some(state.stage) };
    if let Some(stage) = stage.and_then(|name| stage_of(plan, name)) {
        let details = stage.details();
        for tracked in &details.metrics {
            add(&tracked.metric, Test::Target(tracked.target));
            if let Some(alert) = tracked.alert {
                add(&tracked.metric, Test::Alert(alert));
            }
        }
        for condition in details.conditions() {
            if let Criterion::Metric { metric, target, .. } = condition {
                add(metric, Test::Target(*target));
            }
        }
    }
    for trigger in plan.triggers() {
        if let TriggerCause::Metric { metric, limit, .. } = &trigger.cause {
            add(metric, Test::Limit(*limit));
        }
    }
    tests
}

/// The metrics of which a reading is asked for now: none of a flag that nobody has, unless it was taken back.
pub(in crate::rollout) fn wanted<'p>(plan: &FlagPlan<'p>, state: &FlagState) -> Vec<&'p Metric> {
    if is_unmeasured(state) {
        return Vec::new();
    }
    tests(plan, state).into_values().map(|(metric, _)| metric).collect()
}

/// Whether there is nothing to measure: the flag is off, and was not taken back.
fn is_unmeasured(state: &FlagState) -> bool {
    let taken_back = state.incident.as_ref().is_some_and(|it| it.cause.is_some());
    state.stage == StageName::OFF && !taken_back
}

impl Test {
    /// As `holding` of [`Evidence`] names it.
    pub(super) fn text(self) -> Box<str> {
        match self {
            Test::Target(bound) | Test::Alert(bound) => bound.to_string().into(),
            Test::Limit(limit) => limit.to_string().into(),
        }
    }

    fn holds(self, read: &Read<'_>) -> bool {
        let Some(value) = read.value else { return false };
        match self {
            Test::Target(bound) | Test::Alert(bound) => bound.holds(value),
            Test::Limit(limit) => limit.is_exceeded(value, read.control),
        }
    }
}

/// What is known of a metric once it has been read.
pub(super) fn evidence_after(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    read: &Read<'_>,
    by: &str,
    now: Now<'_>,
) -> Option<Evidence> {
    // As the record will be read by others.
    let now = now.by_journal();
    let tests = tests(plan, state);
    let (metric, tests) = tests.get(read.metric)?;
    let before = state
        .evidence
        .get(read.metric)
        .filter(|before| now.age_of(&before.read).is_some_and(|age| age <= *metric.stale_after));
    let kept = |text: &str| before.and_then(|before| before.holding.get(text)).copied();
    let holding = tests.iter().filter(|test| test.holds(read)).map(|test| {
        let text = test.text();
        let since = kept(&text).unwrap_or(now.stamp());
        (text, since)
    });
    Some(Evidence {
        value: read.value,
        control: read.control,
        samples: read.samples,
        by: by.into(),
        judged: read.judged,
        read: now.stamp(),
        holding: holding.collect(),
    })
}

/// A metric was read.
pub(super) fn measure(case: &Case<'_, '_>, read: &Read<'_>, by: &str) -> Decision {
    let Read { metric, value, control, samples, judged } = *read;
    if is_unmeasured(case.state) {
        let found = "the flag is off, so nobody has it";
        return Err(vec![Unmet::new("off", found, "promote it first")]);
    }
    let known = tests(case.plan, case.state);
    let Some((which, tests)) = known.get(metric) else {
        let found =
            format!("`{}` is no metric of this stage or of a trigger", metric.escape_debug());
        let hint = one_of(metric, known.keys().copied());
        return Err(vec![Unmet::new("metric", found, hint)]);
    };
    let wrong = value.iter().chain(&control).find(|value| value.unit() != which.unit);
    if let Some(wrong) = wrong {
        let found = format!("{wrong} is not of the unit of `{metric}`");
        return Err(vec![Unmet::new("metric", found, format!("it is a {}", which.unit))]);
    }
    let Some(after) = evidence_after(case.plan, case.state, read, by, case.now) else {
        return Ok(Draft::default());
    };
    if is_nothing_new(case, which, tests, &after, metric) {
        return Ok(Draft::default());
    }
    let mut draft = case.stays(Fact::Measured {
        metric: metric.into(),
        value: value.map(|value| value.to_string().into()),
        control: control.map(|value| value.to_string().into()),
        samples,
        judged,
    });
    let before = case.state.evidence.get(metric);
    for test in tests {
        let text = test.text();
        let newly = after.holding.contains_key(&text)
            && !before.is_some_and(|before| before.holding.contains_key(&text));
        if matches!(test, Test::Alert(_)) && newly {
            let text = format!("{metric} is {}, {text}", value_text(value));
            draft.alerts.push(case.alert(AlertKind::Metric, text));
        }
    }
    fire(case, metric, &after, &mut draft);
    Ok(draft)
}

/// Whether a reading tells what is known, soon after: it would only fill the journal.
fn is_nothing_new(
    case: &Case<'_, '_>,
    metric: &Metric,
    tests: &[Test],
    after: &Evidence,
    name: &str,
) -> bool {
    let Some(before) = case.state.evidence.get(name) else { return false };
    let soon = case.now.age_of(&before.read).is_some_and(|age| age <= *metric.stale_after / 2);
    let beyond =
        |test: &Test| matches!(test, Test::Limit(_)) && after.holding.contains_key(&test.text());
    let least = least(case.plan, name);
    let same = before.value.is_some() == after.value.is_some()
        && before.judged == after.judged
        && is_enough(before.samples, least) == is_enough(after.samples, least)
        && before.holding.keys().eq(after.holding.keys());
    // A guard reads all the time, and its limits are no matter of single readings.
    let needed = match after.judged {
        true => watch::is_new_check(case, &before.read),
        false => tests.iter().any(beyond) || watch::is_watched(case),
    };
    soon && same && !needed
}

/// Has the triggers on a metric fire whose limit it is beyond, long enough and on enough samples:
/// the first that rolls back, or else the first that asks.
pub(super) fn fire(case: &Case<'_, '_>, metric: &str, evidence: &Evidence, draft: &mut Draft) {
    if case.is_off() || evidence.judged {
        return;
    }
    let fired = |action| {
        let mut triggers = case.triggers().map(|(_, trigger)| trigger);
        triggers
            .find(|it| it.action == action && is_fired(case, it, metric, evidence))
            .map(|trigger| (trigger.cause.to_string(), evidence_text(evidence)))
    };
    if let Some((trigger, evidence)) = fired(Action::RollBack) {
        let cause = Cause::Trigger { trigger: trigger.into(), evidence: evidence.into() };
        draft.extend(rollback::to_target(case, cause));
    } else if let Some((trigger, evidence)) = fired(Action::Decide) {
        draft.extend(incident::ask(case, &trigger, &evidence));
    }
}

fn is_fired(case: &Case<'_, '_>, trigger: &Trigger, name: &str, evidence: &Evidence) -> bool {
    let TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } = &trigger.cause
    else {
        return false;
    };
    let fresh = case.now.age_of(&evidence.read).is_some_and(|age| age <= *metric.stale_after);
    let enough = is_enough(evidence.samples, *minimum_sample);
    let since = evidence.holding.get(&*limit.to_string());
    let long = since.is_some_and(|since| {
        case.now.spent_since(since) >= sustained.map(|lasts| *lasts).unwrap_or_default()
    });
    &*metric.name == name && fresh && enough && long
}

/// Of how many samples readings of a metric have to be: as many as the trigger on it that asks for most.
pub(super) fn least(plan: &FlagPlan<'_>, name: &str) -> Option<u64> {
    let least = plan.triggers().iter().filter_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, minimum_sample, .. } if *metric.name == *name => {
            *minimum_sample
        }
        _ => None,
    });
    least.max()
}

/// Whether a reading is of as many samples as are asked for. One that does not say of how many it is was
/// read whole, as monitoring has it: nobody who asks for some means that it never counts.
pub(super) fn is_enough(samples: Option<u64>, least: Option<u64>) -> bool {
    least.zip(samples).is_none_or(|(least, samples)| samples >= least)
}

pub(super) fn evidence_text(evidence: &Evidence) -> String {
    let control = evidence.control.map(|value| format!(" with the flag, {value} without"));
    let samples = evidence.samples.map(|count| format!(", of {count} samples"));
    let value = value_text(evidence.value);
    format!("{value}{}{}", control.unwrap_or_default(), samples.unwrap_or_default())
}

impl Draft {
    pub(super) fn extend(&mut self, other: Draft) {
        self.facts.extend(other.facts);
        self.alerts.extend(other.alerts);
        self.letters.extend(other.letters);
    }
}
