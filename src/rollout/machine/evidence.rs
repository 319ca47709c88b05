//! Readings of metrics and the triggers that they fire.

use std::collections::BTreeMap;

use super::alert::AlertKind;
use super::conditions::value_text;
use super::flag_view::{Decision, FlagView, stage_of};
use super::incident;
use super::refusal::Unmet;
use super::rollback;
use super::state::{Evidence, FlagState, Progress};
use super::watch;
use crate::eval::StageName;
use crate::plan::model::{
    Action, Bound, Criterion, FlagPlan, Limit, Metric, NoData, Quantity, Trigger, TriggerCause,
};
use crate::plan::one_of;
use crate::rollout::{Cause, Fact, Now};

/// A condition of the plan on a metric.
#[derive(Clone, Copy, Debug)]
pub(super) enum MetricCondition {
    Target(Bound),
    Alert(Bound),
    Limit(Limit),
}

/// A new reading of a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct MetricReading<'r> {
    pub(super) metric: &'r str,
    pub(super) value: Option<Quantity>,
    pub(super) control: Option<Quantity>,
    pub(super) samples: Option<u64>,
    /// Whether a guard measured it, and therefore judges the triggers itself.
    pub(super) judged: bool,
}

/// Returns every metric of the flag's triggers and its stage, with the conditions on it. If the flag is off, it uses
/// the stage that the flag was rolled back from, if any.
pub(super) fn metric_conditions<'p>(
    plan: &FlagPlan<'p>,
    state: &FlagState,
) -> BTreeMap<&'p str, (&'p Metric, Vec<MetricCondition>)> {
    let mut conditions: BTreeMap<&str, (&Metric, Vec<MetricCondition>)> = BTreeMap::new();
    let mut add = |metric: &'p Metric, condition: MetricCondition| {
        conditions.entry(&*metric.name).or_insert_with(|| (metric, Vec::new())).1.push(condition);
    };
    let from = state.incident.as_ref().map(|incident| incident.from);
    let stage = if state.stage == StageName::OFF { from } else { Some(state.stage) };
    if let Some(stage) = stage.and_then(|name| stage_of(plan, name)) {
        let details = stage.details();
        for tracked in &details.metrics {
            add(&tracked.metric, MetricCondition::Target(tracked.target));
            if let Some(alert) = tracked.alert {
                add(&tracked.metric, MetricCondition::Alert(alert));
            }
        }
        for condition in details.conditions() {
            if let Criterion::Metric { metric, target, .. } = condition {
                add(metric, MetricCondition::Target(*target));
            }
        }
    }
    for trigger in plan.triggers() {
        if let TriggerCause::Metric { metric, limit, .. } = &trigger.cause {
            add(metric, MetricCondition::Limit(*limit));
        }
    }
    conditions
}

/// Returns the metrics to read now. A flag that is off has none, unless a rollback must be verified.
pub(in crate::rollout) fn metrics_to_read<'p>(
    plan: &FlagPlan<'p>,
    state: &FlagState,
) -> Vec<&'p Metric> {
    if is_unmeasured(state) {
        return Vec::new();
    }
    metric_conditions(plan, state).into_values().map(|(metric, _)| metric).collect()
}

/// Returns whether the flag's metrics are ignored: the flag is off, and no rollback must be verified.
fn is_unmeasured(state: &FlagState) -> bool {
    let rolled_back = state.incident.as_ref().is_some_and(|it| it.cause.is_some());
    state.stage == StageName::OFF && !rolled_back
}

impl MetricCondition {
    /// Returns the condition as text: the key in [`Evidence::satisfied_since`].
    pub(super) fn text(self) -> Box<str> {
        match self {
            MetricCondition::Target(bound) | MetricCondition::Alert(bound) => {
                bound.to_string().into()
            }
            MetricCondition::Limit(limit) => limit.to_string().into(),
        }
    }

    fn holds(self, reading: &MetricReading<'_>) -> bool {
        let Some(value) = reading.value else { return false };
        match self {
            MetricCondition::Target(bound) | MetricCondition::Alert(bound) => bound.holds(value),
            MetricCondition::Limit(limit) => limit.is_exceeded(value, reading.control),
        }
    }
}

/// Returns the evidence on a metric after a reading, or `None` if the plan has no such metric.
pub(super) fn evidence_after(
    plan: &FlagPlan<'_>,
    state: &FlagState,
    reading: &MetricReading<'_>,
    by: &str,
    now: Now<'_>,
) -> Option<Evidence> {
    // Every process that replays the record must come to the same evidence.
    let now = now.by_journal();
    let metrics = metric_conditions(plan, state);
    let (metric, conditions) = metrics.get(reading.metric)?;
    let before = state
        .evidence
        .get(reading.metric)
        .filter(|before| now.age_of(&before.read_at).is_some_and(|age| age <= *metric.stale_after));
    let kept = |text: &str| before.and_then(|before| before.satisfied_since.get(text)).copied();
    let satisfied = conditions.iter().filter(|condition| condition.holds(reading));
    let satisfied_since = satisfied.map(|condition| {
        let text = condition.text();
        let since = kept(&text).unwrap_or(now.stamp());
        (text, since)
    });
    Some(Evidence {
        value: reading.value,
        control: reading.control,
        samples: reading.samples,
        by: by.into(),
        judged: reading.judged,
        read_at: now.stamp(),
        satisfied_since: satisfied_since.collect(),
    })
}

