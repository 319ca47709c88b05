//! Missing readings of metrics that triggers watch.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Event, Fact, Progress, Rollout};
use stagegate::store::Memory;

use super::{HOUR, monday, percent};

/// The default `stale_after` of metrics that an application records.
const STALE: Duration = Duration::from_secs(600);

const ERRORS: &str =
    "{ metric = \"error_rate\", above = \"5%\", no_data = \"hold\", action = \"rollback\" }";

/// Starts a rollout with a flag at stage `few`, with more fields of the stage and with triggers.
fn start_rollout(few: &str, triggers: &str) -> (Rollout, ManualClock) {
    let document = format!(
        "schema = 1\n[flags.a]\nstage = \"few\"\ntriggers = [{triggers}]\n\
         [[flags.a.stages]]\nname = \"few\"\npercent = 10\n{few}\n\
         [[flags.a.stages]]\nname = \"all\"\npercent = 100\n"
    );
    let clock = ManualClock::at(monday());
    (Rollout::start(Memory::new(), clock.clone(), &*document, "ana").unwrap(), clock)
}

/// A former bug: a trigger with `minimum_sample` never fired on readings from Prometheus, which have no sample count.
#[test]
fn a_reading_without_a_sample_count_satisfies_minimum_sample() {
    const TRIGGER: &str = "{ metric = \"error_rate\", above = \"5%\", minimum_sample = 100, no_data = \"hold\", action = \"rollback\" }";
    let (rollout, _) = start_rollout("", TRIGGER);
    let monitor = rollout.by("monitor");
    let state = monitor.measure("a", "error_rate", percent("9%"), Some(99)).unwrap().state;
    assert_eq!(state.progress(), Progress::Running, "99 samples are too few");
    let state = monitor.measure("a", "error_rate", percent("9%"), None).unwrap().state;
    assert_eq!(state.progress(), Progress::RolledBack);
    assert_eq!(&*state.incident.unwrap().about, "error_rate > 5% (9%)");
}

/// Starts a rollout whose stage `few` is left automatically after an hour, and lets that hour pass.
fn start_and_wait(few: &str, triggers: &str) -> (Rollout, ManualClock) {
    let (rollout, clock) =
        start_rollout(&format!("advance = \"auto\"\nmin_duration = \"1h\"\n{few}"), triggers);
    clock.advance(HOUR);
    (rollout, clock)
}

/// Asserts that a tick does nothing, and returns the unmet conditions.
#[track_caller]
fn unmet_conditions(rollout: &Rollout) -> Vec<String> {
    assert!(rollout.tick().records.is_empty());
    let report = rollout.report("a").unwrap();
    let unmet = report.unmet.iter().map(|unmet| format!("{}: {unmet}", unmet.kind));
    unmet.collect()
}

/// Asserts that a tick promotes the flag, and returns the grounds of the promotion.
#[track_caller]
fn grounds(rollout: &Rollout) -> Vec<Box<str>> {
    let records = rollout.tick().records;
    let Some(Fact::Promoted { forced: None, grounds, .. }) = records.first().map(|it| &it.fact)
    else {
        panic!("{records:?}: {:?}", rollout.report("a").unwrap().unmet)
    };
    grounds.clone()
}

/// A former bug: a flag without any reading was promoted although a trigger had `no_data = "hold"`, because the stage
/// itself had no condition on the metric.
#[test]
fn a_missing_reading_of_a_watched_metric_blocks_promotion() {
    let (rollout, clock) = start_and_wait("", ERRORS);
    let ana = rollout.by("ana");
    let unread =
        "trigger: `error_rate` has not been read in stage `few`; report it: a trigger watches it";
    assert_eq!(unmet_conditions(&rollout), [unread]);
    assert!(ana.promote("a").unwrap_err().refusals()[0].has("trigger"));

    ana.measure("a", "error_rate", None, None).unwrap();
    let empty = "trigger: `error_rate` has no data; report a value: a trigger watches it";
    assert_eq!(unmet_conditions(&rollout), [empty]);

    ana.measure("a", "error_rate", percent("0.4%"), None).unwrap();
    clock.advance(STALE + Duration::from_secs(1));
    let old = "trigger: the last reading of `error_rate` is 10m 1s old, more than its `stale_after` of 10m; report it again: a trigger watches it";
    assert_eq!(unmet_conditions(&rollout), [old]);

    ana.measure("a", "error_rate", percent("0.4%"), None).unwrap();
    clock.advance(STALE);
    let expected = ["at least 1h: 1h 20m in `few`", "error_rate is known: 0.4%"];
    assert!(grounds(&rollout).iter().map(|it| &**it).eq(expected));

    // Readings count for one stage only. The last stage is no exception.
    let unread = unread.replace("few", "all");
    assert_eq!(unmet_conditions(&rollout), [unread]);
    ana.force("a", "it was looked at by hand").unwrap();
    assert!(rollout.report("a").unwrap().state.complete);
}

#[test]
fn a_flag_that_is_off_needs_no_readings_for_promotion() {
    let (rollout, _) = start_and_wait("", ERRORS);
    let ana = rollout.by("ana");
    ana.roll_back("a", "a doubt").unwrap();
    for _ in 0..2 {
        ana.step("a", None).unwrap();
    }
    ana.close("a", "it was none").unwrap();
    assert_eq!(ana.promote("a").unwrap().state.stage, "few");
}

