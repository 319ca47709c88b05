//! Every action of a rollout.

use stagegate::clock::ManualClock;
use stagegate::rollout::{AlertKind, Fact, Progress, Rollout};
use stagegate::store::Memory;

use super::{
    DAY, HOUR, assert_same_after_reopen, count, in_pilot, monday, percent, report_healthy_readings,
    start_rollout, unmet,
};

#[test]
fn a_flag_goes_from_off_to_complete_and_every_step_survives_a_restart() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    let gate = rollout.gate().clone();
    let reopened = || assert_same_after_reopen(&rollout, &store, &clock);

    assert!(!gate.is_enabled("ana", "search"));
    ana.promote("search").unwrap();
    reopened();
    assert!(gate.is_enabled("ana", "search"));
    assert_eq!(unmet(ana.promote("search")), ["min_duration", "checklist", "trigger", "trigger"]);

    clock.advance(DAY);
    ana.sign("search", "load-test", Some("https://ci.example/7")).unwrap();
    report_healthy_readings(&rollout);
    reopened();
    ana.promote("search").unwrap();
    reopened();

    assert_eq!(unmet(ana.promote("search")), ["min_duration", "metric", "criterion", "criterion"]);
    for _ in 0..3 {
        ana.measure("search", "complaints", count("1"), None).unwrap();
        clock.advance(DAY);
        rollout.tick();
    }
    ana.measure("search", "complaints", count("1"), None).unwrap();
    ana.measure("search", "error_rate", percent("0.4%"), Some(900)).unwrap();
    ana.sign("search", "feedback", None).unwrap();
    let outcome = ana.promote("search").unwrap();
    let Fact::Promoted { forced: None, grounds, .. } = &outcome.records[0].fact else {
        panic!("{outcome:?}")
    };
    let expected = [
        "at least 3d: 3d in `pilot`",
        "error_rate < 1%: 0.4%",
        "complaints < 3 for 2d: 3d",
        "feedback signed by ana",
    ];
    assert!(grounds.iter().map(|it| &**it).eq(expected), "{grounds:?}");
    reopened();
    assert!(gate.is_enabled("anybody", "search"));

    assert_eq!(unmet(ana.promote("search")), ["watch", "trigger", "trigger"]);
    for _ in 0..2 {
        ana.sign("search", "watch", None).unwrap();
        clock.advance(2 * HOUR);
        assert_eq!(rollout.tick().records.len(), 0);
    }
    clock.advance(2 * HOUR);
    let report = rollout.tick();
    assert_eq!(report.records[0].fact.to_string(), "check 3 of the watch missed");
    assert_eq!(report.alerts[0].1.kind, AlertKind::WatchMissed);
    reopened();
    report_healthy_readings(&rollout);
    let outcome = ana.promote("search").unwrap();
    assert_eq!(outcome.state.progress(), Progress::Complete);
    assert_eq!(outcome.state.stage, "ga");
    reopened();
    assert_eq!(unmet(ana.promote("search")), ["complete"]);
    assert_eq!(unmet(ana.force("search", "why not")), ["complete"]);
}