/// Decides about a new reading of a metric.
pub(super) fn measure(
    flag: &FlagView<'_, '_>,
    reading: &MetricReading<'_>,
    by: &str,
) -> Result<Decision, Vec<Unmet>> {
    let MetricReading { metric, value, control, samples, judged } = *reading;
    if is_unmeasured(flag.state) {
        let found = "the flag is off, so nobody has it";
        return Err(vec![Unmet::new("off", found, "promote it first")]);
    }
    let known = metric_conditions(flag.plan, flag.state);
    let Some((which, conditions)) = known.get(metric) else {
        let found =
            format!("`{}` is not a metric of this stage or of a trigger", metric.escape_debug());
        let hint = one_of(metric, known.keys().copied());
        return Err(vec![Unmet::new("metric", found, hint)]);
    };
    let wrong = value.iter().chain(&control).find(|value| value.unit() != which.unit);
    if let Some(wrong) = wrong {
        let found = format!("{wrong} has the wrong unit for `{metric}`");
        return Err(vec![Unmet::new("metric", found, format!("write a {}", which.unit))]);
    }
    let Some(after) = evidence_after(flag.plan, flag.state, reading, by, flag.now) else {
        return Ok(Decision::default());
    };
    let mut fired = Decision::default();
    fire_triggers(flag, metric, &after, &mut fired);
    if fired.facts.is_empty() && is_redundant(flag, which, &after) {
        return Ok(Decision::default());
    }
    let mut decision = flag.stays(Fact::Measured {
        metric: metric.into(),
        value: value.map(|value| value.to_string().into()),
        control: control.map(|value| value.to_string().into()),
        samples,
        judged,
    });
    let before = flag.state.evidence.get(metric);
    for condition in conditions {
        let text = condition.text();
        let newly = after.satisfied_since.contains_key(&text)
            && !before.is_some_and(|before| before.satisfied_since.contains_key(&text));
        if matches!(condition, MetricCondition::Alert(_)) && newly {
            let text = format!("{metric} is {}, {text}", value_text(value));
            decision.alerts.push(flag.alert(AlertKind::Metric, text));
        }
    }
    decision.extend(fired);
    Ok(decision)
}

/// Returns whether a reading repeats the last one. A record of it would only fill the journal.
///
/// A reading that repeats the last one is new only if a decision needs one of its age: [`needs_fresh_reading`], or a
/// check of the watch.
fn is_redundant(flag: &FlagView<'_, '_>, metric: &Metric, after: &Evidence) -> bool {
    let Some(before) = flag.state.evidence.get(&metric.name) else { return false };
    let required = required_samples(flag.plan, &metric.name);
    // A program may measure what a guard measures, too. That matters only to a trigger that may act on the program's
    // reading.
    let is_same_judge = before.judged == after.judged
        || (before.judged && exceeded_limits(flag, metric, after).next().is_none());
    let is_same = is_same_judge
        && before.value.is_some() == after.value.is_some()
        && has_enough_samples(before.samples, required)
            == has_enough_samples(after.samples, required)
        && before.satisfied_since.keys().eq(after.satisfied_since.keys());
    let age = flag.now.age_of(&before.read_at);
    let is_young = age.is_some_and(|age| age <= *metric.stale_after / 2);
    is_same
        && (is_young || !needs_fresh_reading(flag, metric, after))
        && !watch::needs_reading(flag, metric, before, after)
}

/// Returns whether a decision depends on the age of a metric's last reading. These decisions do: the next promotion, a
/// `for` of the stage during a hold, the verification of a rollback, and a trigger that counts missing data or whose
/// `for` is running.
fn needs_fresh_reading(flag: &FlagView<'_, '_>, metric: &Metric, after: &Evidence) -> bool {
    let has_no_incident = flag.state.incident.is_none();
    let counts_missing_data = |trigger: &Trigger| match &trigger.cause {
        TriggerCause::Metric { metric: watched, no_data, .. } => {
            watched.name == metric.name && *no_data == NoData::RollBack
        }
        TriggerCause::Incident(_) => false,
    };
    let counts_for_promotion = match flag.state.progress() {
        Progress::Running => true,
        Progress::Held => is_sustained(flag, metric, after),
        _ => false,
    };
    (has_no_incident && counts_for_promotion)
        || (!flag.is_off() && flag.triggers().any(|(_, trigger)| counts_missing_data(trigger)))
        || (!after.judged && exceeded_limits(flag, metric, after).any(|is_sustained| is_sustained))
        || incident::can_verify(flag, metric, after)
}

