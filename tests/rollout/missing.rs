//! What is missing of readings that triggers go by.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Event, Fact, Rollout, Standing};
use stagegate::store::Memory;

use super::{HOUR, monday, percent};

/// How long a reading of what an application records counts.
const STALE: Duration = Duration::from_secs(600);

const ERRORS: &str =
    "{ metric = \"error_rate\", above = \"5%\", no_data = \"hold\", action = \"rollback\" }";

/// `few`, which goes on by itself after an hour, with triggers.
fn begun(few: &str, triggers: &str) -> (Rollout, ManualClock) {
    let document = format!(
        "schema = 1\n[flags.a]\nstage = \"few\"\ntriggers = [{triggers}]\n\
         [[flags.a.stages]]\nname = \"few\"\npercent = 10\n{few}\n\
         [[flags.a.stages]]\nname = \"all\"\npercent = 100\n"
    );
    let clock = ManualClock::at(monday());
    (Rollout::start(Memory::new(), clock.clone(), &*document, "ana").unwrap(), clock)
}

/// A trigger with `minimum_sample` never fired on what Prometheus says, which is of no number of samples.
#[test]
fn a_reading_that_does_not_say_of_how_many_samples_it_is_is_enough_for_a_trigger() {
    const TRIGGER: &str = "{ metric = \"error_rate\", above = \"5%\", minimum_sample = 100, no_data = \"hold\", action = \"rollback\" }";
    let (rollout, _) = begun("", TRIGGER);
    let monitor = rollout.by("monitor");
    let state = monitor.measure("a", "error_rate", percent("9%"), Some(99)).unwrap().state;
    assert_eq!(state.standing(), Standing::Running, "too few");
    let state = monitor.measure("a", "error_rate", percent("9%"), None).unwrap().state;
    assert_eq!(state.standing(), Standing::RolledBack);
    assert_eq!(&*state.incident.unwrap().about, "error_rate > 5% (9%)");
}

/// At `few`, which lets go after an hour; that hour is over.
fn waited(few: &str, triggers: &str) -> (Rollout, ManualClock) {
    let (rollout, clock) =
        begun(&format!("advance = \"auto\"\nmin_duration = \"1h\"\n{few}"), triggers);
    clock.advance(HOUR);
    (rollout, clock)
}

/// What stands between the flag and its promotion, after a tick that has done nothing.
#[track_caller]
fn against(rollout: &Rollout) -> Vec<String> {
    assert!(rollout.tick().records.is_empty());
    let report = rollout.report("a").unwrap();
    let unmet = report.unmet.iter().map(|unmet| format!("{}: {unmet}", unmet.kind));
    unmet.collect()
}

/// The grounds of the promotion that a tick makes.
#[track_caller]
fn grounds(rollout: &Rollout) -> Vec<Box<str>> {
    let records = rollout.tick().records;
    let Some(Fact::Promoted { forced: None, grounds, .. }) = records.first().map(|it| &it.fact)
    else {
        panic!("{records:?}: {:?}", rollout.report("a").unwrap().unmet)
    };
    grounds.clone()
}

/// A stage that asks nothing of a metric went on, though the trigger on it had `no_data = "hold"` and there
/// was never a reading.
#[test]
fn a_metric_that_a_trigger_watches_and_nobody_reads_promotes_nothing() {
    let (rollout, clock) = waited("", ERRORS);
    let ana = rollout.by("ana");
    let unread =
        "trigger: `error_rate` has not been read in stage `few`; report it: a trigger watches it";
    assert_eq!(against(&rollout), [unread]);
    assert!(ana.promote("a").unwrap_err().refusals()[0].has("trigger"));

    ana.measure("a", "error_rate", None, None).unwrap();
    let empty = "trigger: `error_rate` has no data; no data is not health: a trigger watches it";
    assert_eq!(against(&rollout), [empty]);

    ana.measure("a", "error_rate", percent("0.4%"), None).unwrap();
    clock.advance(STALE + Duration::from_secs(1));
    let old = "trigger: the last reading of `error_rate` is 10m 1s old, and counts for 10m; report it again: a trigger watches it";
    assert_eq!(against(&rollout), [old]);

    ana.measure("a", "error_rate", percent("0.4%"), None).unwrap();
    clock.advance(STALE);
    let expected = ["at least 1h: 1h 20m in `few`", "error_rate is known: 0.4%"];
    assert!(grounds(&rollout).iter().map(|it| &**it).eq(expected));

    // What was read in one stage says nothing of the next, and the last one is no other.
    let unread = unread.replace("few", "all");
    assert_eq!(against(&rollout), [unread]);
    ana.force("a", "it was looked at by hand").unwrap();
    assert!(rollout.report("a").unwrap().state.complete);
}