/// With `no_data = "rollback"` a tick rolls back; with `decide` it does nothing. Neither allows a promotion.
#[test]
fn missing_data_blocks_promotion_whatever_the_trigger_does() {
    let triggers = ERRORS.replace("no_data = \"hold\"", "no_data = \"rollback\"");
    let (rollout, _) = start_and_wait("", &triggers);
    assert!(rollout.by("ana").promote("a").unwrap_err().refusals()[0].has("trigger"));
    rollout.tick();
    assert_eq!(rollout.report("a").unwrap().progress, Progress::RolledBack);

    let (rollout, _) =
        start_and_wait("", &ERRORS.replace("action = \"rollback\"", "action = \"decide\""));
    assert_eq!(unmet_conditions(&rollout).len(), 1);
}

/// If several triggers watch a metric, the largest `minimum_sample` counts.
#[test]
fn too_few_samples_block_promotion() {
    let triggers = [(5, 500), (6, 100)].map(|(above, least)| {
        format!(
            "{{ metric = \"error_rate\", above = \"{above}%\", minimum_sample = {least}, no_data = \"hold\", action = \"rollback\" }}"
        )
    });
    let (rollout, _) = start_and_wait("", &triggers.join(", "));
    let ana = rollout.by("ana");
    ana.measure("a", "error_rate", percent("0.4%"), Some(1)).unwrap();
    let few = |of: &str| {
        format!(
            "trigger: the last reading of `error_rate` is 0.4%, of {of}; a trigger requires at least 500 samples"
        )
    };
    assert_eq!(unmet_conditions(&rollout), [few("1 sample")]);
    // The second reading has too few samples, too. It says nothing new, so it is not recorded.
    ana.measure("a", "error_rate", percent("0.4%"), Some(499)).unwrap();
    assert_eq!(unmet_conditions(&rollout), [few("1 sample")]);
    // A change between too few and enough samples is recorded.
    ana.measure("a", "error_rate", percent("0.4%"), Some(500)).unwrap();
    assert_eq!(rollout.report("a").unwrap().unmet, []);
    ana.measure("a", "error_rate", percent("0.4%"), Some(499)).unwrap();
    assert_eq!(unmet_conditions(&rollout), [few("499 samples")]);
    ana.measure("a", "error_rate", percent("0.4%"), Some(500)).unwrap();
    assert_eq!(&*grounds(&rollout)[1], "error_rate is known: 0.4%, of 500 samples");
}

#[test]
fn a_metric_of_both_stage_and_trigger_is_reported_once() {
    let of_stage = [
        ("metric", "metrics = { error_rate = { target = \"< 1%\" } }"),
        ("criterion", "criteria = [{ metric = \"error_rate\", target = \"< 1%\" }]"),
    ];
    for (kind, few) in of_stage {
        let other =
            "{ metric = \"complaints\", above = 5, no_data = \"hold\", action = \"decide\" }";
        let twice =
            "{ metric = \"complaints\", above = 9, no_data = \"hold\", action = \"rollback\" }";
        let (rollout, _) = start_and_wait(few, &[ERRORS, other, twice].join(", "));
        let error_rate = format!(
            "{kind}: `error_rate` has not been read in stage `few`; report it: it has to be < 1%"
        );
        let complaints = "trigger: `complaints` has not been read in stage `few`; report it: a trigger watches it";
        assert_eq!(unmet_conditions(&rollout), [&error_rate, complaints]);
    }
}

#[test]
fn a_figure_from_a_guard_counts_as_a_reading() {
    let (rollout, _) = start_and_wait("", ERRORS);
    let event = Event::Judged {
        stage: rollout.report("a").unwrap().state.stage,
        metric: "error_rate".to_owned(),
        value: percent("0.4%").unwrap(),
        control: percent("0.3%"),
        samples: 1_000,
    };
    rollout.by("guard").act("a", &event).unwrap();
    assert_eq!(
        &*grounds(&rollout)[1],
        "error_rate is known: 0.4% with the flag, 0.3% without, of 1000 samples"
    );
}

#[test]
fn a_new_trigger_counts_missing_data_from_its_update_on() {
    let none = "";
    let holds = "triggers = [{ metric = \"error_rate\", above = \"5%\", no_data = \"hold\", action = \"rollback\" }]";
    for before in [none, holds] {
        let (store, clock) = (Memory::new(), ManualClock::at(monday()));
        let document = "schema = 1\n[flags.a]\nstage = \"all\"\nstages = [{ name = \"all\", percent = 50 }, { name = \"ga\", percent = 100 }]\n";
        let started = format!("{document}{before}\n");
        let rollout = Rollout::start(store.clone(), clock.clone(), started, "ana").unwrap();
        clock.advance(24 * HOUR);
        let watched = format!("{document}{}\n", holds.replace("hold", "rollback"));
        let changes = rollout.by("ana").update(watched).unwrap();
        assert_eq!(
            changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a starts over: metric error_rate"],
            "{before}"
        );
        // Data is missing after `stale_after`, ten minutes.
        for (minutes, stage) in [(0, "all"), (10, "all"), (1, "off")] {
            clock.advance(Duration::from_secs(60 * minutes));
            rollout.tick();
            assert_eq!(rollout.report("a").unwrap().state.stage, stage, "{before} {minutes}");
            super::assert_same_after_reopen(&rollout, &store, &clock);
        }
    }
}
