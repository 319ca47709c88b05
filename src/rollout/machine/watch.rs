//! The watch after the last promotion: one check in every interval.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alert::AlertKind;
use super::case::{Case, Draft};
use super::state::FlagState;
use crate::plan::model::{FlagPlan, Watch};
use crate::rollout::{Fact, Now, Stamp};

/// By which a check of a watch is signed that no metric tells.
pub(super) const ITEM: &str = "watch";

/// The watch of the stage a flag is in: only last stages have one.
fn of<'p>(case: &Case<'_, 'p>) -> Option<&'p Watch> {
    case.details()?.watch.as_ref()
}

/// Whether the flag is being watched now.
pub(super) fn is_watched(case: &Case<'_, '_>) -> bool {
    of(case).is_some_and(|watch| case.spent() < *watch.lasts)
}

/// Whether a check of the watch is due that a reading of that moment was too early for.
pub(super) fn is_new_check(case: &Case<'_, '_>, read: &Stamp) -> bool {
    let Some(watch) = of(case).filter(|_| is_watched(case)) else { return false };
    interval(case, read, watch) != interval(case, &case.now.stamp(), watch)
}

/// The interval of the watch in which a moment is, from 0, by the journal alone: whoever reads it finds the same.
fn interval(case: &Case<'_, '_>, at: &Stamp, watch: &Watch) -> u32 {
    intervals(case.now.by_journal().between(&case.state.since, at), *watch.every)
}

/// The number of whole intervals in a time.
fn intervals(time: Duration, every: Duration) -> u32 {
    let count = time.as_millis().checked_div(every.as_millis()).unwrap_or(0);
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Notes the check of the present interval, if everything that is tracked has been read in it, or
/// it was signed.
pub(super) fn note(plan: &FlagPlan<'_>, state: &mut FlagState, now: Now<'_>) {
    let case = Case { plan, state, now };
    let Some((details, watch)) = case.details().and_then(|it| Some((it, it.watch.as_ref()?)))
    else {
        return;
    };
    if !is_watched(&case) {
        return;
    }
    let present = interval(&case, &now.stamp(), watch);
    let is_present = |at: &Stamp| interval(&case, at, watch) == present;
    let signed = state.signatures.get(ITEM).is_some_and(|it| is_present(&it.since));
    let mut names = details.metrics.iter().map(|tracked| &*tracked.metric.name);
    let is_read = |name: &str| {
        let evidence = state.evidence.get(name);
        evidence.is_some_and(|it| it.value.is_some() && is_present(&it.read))
    };
    let read = !details.metrics.is_empty() && names.all(is_read);
    if signed || read {
        state.watch_done.insert(present.saturating_add(1));
    }
}

/// The checks that are overdue and not told yet, from the first of a row to its last.
pub(super) fn missed(case: &Case<'_, '_>) -> Vec<(u32, u32)> {
    let Some(watch) = of(case) else { return Vec::new() };
    let due = intervals(case.spent().min(*watch.lasts), *watch.every);
    let told = case.state.watch_missed;
    if due <= told {
        return Vec::new();
    }
    let done: &BTreeSet<u32> = &case.state.watch_done;
    let (mut rows, mut first) = (Vec::new(), told + 1);
    // Only the checks that were done are walked over: there may be many that were not.
    for check in done.range(told + 1..=due) {
        if first < *check {
            rows.push((first, check - 1));
        }
        first = check + 1;
    }
    if first <= due {
        rows.push((first, due));
    }
    rows
}

/// What time has made due of the watch.
pub(super) fn due(case: &Case<'_, '_>) -> Draft {
    let mut draft = Draft::default();
    if case.state.complete {
        return draft;
    }
    for (first, last) in missed(case) {
        draft.extend(case.stays(Fact::WatchMissed { first, last }));
        draft.alerts.push(case.alert(AlertKind::WatchMissed, missed_text(first, last)));
    }
    draft
}

pub(super) fn missed_text(first: u32, last: u32) -> String {
    if first == last {
        format!("check {first} of the watch was missed")
    } else {
        format!("checks {first} to {last} of the watch were missed")
    }
}
