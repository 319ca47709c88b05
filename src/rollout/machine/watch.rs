//! The watch after the last promotion: one check in every interval.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alert::AlertKind;
use super::flag_view::{Decision, FlagView};
use super::state::{Evidence, FlagState};
use crate::plan::model::{FlagPlan, Metric, Watch};
use crate::rollout::{Fact, Now, Stamp};

/// The item that people sign for a check of the watch, if no metric covers it.
pub(super) const ITEM: &str = "watch";

/// Returns the watch of the flag's stage. Only a last stage has one.
fn watch_of<'p>(flag: &FlagView<'_, 'p>) -> Option<&'p Watch> {
    flag.details()?.watch.as_ref()
}

/// Returns whether the flag is being watched now.
fn is_watched(flag: &FlagView<'_, '_>) -> bool {
    watch_of(flag).is_some_and(|watch| flag.time_in_stage() < *watch.lasts)
}

/// Returns whether the present check of the watch needs a reading, because the last one was for an earlier check.
pub(super) fn needs_reading(
    flag: &FlagView<'_, '_>,
    metric: &Metric,
    before: &Evidence,
    after: &Evidence,
) -> bool {
    let Some(details) = flag.details() else { return false };
    let Some(watch) = details.watch.as_ref().filter(|_| is_watched(flag)) else { return false };
    let present = flag.now.stamp();
    after.value.is_some()
        && !flag.state.complete
        && details.metrics.iter().any(|tracked| tracked.metric.name == metric.name)
        && interval(flag, &before.read_at, watch) != interval(flag, &present, watch)
}

/// Returns the interval of the watch that a moment falls in, from 0. It uses the journal alone, so that every process
/// that replays the journal comes to the same result.
fn interval(flag: &FlagView<'_, '_>, at: &Stamp, watch: &Watch) -> u32 {
    intervals(flag.now.by_journal().between(&flag.state.since, at), *watch.every)
}

/// Returns the number of whole intervals in a duration.
fn intervals(time: Duration, every: Duration) -> u32 {
    let count = time.as_millis().checked_div(every.as_millis()).unwrap_or(0);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Marks the check of the present interval as done, if all metrics of the stage were read in the interval, or the check
/// was signed.
pub(super) fn mark_check(plan: &FlagPlan<'_>, state: &mut FlagState, now: Now<'_>) {
    let flag = FlagView { plan, state, now, missing: &[], freeze: None, by: None };
    let Some((details, watch)) = flag.details().and_then(|it| Some((it, it.watch.as_ref()?)))
    else {
        return;
    };
    if !is_watched(&flag) {
        return;
    }
    let present = interval(&flag, &now.stamp(), watch);
    let is_present = |at: &Stamp| interval(&flag, at, watch) == present;
    let signed = state.signatures.get(ITEM).is_some_and(|it| is_present(&it.since));
    let mut names = details.metrics.iter().map(|tracked| &*tracked.metric.name);
    let is_read = |name: &str| {
        let evidence = state.evidence.get(name);
        evidence.is_some_and(|it| it.value.is_some() && is_present(&it.read_at))
    };
    let read = !details.metrics.is_empty() && names.all(is_read);
    if signed || read {
        state.watch_done.insert(present.saturating_add(1));
    }
}

/// Returns the missed checks that are not recorded yet, as ranges: first and last check.
pub(super) fn missed(flag: &FlagView<'_, '_>) -> Vec<(u32, u32)> {
    let Some(watch) = watch_of(flag) else { return Vec::new() };
    let due = intervals(flag.time_in_stage().min(*watch.lasts), *watch.every);
    let recorded = flag.state.watch_missed;
    if due <= recorded {
        return Vec::new();
    }
    let done: &BTreeSet<u32> = &flag.state.watch_done;
    let (mut ranges, mut first) = (Vec::new(), recorded + 1);
    // Iterate over the checks that were done, because the number of missed ones may be large.
    for check in done.range(recorded + 1..=due) {
        if first < *check {
            ranges.push((first, check - 1));
        }
        first = check + 1;
    }
    if first <= due {
        ranges.push((first, due));
    }
    ranges
}

/// Records missed checks and alerts about them.
pub(super) fn due(flag: &FlagView<'_, '_>) -> Decision {
    let mut decision = Decision::default();
    if flag.state.complete {
        return decision;
    }
    for (first, last) in missed(flag) {
        decision.extend(flag.stays(Fact::WatchMissed { first, last }));
        decision.alerts.push(flag.alert(AlertKind::WatchMissed, missed_text(first, last)));
    }
    decision
}

pub(super) fn missed_text(first: u32, last: u32) -> String {
    if first == last {
        format!("check {first} of the watch was missed")
    } else {
        format!("checks {first} to {last} of the watch were missed")
    }
}
