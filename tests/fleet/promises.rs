//! The promises as invariants, under their numbers. They follow the text of the promises, not the code.

use std::time::Duration;

use stagegate::Reason;
use stagegate::rollout::{Cause, Fact, Rollout};

use super::document::{Doc, FLAGS, USERS, enabled};
use super::machine::Clocks;
use super::truth::Truth;

// The promises to check. Set one to `false` while a known bug breaks it.
pub(crate) const SAME_ANSWER: bool = true;
pub(crate) const GROWING_ONLY_ADDS: bool = true;
pub(crate) const NEVER_FAILS: bool = true;
pub(crate) const ALL_OR_NOTHING: bool = true;
pub(crate) const LAST_KNOWN_GOOD: bool = true;
pub(crate) const ONE_STAGE: bool = true;
pub(crate) const AUDIENCE_RULE: bool = true;
pub(crate) const BACK_AT_ONCE: bool = true;
pub(crate) const BACK_EVERYWHERE: bool = true;
pub(crate) const DURABLE: bool = true;
pub(crate) const NO_DATA_IS_NOT_HEALTH: bool = true;
pub(crate) const CERTAIN_TIME: bool = true;

const STALE: u64 = 600_000;

/// Checks a record against the promises.
pub(crate) fn check_record(truth: &mut Truth, number: usize) {
    let written = truth.written[number - 1].clone();
    let record = &written.record;
    match &record.fact {
        Fact::Updated { .. } => {
            for flag in FLAGS {
                check_audience(truth, number, flag);
            }
        }
        Fact::Promoted { .. } | Fact::Completed { .. } if truth.frozen(record.at).is_some() => {
            panic!("7: {record} although all flags are held");
        }
        Fact::Promoted { forced, .. } => {
            let (flag, from, to) =
                (record.flag.as_deref().unwrap(), record.from.unwrap(), record.to.unwrap());
            let doc = truth.doc(number).clone();
            let place = |stage: &str| doc.flag(flag).unwrap().position(stage).unwrap();
            if ONE_STAGE {
                // 7: one stage at a time, or several stages with a reason.
                let is_reasoned = forced.as_deref().is_some_and(|why| !why.trim().is_empty());
                assert!(place(&to) == place(&from) + 1 || is_reasoned, "{record}");
                assert!(place(&to) > place(&from), "{record}");
            }
            if GROWING_ONLY_ADDS {
                let (before, after) =
                    (truth.admits(&doc, flag, &from), truth.admits(&doc, flag, &to));
                assert!((0..USERS).all(|user| after[user] || !before[user]), "2: {record}");
            }
            if forced.is_none() && *from != *"off" {
                check_conditions(truth, number, flag, &from);
            }
        }
        // A rollback with `effective_ms` was recorded later than it took effect, so the times of its record prove
        // nothing.
        Fact::RolledBack { cause: Cause::Trigger { evidence, .. }, effective_ms: None, .. }
            if CERTAIN_TIME && evidence.starts_with("no data for") =>
        {
            let flag = record.flag.as_deref().unwrap();
            let since = truth.place(number - 1, flag).unwrap().since;
            let began = truth.written[since - 1].now;
            let reading = truth.last_reading(number, flag);
            let is_empty = |fact: &Fact| matches!(fact, Fact::Measured { value: None, .. });
            if reading.is_some_and(|it| is_empty(&it.record.fact)) {
                return;
            }
            let last = reading.map_or(began, |reading| reading.now);
            // 11: neither downtime nor wrong clocks roll a flag back.
            assert!(written.now - last > STALE, "{record}: {} ms", written.now - last);
        }
        _ => {}
    }
}

/// 7: "Without a `skip_reason`, an update may only let in users whom the plan in force admits at its current stage or
/// its next stage; longer user lists pass."
fn check_audience(truth: &mut Truth, number: usize, flag: &str) {
    let new = truth.doc(number).clone();
    let Some((old, before)) = truth.in_force(number, flag) else { return };
    let Some(after) = truth.place(number, flag).map(|place| place.stage.clone()) else { return };
    let reason = |doc: &Doc| doc.flag(flag).and_then(|it| it.reason.clone());
    // A reason counts for one update.
    let is_reasoned = reason(&new).is_some() && reason(&new) != reason(truth.doc(number - 1));
    if !AUDIENCE_RULE || is_reasoned {
        return;
    }
    let next = old.flag(flag).unwrap().next(&before);
    let at_stage = truth.admits(&old, flag, &before);
    let at_next = next.map_or_else(|| at_stage.clone(), |next| truth.admits(&old, flag, next));
    let now = truth.admits(&new, flag, &after);
    for user in 0..USERS {
        let may = at_stage[user] || at_next[user] || new.lists(flag, &after, user);
        assert!(
            may || !now[user],
            "7: u{user} has `{flag}` early, in `{after}`:\n{}\n{}",
            old.text(),
            new.text()
        );
    }
}