#[test]
fn nobody_has_a_flag_that_is_off_so_nothing_is_asked_of_its_metrics() {
    let (rollout, _) = waited("", ERRORS);
    let ana = rollout.by("ana");
    ana.roll_back("a", "a doubt").unwrap();
    for _ in 0..2 {
        ana.step("a", None).unwrap();
    }
    ana.close("a", "it was none").unwrap();
    assert_eq!(ana.promote("a").unwrap().state.stage, "few");
}

/// A trigger that asks, and one that takes back what nobody reads: a tick comes first then, a promotion does not.
#[test]
fn whatever_a_trigger_makes_of_no_data_the_flag_does_not_go_on() {
    let triggers = ERRORS.replace("no_data = \"hold\"", "no_data = \"rollback\"");
    let (rollout, _) = waited("", &triggers);
    assert!(rollout.by("ana").promote("a").unwrap_err().refusals()[0].has("trigger"));
    rollout.tick();
    assert_eq!(rollout.report("a").unwrap().standing, Standing::RolledBack);

    let (rollout, _) = waited("", &ERRORS.replace("action = \"rollback\"", "action = \"decide\""));
    assert_eq!(against(&rollout).len(), 1);
}

/// Of several triggers on a metric the one counts that asks for most samples.
#[test]
fn too_few_samples_promote_nothing() {
    let triggers = [(5, 500), (6, 100)].map(|(above, least)| {
        format!(
            "{{ metric = \"error_rate\", above = \"{above}%\", minimum_sample = {least}, no_data = \"hold\", action = \"rollback\" }}"
        )
    });
    let (rollout, _) = waited("", &triggers.join(", "));
    let ana = rollout.by("ana");
    ana.measure("a", "error_rate", percent("0.4%"), Some(1)).unwrap();
    let few = |of: &str| {
        format!(
            "trigger: the last reading of `error_rate` is of {of}; report it from more: a trigger that watches it asks for 500"
        )
    };
    assert_eq!(against(&rollout), [few("1 sample")]);
    // Not of enough either, so that it says nothing new.
    ana.measure("a", "error_rate", percent("0.4%"), Some(499)).unwrap();
    assert_eq!(against(&rollout), [few("1 sample")]);
    // That it is of enough is new, and that it is not any more.
    ana.measure("a", "error_rate", percent("0.4%"), Some(500)).unwrap();
    assert_eq!(rollout.report("a").unwrap().unmet, []);
    ana.measure("a", "error_rate", percent("0.4%"), Some(499)).unwrap();
    assert_eq!(against(&rollout), [few("499 samples")]);
    ana.measure("a", "error_rate", percent("0.4%"), Some(500)).unwrap();
    assert_eq!(&*grounds(&rollout)[1], "error_rate is known: 0.4%, of 500 samples");
}

#[test]
fn a_metric_that_the_stage_asks_for_too_is_told_once() {
    let of_stage = [
        ("metric", "metrics = { error_rate = { target = \"< 1%\" } }"),
        ("criterion", "criteria = [{ metric = \"error_rate\", target = \"< 1%\" }]"),
    ];
    for (kind, few) in of_stage {
        let other =
            "{ metric = \"complaints\", above = 5, no_data = \"hold\", action = \"decide\" }";
        let twice =
            "{ metric = \"complaints\", above = 9, no_data = \"hold\", action = \"rollback\" }";
        let (rollout, _) = waited(few, &[ERRORS, other, twice].join(", "));
        let error_rate = format!(
            "{kind}: `error_rate` has not been read in stage `few`; report it: it has to be < 1%"
        );
        let complaints = "trigger: `complaints` has not been read in stage `few`; report it: a trigger watches it";
        assert_eq!(against(&rollout), [&error_rate, complaints]);
    }
}

/// What a guard has measured is a reading.
#[test]
fn what_a_guard_has_measured_is_known() {
    let (rollout, _) = waited("", ERRORS);
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
fn a_trigger_that_a_document_brings_has_no_data_only_from_then_on() {
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
            ["a has to show anew: metric error_rate"],
            "{before}"
        );
        // Ten minutes are what a reading by the application counts for.
        for (minutes, stage) in [(0, "all"), (10, "all"), (1, "off")] {
            clock.advance(Duration::from_secs(60 * minutes));
            rollout.tick();
            assert_eq!(rollout.report("a").unwrap().state.stage, stage, "{before} {minutes}");
            super::is_the_same_reopened(&rollout, &store, &clock);
        }
    }
}