#[test]
fn a_hold_blocks_even_forced_promotion_and_a_rollback_ends_it() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    assert_eq!(unmet(ana.hold("search", " ")), ["reason"]);
    assert_eq!(unmet(ana.resume("search", None)), ["not_held"]);
    ana.hold("search", "legal").unwrap();
    assert_eq!(unmet(ana.hold("search", "again")), ["held"]);
    assert_eq!(unmet(ana.promote("search")), ["held"]);
    assert_eq!(unmet(ana.force("search", "now")), ["held"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    ana.resume("search", Some("legal agrees")).unwrap();
    ana.promote("search").unwrap();
    ana.hold("search", "a doubt").unwrap();
    let state = ana.roll_back("search", "the doubt was right").unwrap().state;
    assert_eq!((state.progress(), state.hold), (Progress::RolledBack, None));
}

#[test]
fn force_skips_with_a_reason_and_records_what_it_skipped() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    assert_eq!(unmet(ana.force("search", "")), ["reason"]);
    ana.promote("search").unwrap();
    assert!(ana.force_to("search", "glad", "typo").unwrap_err().is_not_found());
    assert_eq!(unmet(ana.force_to("search", "internal", "not above")), ["stage"]);
    let outcome = ana.force_to("search", "ga", "the old code is broken").unwrap();
    assert_eq!(
        outcome.records[0].to_string(),
        "#3 2026-01-05T09:00:00Z ana: search: forced (the old code is broken), internal -> ga"
    );
    let Fact::Promoted { grounds, .. } = &outcome.records[0].fact else { panic!("{outcome:?}") };
    assert!(grounds.iter().map(|it| &**it).eq([
        "0s of at least 1d spent in stage `internal`",
        "`load-test` is not signed: The load test passed",
        "`error_rate` has not been read in stage `internal`",
        "`complaints` has not been read in stage `internal`",
        "skips pilot",
    ]));
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn a_trigger_rolls_back_and_blocks_promotion_until_its_incident_is_closed() {
    let (rollout, clock, store) = in_pilot();
    let ana = rollout.by("ana");
    // With too few samples the trigger does not fire. The metric's alert is sent anyway.
    let outcome = ana.measure("search", "error_rate", percent("9%"), Some(99)).unwrap();
    assert_eq!(outcome.state.stage, "pilot");
    assert_eq!(outcome.alerts[0].kind, AlertKind::Metric);
    let outcome = ana.measure("search", "error_rate", percent("9%"), Some(100)).unwrap();
    assert_eq!(outcome.records.len(), 2);
    assert_eq!(outcome.state.stage, "internal", "the plan's target is the previous stage");
    assert_eq!(outcome.alerts.last().unwrap().responsible.as_deref(), Some("on call"));
    assert!(!rollout.gate().is_enabled("user-9", "search"));
    assert_same_after_reopen(&rollout, &store, &clock);

    clock.advance(DAY);
    ana.sign("search", "load-test", None).unwrap();
    assert_eq!(unmet(ana.promote("search")), ["incident", "trigger", "trigger"]);
    assert_eq!(unmet(ana.force("search", "trust me")), ["incident"]);
    assert_eq!(unmet(ana.close("search", "done")), ["incident"]);
    assert_eq!(unmet(ana.step("search", None)), ["verify"]);
    ana.measure("search", "error_rate", percent("6%"), Some(99)).unwrap();
    assert_eq!(unmet(ana.step("search", None)), ["verify"], "the metric has not recovered");
    ana.measure("search", "error_rate", percent("0.2%"), None).unwrap();
    let report = rollout.tick();
    assert_eq!(report.records.last().unwrap().fact.to_string(), "incident: verify done");
    ana.step("search", Some("told")).unwrap();
    assert_eq!(unmet(ana.step("search", None)), ["investigate"]);
    assert_eq!(unmet(ana.close("search", "  ")), ["note"]);
    ana.close("search", "an index").unwrap();
    assert_same_after_reopen(&rollout, &store, &clock);
    report_healthy_readings(&rollout);
    ana.promote("search").unwrap();
    assert_eq!(unmet(ana.close("search", "again")), ["no_incident"]);
}

#[test]
fn a_failing_verification_escalates_person_by_person() {
    let (rollout, clock, store) = in_pilot();
    let ana = rollout.by("ana");
    ana.measure("search", "error_rate", percent("9%"), Some(100)).unwrap();
    let mut asked = Vec::new();
    for _ in 0..40 {
        clock.advance(HOUR / 12);
        for (_, alert) in rollout.tick().alerts {
            assert_eq!(alert.kind, AlertKind::Escalation);
            asked.push(alert.text.split(' ').next().unwrap().to_owned());
        }
    }
    assert_eq!(asked, ["lead", "CTO"], "each person is asked once, ten minutes apart");
    assert_same_after_reopen(&rollout, &store, &clock);
    let event = stagegate::rollout::Event::Step {
        note: None,
        overriding: Some("the monitoring is gone, too".to_owned()),
    };
    let outcome = ana.act("search", &event).unwrap();
    assert!(outcome.records[0].to_string().ends_with("overridden (the monitoring is gone, too)"));
}

#[test]
fn an_incident_blocks_promotion_and_rolls_back_if_a_trigger_names_it() {
    let (rollout, clock, store) = in_pilot();
    let ana = rollout.by("ana");
    let outcome = ana.report("search", "critical_bug", Some("in the title")).unwrap();
    assert_eq!(outcome.state.progress(), Progress::Running);
    assert_eq!(outcome.alerts[0].kind, AlertKind::Decision);
    assert!(unmet(ana.force("search", "no matter")).contains(&"incident"));
    ana.close("search", "it is no incident").unwrap();

    ana.report("search", "data_integrity", None).unwrap();
    ana.step("search", Some("we take it back")).unwrap();
    let outcome = ana.step("search", None).unwrap();
    assert_eq!(outcome.state.progress(), Progress::RolledBack);
    assert_same_after_reopen(&rollout, &store, &clock);

    let (rollout, clock, store) = in_pilot();
    let outcome = rollout.by("scanner").report("search", "security", None).unwrap();
    assert_eq!(outcome.records.len(), 2);
    assert_eq!(outcome.state.stage, "internal");
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn sign_offs_expire_and_can_be_withdrawn() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    assert_eq!(unmet(ana.sign("search", "load-tests", None)), ["item"]);
    ana.sign("search", "load-test", None).unwrap();
    ana.unsign("search", "load-test", Some("the wrong build")).unwrap();
    assert_eq!(unmet(ana.unsign("search", "load-test", None)), ["item"]);
    ana.sign("search", "load-test", None).unwrap();
    clock.advance(2 * DAY);
    assert_eq!(rollout.tick().records.len(), 0);
    clock.advance(HOUR);
    report_healthy_readings(&rollout);
    assert_eq!(unmet(ana.promote("search")), ["checklist"]);
    let report = rollout.tick();
    assert_eq!(report.records[0].by, "stagegate".into());
    assert_eq!(report.records[0].fact.to_string(), "signature of load-test expired");
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn missing_and_stale_readings_never_promote() {
    let (rollout, clock, _) = in_pilot();
    let ana = rollout.by("ana");
    ana.sign("search", "feedback", None).unwrap();
    for _ in 0..3 {
        ana.measure("search", "complaints", count("1"), None).unwrap();
        clock.advance(DAY);
    }
    ana.measure("search", "complaints", count("1"), None).unwrap();
    assert_eq!(unmet(ana.promote("search")), ["metric"], "never read");
    ana.measure("search", "error_rate", None, None).unwrap();
    assert_eq!(unmet(ana.promote("search")), ["metric"], "no data");
    ana.measure("search", "error_rate", percent("1%"), None).unwrap();
    assert_eq!(unmet(ana.promote("search")), ["metric"], "1% is not below 1%");
    ana.measure("search", "error_rate", percent("0%"), None).unwrap();
    clock.advance(HOUR / 6 + std::time::Duration::from_millis(1));
    assert_eq!(unmet(ana.promote("search")), ["metric"], "older than ten minutes");
    ana.measure("search", "error_rate", percent("0%"), None).unwrap();
    ana.promote("search").unwrap();
}

#[test]
fn a_gap_in_the_readings_restarts_the_time() {
    let (rollout, clock, _) = in_pilot();
    let ana = rollout.by("ana");
    ana.sign("search", "feedback", None).unwrap();
    ana.measure("search", "complaints", count("1"), None).unwrap();
    clock.advance(DAY + HOUR);
    ana.measure("search", "complaints", count("1"), None).unwrap();
    clock.advance(DAY);
    ana.measure("search", "complaints", count("1"), None).unwrap();
    clock.advance(DAY - HOUR);
    ana.measure("search", "error_rate", percent("0%"), None).unwrap();
    let refused = ana.promote("search").unwrap_err();
    let unmet = &refused.refusals()[0].unmet;
    assert_eq!(unmet.len(), 1, "{refused}");
    assert_eq!(unmet[0].found, "`complaints` has been < 3 for 1d 23h of 2d");
    assert_eq!(unmet[0].wait, Some(HOUR));
}

#[test]
fn status_shows_the_next_stage_and_overdue_work() {
    let (rollout, clock, _) = in_pilot();
    clock.advance(6 * DAY);
    let status = rollout.status();
    let flag = status.flags.iter().find(|it| &*it.flag == "search").unwrap();
    assert_eq!(flag.next.unwrap(), "ga");
    assert_eq!(flag.rollback_target, "internal");
    assert_eq!((&*flag.declared, &*flag.state.stage), ("off", "pilot"));
    assert_eq!(flag.overdue, ["in `pilot` for 6d, planned at most 5d"]);
    assert_eq!(flag.responsible.as_deref(), Some("on call"));
    assert_eq!(status.age, Some(6 * DAY));
    assert_eq!(rollout.tick().overdue.len(), 1, "overdue work is listed and not skipped");
    assert!(rollout.report("serach").unwrap_err().to_string().contains("did you mean `search`?"));
}

#[test]
fn past_states_can_be_queried() {
    let (rollout, clock, _) = start_rollout();
    let ana = rollout.by("ana");
    let stage_at = |moment| {
        let past = rollout.at(moment).unwrap();
        past.flags.iter().find(|(key, _)| &**key == "search").unwrap().1.stage.to_string()
    };
    let begin = monday();
    clock.advance(HOUR);
    ana.promote("search").unwrap();
    clock.advance(DAY);
    ana.roll_back("search", "x").unwrap();
    assert_eq!(stage_at(begin), "off");
    assert_eq!(stage_at(begin + HOUR), "internal");
    assert_eq!(stage_at(begin + DAY), "internal");
    assert_eq!(stage_at(begin + DAY + HOUR), "off");
    let error = rollout.at(begin - HOUR).unwrap_err();
    assert_eq!(error.to_string(), "(memory): there is no rollout yet; start one with a document");
}

#[test]
fn a_reason_of_any_length_blocks_no_rollback() {
    let (rollout, clock, store) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    let log = "é".repeat(10 << 20);
    let by = "x".repeat(10 << 20);
    rollout.by(&by).roll_back("search", &log).unwrap();
    assert_eq!(rollout.report("search").unwrap().state.stage, "off");
    let record = rollout.records(3).unwrap().pop().unwrap();
    let text = record.to_string();
    assert!(text.contains(&format!("{}… ({} bytes more)", "é".repeat(2048), (20 << 20) - 4096)));
    assert!(text.len() < 10_000, "{}", text.len());
    assert_same_after_reopen(&rollout, &store, &clock);
}

/// A flag stays at 10% for two days, then people look, then it stays at 10% for a week.
#[test]
fn a_pause_at_the_same_share_has_conditions_of_its_own_and_changes_nobody() {
    let document = r#"
        schema = 1
        [groups.team]
        users = ["ana"]
        [flags.a]
        rollback.target = "previous"
        stages = [
            { name = "team", groups = ["team"] },
            { name = "pilot", percent = 10, min_duration = "2d" },
            { name = "look", percent = 10, checklist = [{ id = "looked", text = "Looked" }] },
            { name = "wait", percent = 10, min_duration = "1w" },
            { name = "ga", percent = 100 },
        ]
    "#;
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana").unwrap();
    let (ana, gate) = (rollout.by("ana"), rollout.gate().clone());
    let users = || (0..10_000_u64).filter(|user| gate.is_enabled(*user, "a")).collect::<Vec<_>>();
    ana.promote("a").unwrap();
    ana.promote("a").unwrap();
    let of_pilot = users();
    assert!((800..1_200).contains(&of_pilot.len()));
    assert_eq!(unmet(ana.promote("a")), ["min_duration"]);
    clock.advance(2 * DAY);
    ana.promote("a").unwrap();
    assert_eq!(unmet(ana.promote("a")), ["checklist"]);
    ana.sign("a", "looked", None).unwrap();
    ana.promote("a").unwrap();
    // The week counts from the beginning of the pause.
    assert_eq!(unmet(ana.promote("a")), ["min_duration"]);
    assert_eq!(users(), of_pilot);
    clock.advance(7 * DAY);
    ana.promote("a").unwrap();
    assert_eq!(users().len(), 10_000);
    // Back to the pause is back to 10%.
    assert_eq!(ana.roll_back("a", "a doubt").unwrap().state.stage, "wait");
    assert_eq!(users(), of_pilot);
    // A rollback out of a pause takes the flag from users, so it skips the stages at the same share.
    assert_eq!(ana.roll_back("a", "another doubt").unwrap().state.stage, "team");
    assert!(users().is_empty());
}
