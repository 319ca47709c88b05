//! Notifications and messages.

use std::sync::{Arc, Mutex};

use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Notification, NotificationKind, Rollout, Sink};
use stagegate::store::Memory;

use super::{DAY, HOUR, assert_same_after_reopen, monday, percent};

const DOCUMENT: &str = r#"
schema = 1
[flags.search]
stages = [
    { name = "team", percent = 1, min_duration = "1d" },
    { name = "pilot", percent = 10, min_duration = "10d", max_duration = "20d", goal = "to see" },
    { name = "ga", percent = 100 },
]
triggers = [{ metric = "error_rate", above = "5%", no_data = "hold", action = "decide" }]
responsibility = [{ contact = "on call", escalation = ["lead"], escalate_after = "10m" }]
messages = [
    { audience = "internal", when = "start", channel = "chat", template = "{{ stage }} began, {{ percent }}%, until {{ ends }}" },
    { audience = "internal", when = "end", channel = "chat", template = "{{ stage }} is over, it began {{ starts }}" },
    { audience = "client", stage = "pilot", when = "-3d", channel = "email", subject = "{{ flag }}", template = "pilot on {{ starts }}" },
    { audience = "client", stage = "ga", when = "-3d", channel = "email", template = "all on {{ starts }}, ask {{ contact }}" },
    { audience = "client", stage = "pilot", when = "weekly", channel = "email", template = "week to {{ date }}" },
    { audience = "user", stage = "pilot", when = "+2d", channel = "app", template = "how is it?" },
    { audience = "client", when = "rollback", channel = "email", template = "{{ stage }}: {{ reason }}{{ goal }}" },
]
"#;

/// A sink that stores notifications.
#[derive(Clone, Debug, Default)]
struct RecordingSink(Arc<Mutex<Vec<Notification>>>);

impl Sink for RecordingSink {
    fn tell(&self, notification: &Notification) {
        self.0.lock().unwrap().push(notification.clone());
    }
}

impl RecordingSink {
    /// Removes and returns the stored notifications.
    fn all(&self) -> Vec<Notification> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Removes the stored notifications, and returns their messages.
    fn messages(&self) -> Vec<String> {
        let messages = self.all().into_iter().filter_map(|it| it.message);
        messages.map(|it| format!("{}: {}", it.audience, it.text)).collect()
    }
}

fn start_rollout() -> (Rollout, ManualClock, Memory, RecordingSink) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let told = RecordingSink::default();
    rollout.tell(told.clone());
    (rollout, clock, store, told)
}

#[test]
fn messages_are_sent_once_when_due() {
    let (rollout, clock, store, told) = start_rollout();
    let ana = rollout.by("ana");
    rollout.tick();
    assert_eq!(told.messages(), [""; 0], "the flag is off, so its start is unknown");
    ana.promote("search").unwrap();
    rollout.tick();
    // The message is due three days before the pilot, which was before the stage `team` began. It is sent at once.
    assert_eq!(
        told.messages(),
        ["internal: team began, 1%, until 2026-01-06", "client: pilot on 2026-01-06"]
    );
    rollout.tick();
    assert_eq!(told.messages(), [""; 0]);
    clock.advance(DAY);
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    rollout.tick();
    assert_eq!(
        told.messages(),
        [
            "internal: team is over, it began 2026-01-05",
            "internal: pilot began, 10%, until 2026-01-26"
        ]
    );
    let mut days = Vec::new();
    for hour in 1..=24 * 10 {
        clock.advance(HOUR);
        rollout.tick();
        days.extend(told.messages().into_iter().map(|message| (hour, message)));
        assert_same_after_reopen(&rollout, &store, &clock);
    }
    let days: Vec<(i32, &str)> = days.iter().map(|(hour, message)| (*hour, &**message)).collect();
    assert_eq!(
        days,
        [
            (48, "user: how is it?"),
            (7 * 24, "client: week to 2026-01-13"),
            (7 * 24, "client: all on 2026-01-16, ask on call"),
        ]
    );
    ana.roll_back("search", "too slow; ").unwrap();
    rollout.tick();
    assert_eq!(told.messages(), ["client: pilot: too slow; to see"]);
}

#[test]
fn late_and_uncertain_messages_are_not_sent() {
    let (rollout, clock, _, told) = start_rollout();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    // No tick for two days.
    clock.advance(2 * DAY);
    rollout.tick();
    assert_eq!(told.messages(), [""; 0]);
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    rollout.tick();
    assert_eq!(told.messages().len(), 2);
    // After two weeks only the last weekly message is sent. The flag is held, so the date of the next stage is unknown.
    ana.hold("search", "a doubt").unwrap();
    clock.advance(14 * DAY);
    rollout.tick();
    assert_eq!(told.messages(), ["client: week to 2026-01-21"]);
    ana.resume("search", None).unwrap();
    rollout.tick();
    assert_eq!(told.messages(), [""; 0], "the message was due a week ago");
    // A stage that was rolled back before its announcement is not announced.
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    ana.roll_back("search", "no").unwrap();
    rollout.tick();
    assert_eq!(told.messages(), ["client: ga: no"]);
}

#[test]
fn without_a_sink_no_message_is_recorded() {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store, clock, DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("search").unwrap();
    assert!(rollout.tick().records.is_empty());
    rollout.tell(RecordingSink::default());
    let report = rollout.tick();
    assert_eq!(report.messages.len(), 2);
    assert!(report.records.iter().all(|it| matches!(it.fact, Fact::Messaged { .. })));
}

#[test]
fn sinks_receive_every_kind_of_notification() {
    /// A sink that panics. The sinks after it still receive notifications.
    #[derive(Debug)]
    struct Panics;
    impl Sink for Panics {
        fn tell(&self, _: &Notification) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    let (rollout, clock, _, _) = start_rollout();
    rollout.tell(Panics);
    let told = RecordingSink::default();
    rollout.tell(told.clone());
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    ana.hold("search", "lunch").unwrap();
    ana.resume("search", None).unwrap();
    ana.measure("search", "error_rate", percent("6%"), None).unwrap();
    clock.advance(HOUR / 6);
    rollout.tick();
    ana.close("search", "a bot").unwrap();
    // A reading within the limit causes no notification.
    ana.measure("search", "error_rate", percent("1%"), None).unwrap();
    rollout.gate().roll_back("search").unwrap();
    rollout.tick();
    let told = told.all();
    let lines: Vec<(&str, &str)> = told
        .iter()
        .filter(|it| it.kind != NotificationKind::MessageDue)
        .map(|it| (it.kind.name(), &*it.text))
        .collect();
    assert_eq!(
        lines,
        [
            ("stage_changed", "promoted, off -> team"),
            ("held", "held (lunch)"),
            ("resumed", "resumed"),
            ("decision", "error_rate > 5%: 6%; roll back?"),
            ("escalation", "lead is asked: incident 6 is at `decide` for 10m: nobody has decided"),
            ("incident_step", "incident closed (a bot)"),
            ("rolled_back", "rolled back (taken down by the application), team -> off"),
            ("incident_step", "incident: verify done"),
        ]
    );
    let decision = told.iter().find(|it| it.kind == NotificationKind::Decision).unwrap();
    assert_eq!(decision.responsible.as_deref(), Some("on call"));
    assert_eq!(decision.answer_by, Some(monday() + HOUR / 6));
    assert_eq!(
        told.last().unwrap().to_json().split_once(",\"flag\"").unwrap().0,
        r#"{"schema":1,"at":"2026-01-05T09:10:00Z""#
    );
}