/// 10 and 11: before a promotion that is not forced, the stage lasted long enough and its metric was read.
fn check_conditions(truth: &Truth, number: usize, flag: &str, from: &str) {
    let written = &truth.written[number - 1];
    let plan = truth.doc(number).flag(flag).unwrap();
    let place = plan.position(from).unwrap();
    let since = truth.place(number - 1, flag).unwrap().since;
    let spent = written.now - truth.written[since - 1].now;
    if CERTAIN_TIME {
        assert!(
            spent >= plan.stages[place - 1].min * 60_000,
            "11: {} after {spent} ms",
            written.record
        );
    }
    if NO_DATA_IS_NOT_HEALTH && plan.watched.is_some() {
        let reading = truth.last_reading(number, flag);
        let reading = reading.unwrap_or_else(|| panic!("10: {} without a reading", written.record));
        let Fact::Measured { value, .. } = &reading.record.fact else { unreachable!() };
        assert!(value.is_some(), "10: {} without data", written.record);
        let walls = (reading.clocks.wall(), written.clocks.wall());
        let is_known = walls.0 <= walls.1 + 60_000 || reading.clocks.boot == written.clocks.boot;
        assert!(is_known, "10: {} on a reading of an unknown age", written.record);
        let is_right =
            |clocks: &Clocks, since: u64| clocks.skew.abs() <= 50 && clocks.skewed_at <= since;
        if is_right(&written.clocks, reading.now) && is_right(&reading.clocks, reading.now) {
            let age = written.now - reading.now;
            assert!(age <= STALE + 100, "10: {} on a reading {age} ms old", written.record);
        }
    }
}

/// Checks a process against the promises. `is_back` returns whether the process rolled a flag back, perhaps without a
/// record yet.
pub(crate) fn check_process(
    truth: &mut Truth,
    rollout: &Rollout,
    (machine, known): (&Clocks, &[(usize, u64)]),
    is_back: impl Fn(&str) -> bool,
) {
    let status = rollout.status();
    let head = usize::try_from(status.head.0).unwrap();
    let doc = truth.doc(head).clone();
    if DURABLE {
        assert_eq!(status.head.1, truth.written[head - 1].record.hash, "9: another journal");
    }
    let is_pending = |flag: &str| is_back(flag) || status.unrecorded.iter().any(|it| **it == *flag);
    for report in &status.flags {
        let flag = &*report.flag;
        let place = truth.place(head, flag).unwrap().clone();
        let position = |stage: &str| doc.flag(flag).unwrap().position(stage).unwrap();
        let serving = position(&report.serving);
        if DURABLE {
            // 9: no stage is served that is not in the journal. 8: a flag that was rolled back stays down.
            assert_eq!(place.stage, *report.state.stage);
            let recorded = position(&place.stage);
            let is_right = serving == recorded || serving < recorded && is_pending(flag);
            assert!(
                is_right,
                "9: `{flag}` is served at {}, and its recorded stage is {}",
                report.serving, place.stage
            );
        }
        let has = enabled(rollout.gate(), flag);
        if SAME_ANSWER {
            assert_eq!(
                has,
                truth.admits(&doc, flag, &report.serving),
                "1: `{flag}` at {}",
                report.serving
            );
        }
        if CERTAIN_TIME {
            let true_spent = machine.now - truth.written[place.since - 1].now;
            assert!(
                report.time_in_stage <= Duration::from_millis(true_spent),
                "11: `{flag}` has spent {:?} of {true_spent} ms in {}",
                report.time_in_stage,
                place.stage
            );
            // Time that one machine can prove, or that the process has seen, must count.
            let first = known.iter().find(|(records, _)| *records >= place.since);
            let own = first.map_or(0, |(_, up)| machine.up - up);
            let seen = truth.seen_by_one(head, flag, machine).max(Duration::from_millis(own));
            assert!(
                report.time_in_stage >= seen,
                "11: `{flag}` has spent {:?}, but one machine has seen {seen:?}",
                report.time_in_stage
            );
        }
    }
    if NEVER_FAILS {
        let evaluation = rollout.gate().evaluate("u1", "no-such-flag");
        assert_eq!((evaluation.enabled, evaluation.reason), (false, Reason::FlagNotFound), "4");
    }
}