/// Returns whether a reading continues the `for` of a condition for leaving the stage. A gap in the readings would start
/// it over.
fn is_sustained(flag: &FlagView<'_, '_>, metric: &Metric, after: &Evidence) -> bool {
    let Some(details) = flag.details() else { return false };
    let of_metrics = details.metrics.iter().map(|it| (&it.metric, it.target, it.sustained));
    let of_conditions = details.conditions().filter_map(|condition| match condition {
        Criterion::Metric { metric, target, sustained, .. } => Some((metric, *target, *sustained)),
        Criterion::Manual { .. } => None,
    });
    of_metrics.chain(of_conditions).any(|(tracked, target, sustained)| {
        tracked.name == metric.name
            && sustained.is_some()
            && after.satisfied_since.contains_key(&*target.to_string())
    })
}

/// Returns the triggers that may act on a reading because it exceeds their limit: for each, whether it has a `for`. A
/// trigger that asks has nothing to ask while an incident is open.
fn exceeded_limits<'p>(
    flag: &FlagView<'_, 'p>,
    metric: &Metric,
    after: &Evidence,
) -> impl Iterator<Item = bool> {
    let has_incident = flag.state.incident.is_some();
    let triggers = flag.triggers().filter(|_| !flag.is_off());
    triggers.filter_map(move |(_, trigger)| match &trigger.cause {
        TriggerCause::Metric { metric: watched, limit, sustained, .. } => {
            let may_act = trigger.action == Action::RollBack || !has_incident;
            let is_exceeded = after.satisfied_since.contains_key(&*limit.to_string());
            (watched.name == metric.name && may_act && is_exceeded).then_some(sustained.is_some())
        }
        TriggerCause::Incident(_) => None,
    })
}

/// Fires the first trigger on a metric that rolls the flag back, or else the first that asks for a decision. A trigger
/// fires if its limit is exceeded for long enough and with enough samples.
pub(super) fn fire_triggers(
    flag: &FlagView<'_, '_>,
    metric: &str,
    evidence: &Evidence,
    decision: &mut Decision,
) {
    if flag.is_off() || evidence.judged {
        return;
    }
    let fired = |action| {
        let mut triggers = flag.triggers().map(|(_, trigger)| trigger);
        triggers
            .find(|it| it.action == action && fires(flag, it, metric, evidence))
            .map(|trigger| (trigger.cause.to_string(), evidence_text(evidence)))
    };
    if let Some((trigger, evidence)) = fired(Action::RollBack) {
        let cause = Cause::Trigger { trigger: trigger.into(), evidence: evidence.into() };
        decision.extend(rollback::to_target(flag, cause));
    } else if let Some((trigger, evidence)) = fired(Action::Decide) {
        decision.extend(incident::ask(flag, &trigger, &evidence));
    }
}

fn fires(flag: &FlagView<'_, '_>, trigger: &Trigger, name: &str, evidence: &Evidence) -> bool {
    let TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } = &trigger.cause
    else {
        return false;
    };
    let fresh = flag.now.age_of(&evidence.read_at).is_some_and(|age| age <= *metric.stale_after);
    let enough = has_enough_samples(evidence.samples, *minimum_sample);
    let since = evidence.satisfied_since.get(&*limit.to_string());
    let long = since.is_some_and(|since| {
        flag.now.elapsed_since(since) >= sustained.map(|lasts| *lasts).unwrap_or_default()
    });
    &*metric.name == name && fresh && enough && long
}

/// Returns the number of samples that a reading of a metric needs: the highest `minimum_sample` of its triggers.
pub(super) fn required_samples(plan: &FlagPlan<'_>, name: &str) -> Option<u64> {
    let required = plan.triggers().iter().filter_map(|trigger| match &trigger.cause {
        TriggerCause::Metric { metric, minimum_sample, .. } if *metric.name == *name => {
            *minimum_sample
        }
        _ => None,
    });
    required.max()
}

/// Returns whether a reading has the required samples. A reading without a sample count has enough: the person
/// or program that reported it vouches for it.
pub(super) fn has_enough_samples(samples: Option<u64>, required: Option<u64>) -> bool {
    required.zip(samples).is_none_or(|(required, samples)| samples >= required)
}

/// Returns the reading in words, such as `6.2%, of 1200 samples`.
pub(super) fn evidence_text(evidence: &Evidence) -> String {
    let control = evidence.control.map(|value| format!(" with the flag, {value} without"));
    let samples = evidence.samples.map(|count| match count {
        1 => ", of 1 sample".to_owned(),
        _ => format!(", of {count} samples"),
    });
    let value = value_text(evidence.value);
    format!("{value}{}{}", control.unwrap_or_default(), samples.unwrap_or_default())
}

impl Decision {
    /// Appends the facts, alerts and messages of another decision.
    pub(super) fn extend(&mut self, other: Decision) {
        self.facts.extend(other.facts);
        self.alerts.extend(other.alerts);
        self.messages.extend(other.messages);
    }
}
