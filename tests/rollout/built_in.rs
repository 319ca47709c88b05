//! The built-in plan in a rollout: it has no calendar, and tells nobody anything before the document names a channel.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{Criterion, Quantity, Unit};
use stagegate::rollout::{Fact, Letter, Notification, Rollout, Sink};
use stagegate::store::Memory;

use super::{DAY, HOUR, count, is_the_same_reopened, monday, percent, unmet};

/// The letters that a rollout sends.
#[derive(Clone, Debug, Default)]
struct Letters(Arc<Mutex<Vec<Letter>>>);

impl Sink for Letters {
    fn tell(&self, notification: &Notification) {
        self.0.lock().unwrap().extend(notification.letter.clone());
    }
}

impl Letters {
    /// Returns the subjects of the letters since the last call, each with its channel.
    fn subjects(&self) -> Vec<String> {
        let letters = std::mem::take(&mut *self.0.lock().unwrap());
        let line = |it: Letter| format!("{}: {}", it.channel, it.subject.unwrap_or_default());
        letters.into_iter().map(line).collect()
    }
}

fn begun(document: &str, at: SystemTime) -> (Rollout, ManualClock, Memory, Letters) {
    let (store, clock) = (Memory::new(), ManualClock::at(at));
    let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
    let letters = Letters::default();
    rollout.tell(letters.clone());
    (rollout, clock, store, letters)
}

const PLAIN: &str = "schema = 1\n[flags.a]";

/// Signs what people sign in the flag's stage, and reads the metrics that triggers watch.
fn show(rollout: &Rollout) {
    let (ana, plan) = (rollout.by("ana"), rollout.plan());
    let state = rollout.report("a").unwrap().state;
    let stage = plan.flag("a").unwrap().stages().find(|it| it.name() == state.stage).unwrap();
    for condition in stage.details().conditions() {
        if let Criterion::Manual { id, .. } = condition {
            ana.sign("a", id, None).unwrap();
        }
    }
    let second = Quantity::parse("1s", Unit::Duration).ok();
    ana.measure("a", "error_rate", percent("0.4%"), Some(900)).unwrap();
    ana.measure("a", "latency_p95", second, Some(900)).unwrap();
    ana.measure("a", "complaints", count("1"), None).unwrap();
}

#[test]
fn a_flag_of_the_built_in_plan_is_promoted_at_any_hour_of_any_day() {
    let thursday_night = monday() + 3 * DAY + 14 * HOUR;
    let sunday = monday() + 6 * DAY;
    for start in [thursday_night, sunday] {
        let (rollout, clock, store, _) = begun(PLAIN, start);
        let ana = rollout.by("ana");
        ana.promote("a").unwrap();
        assert_eq!(rollout.report("a").unwrap().state.stage, "internal");
        show(&rollout);
        assert_eq!(unmet(ana.promote("a")), ["min_duration"]);
        clock.advance(DAY);
        show(&rollout);
        ana.promote("a").unwrap();
        assert_eq!(rollout.report("a").unwrap().state.stage, "pilot");
        is_the_same_reopened(&rollout, &store, &clock);
    }
}

#[test]
fn the_built_in_plan_asks_in_the_pilot_for_what_the_template_asks() {
    let (rollout, clock, _, _) = begun(PLAIN, monday());
    let ana = rollout.by("ana");
    ana.force("a", "test").unwrap();
    ana.force("a", "test").unwrap();
    let expected = ["min_duration", "metric", "metric", "metric", "metric"];
    let criteria = ["criterion"; 4];
    let checklist = ["checklist"; 7];
    // The error rate below 1% is a target and a criterion. It is asked for once.
    assert_eq!(unmet(ana.promote("a")), [&expected[..], &criteria, &checklist].concat());
    let read = || {
        show(&rollout);
        ana.measure("a", "support_tickets", count("1"), None).unwrap();
        ana.measure("a", "nps", Quantity::parse("8", Unit::Number).ok(), None).unwrap();
    };
    clock.advance(4 * DAY);
    read();
    assert_eq!(unmet(ana.promote("a")), [&["min_duration"], &["checklist"; 4][..]].concat());
    for _ in 0..3 * 24 * 12 {
        clock.advance(HOUR / 12);
        read();
    }
    ana.promote("a").unwrap();
    assert_eq!(rollout.report("a").unwrap().state.stage, "expanded");
}

#[test]
fn without_a_channel_nobody_is_told_anything() {
    let (rollout, clock, _, letters) = begun(PLAIN, monday());
    let ana = rollout.by("ana");
    let tick = || {
        let report = rollout.tick();
        assert!(report.letters.is_empty(), "{:?}", report.letters);
    };
    tick();
    for _ in 0..4 {
        ana.force("a", "test").unwrap();
        for _ in 0..20 {
            tick();
            clock.advance(DAY);
        }
    }
    ana.roll_back("a", "test").unwrap();
    tick();
    assert_eq!(letters.subjects(), [""; 0]);
    let records = rollout.records(1).unwrap();
    let messaged = records.iter().filter(|it| matches!(it.fact, Fact::Messaged { .. }));
    assert_eq!(messaged.count(), 0);
}

#[test]
fn the_messages_to_an_audience_go_to_its_channel() {
    let document = format!("{PLAIN}\n[channels]\ninternal = \"#releases\"");
    let (rollout, clock, store, letters) = begun(&document, monday());
    let ana = rollout.by("ana");
    rollout.tick();
    assert_eq!(letters.subjects(), [""; 0], "off, and nobody knows when it begins");
    ana.promote("a").unwrap();
    rollout.tick();
    assert_eq!(letters.subjects(), ["#releases: Pilot starting tomorrow"]);
    clock.advance(DAY);
    show(&rollout);
    ana.promote("a").unwrap();
    rollout.tick();
    assert_eq!(letters.subjects(), ["#releases: Pilot live, monitoring"]);
    clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    rollout.tick();
    assert_eq!(letters.subjects(), [""; 0], "the weekly message is for the client");
    ana.force("a", "test").unwrap();
    rollout.tick();
    assert_eq!(letters.subjects(), ["#releases: Pilot results: [summary]"]);
    ana.force("a", "test").unwrap();
    rollout.tick();
    assert_eq!(letters.subjects(), ["#releases: GA complete, [status]"]);
    ana.roll_back("a", "test").unwrap();
    rollout.tick();
    assert_eq!(letters.subjects(), [""; 0], "the template has no message of a rollback");
    is_the_same_reopened(&rollout, &store, &clock);
}
