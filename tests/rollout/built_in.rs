//! The built-in plan in a rollout: it has no calendar, and sends no message until the document names a channel.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use stagegate::clock::ManualClock;
use stagegate::model::{Criterion, Quantity, Unit};
use stagegate::rollout::{Fact, Notification, RenderedMessage, Rollout, Sink};
use stagegate::store::Memory;

use super::{DAY, HOUR, assert_same_after_reopen, count, monday, percent, unmet};

/// A sink that stores the messages of a rollout.
#[derive(Clone, Debug, Default)]
struct Messages(Arc<Mutex<Vec<RenderedMessage>>>);

impl Sink for Messages {
    fn tell(&self, notification: &Notification) {
        self.0.lock().unwrap().extend(notification.message.clone());
    }
}

impl Messages {
    /// Returns the subjects of the messages since the last call, each with its channel.
    fn subjects(&self) -> Vec<String> {
        let messages = std::mem::take(&mut *self.0.lock().unwrap());
        let line =
            |it: RenderedMessage| format!("{}: {}", it.channel, it.subject.unwrap_or_default());
        messages.into_iter().map(line).collect()
    }
}

fn start_rollout(document: &str, at: SystemTime) -> (Rollout, ManualClock, Memory, Messages) {
    let (store, clock) = (Memory::new(), ManualClock::at(at));
    let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
    let messages = Messages::default();
    rollout.tell(messages.clone());
    (rollout, clock, store, messages)
}

const PLAIN: &str = "schema = 1\n[flags.a]";

/// Signs every item of the flag's stage, and reports the metrics that triggers watch.
fn meet_conditions(rollout: &Rollout) {
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
        let (rollout, clock, store, _) = start_rollout(PLAIN, start);
        let ana = rollout.by("ana");
        ana.promote("a").unwrap();
        assert_eq!(rollout.report("a").unwrap().state.stage, "internal");
        meet_conditions(&rollout);
        assert_eq!(unmet(ana.promote("a")), ["min_duration"]);
        clock.advance(DAY);
        meet_conditions(&rollout);
        ana.promote("a").unwrap();
        assert_eq!(rollout.report("a").unwrap().state.stage, "pilot");
        assert_same_after_reopen(&rollout, &store, &clock);
    }
}

#[test]
fn the_pilot_of_the_built_in_plan_requires_what_the_template_requires() {
    let (rollout, clock, _, _) = start_rollout(PLAIN, monday());
    let ana = rollout.by("ana");
    ana.force("a", "test").unwrap();
    ana.force("a", "test").unwrap();
    let expected = ["min_duration", "metric", "metric", "metric", "metric"];
    let criteria = ["criterion"; 4];
    let checklist = ["checklist"; 7];
    // The error rate below 1% is both a target and a criterion. It is listed once.
    assert_eq!(unmet(ana.promote("a")), [&expected[..], &criteria, &checklist].concat());
    let read = || {
        meet_conditions(&rollout);
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
fn without_a_channel_no_message_is_sent() {
    let (rollout, clock, _, messages) = start_rollout(PLAIN, monday());
    let ana = rollout.by("ana");
    let tick = || {
        let report = rollout.tick();
        assert!(report.messages.is_empty(), "{:?}", report.messages);
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
    assert_eq!(messages.subjects(), [""; 0]);
    let records = rollout.records(1).unwrap();
    let messaged = records.iter().filter(|it| matches!(it.fact, Fact::Messaged { .. }));
    assert_eq!(messaged.count(), 0);
}

#[test]
fn the_messages_to_an_audience_go_to_its_channel() {
    let document = format!("{PLAIN}\n[channels]\ninternal = \"#releases\"");
    let (rollout, clock, store, messages) = start_rollout(&document, monday());
    let ana = rollout.by("ana");
    rollout.tick();
    assert_eq!(
        messages.subjects(),
        [""; 0],
        "the flag is off, so the start of the pilot is unknown"
    );
    ana.promote("a").unwrap();
    rollout.tick();
    assert_eq!(messages.subjects(), ["#releases: Pilot starting tomorrow"]);
    clock.advance(DAY);
    meet_conditions(&rollout);
    ana.promote("a").unwrap();
    rollout.tick();
    assert_eq!(messages.subjects(), ["#releases: Pilot live, monitoring"]);
    clock.advance(Duration::from_secs(8 * 24 * 60 * 60));
    rollout.tick();
    assert_eq!(messages.subjects(), [""; 0], "the weekly message is for the client");
    ana.force("a", "test").unwrap();
    rollout.tick();
    assert_eq!(messages.subjects(), ["#releases: Pilot results: [summary]"]);
    ana.force("a", "test").unwrap();
    rollout.tick();
    assert_eq!(messages.subjects(), ["#releases: GA complete, [status]"]);
    ana.roll_back("a", "test").unwrap();
    rollout.tick();
    assert_eq!(messages.subjects(), [""; 0], "the template has no message of a rollback");
    assert_same_after_reopen(&rollout, &store, &clock);
}
