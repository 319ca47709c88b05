//! Who is told what, and when.

use std::sync::{Arc, Mutex};

use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Notification, NotificationKind, Rollout, Sink};
use stagegate::store::Memory;

use super::{DAY, HOUR, is_the_same_reopened, monday, percent};

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

/// Keeps what it is told.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<Notification>>>);

impl Sink for Told {
    fn tell(&self, notification: &Notification) {
        self.0.lock().unwrap().push(notification.clone());
    }
}

impl Told {
    /// What was told since the last time.
    fn all(&self) -> Vec<Notification> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The messages among it.
    fn letters(&self) -> Vec<String> {
        let letters = self.all().into_iter().filter_map(|it| it.letter);
        letters.map(|it| format!("{}: {}", it.audience, it.text)).collect()
    }
}

fn begun() -> (Rollout, ManualClock, Memory, Told) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let told = Told::default();
    rollout.tell(told.clone());
    (rollout, clock, store, told)
}

#[test]
fn messages_come_at_their_moments_and_once() {
    let (rollout, clock, store, told) = begun();
    let ana = rollout.by("ana");
    rollout.tick();
    assert_eq!(told.letters(), [""; 0], "off, and nobody knows when it begins");
    ana.promote("search").unwrap();
    rollout.tick();
    // Three days before the pilot were before the team had it.
    assert_eq!(
        told.letters(),
        ["internal: team began, 1%, until 2026-01-06", "client: pilot on 2026-01-06"]
    );
    rollout.tick();
    assert_eq!(told.letters(), [""; 0]);
    clock.advance(DAY);
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    rollout.tick();
    assert_eq!(
        told.letters(),
        [
            "internal: team is over, it began 2026-01-05",
            "internal: pilot began, 10%, until 2026-01-26"
        ]
    );
    let mut days = Vec::new();
    for hour in 1..=24 * 10 {
        clock.advance(HOUR);
        rollout.tick();
        days.extend(told.letters().into_iter().map(|letter| (hour, letter)));
        is_the_same_reopened(&rollout, &store, &clock);
    }
    let days: Vec<(i32, &str)> = days.iter().map(|(hour, letter)| (*hour, &**letter)).collect();
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
    assert_eq!(told.letters(), ["client: pilot: too slow; to see"]);
}

#[test]
fn what_is_late_or_uncertain_is_not_sent() {
    let (rollout, clock, _, told) = begun();
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    // Nobody has ticked for two days.
    clock.advance(2 * DAY);
    rollout.tick();
    assert_eq!(told.letters(), [""; 0]);
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    rollout.tick();
    assert_eq!(told.letters().len(), 2);
    // Weeks later only the last week is told; and of what is held nobody knows when it goes on.
    ana.hold("search", "a doubt").unwrap();
    clock.advance(14 * DAY);
    rollout.tick();
    assert_eq!(told.letters(), ["client: week to 2026-01-21"]);
    ana.resume("search", None).unwrap();
    rollout.tick();
    assert_eq!(told.letters(), [""; 0], "three days before is a week ago");
    // A stage that was taken back before anybody was told of it is not announced.
    ana.measure("search", "error_rate", percent("0.4%"), None).unwrap();
    ana.promote("search").unwrap();
    ana.roll_back("search", "no").unwrap();
    rollout.tick();
    assert_eq!(told.letters(), ["client: ga: no"]);
}

/// Nobody sends them: so nothing says that they were sent.
#[test]
fn without_a_sink_no_message_is_recorded() {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store, clock, DOCUMENT, "ana").unwrap();
    rollout.by("ana").promote("search").unwrap();
    assert!(rollout.tick().records.is_empty());
    rollout.tell(Told::default());
    let report = rollout.tick();
    assert_eq!(report.letters.len(), 2);
    assert!(report.records.iter().all(|it| matches!(it.fact, Fact::Messaged { .. })));
}

#[test]
fn everything_that_somebody_has_to_know_is_told() {
    /// Is not the fault of those who come after it.
    #[derive(Debug)]
    struct Panics;
    impl Sink for Panics {
        fn tell(&self, _: &Notification) {
            std::panic::resume_unwind(Box::new(()));
        }
    }
    let (rollout, clock, _, _) = begun();
    rollout.tell(Panics);
    let told = Told::default();
    rollout.tell(told.clone());
    let ana = rollout.by("ana");
    ana.promote("search").unwrap();
    ana.hold("search", "lunch").unwrap();
    ana.resume("search", None).unwrap();
    ana.measure("search", "error_rate", percent("6%"), None).unwrap();
    clock.advance(HOUR / 6);
    rollout.tick();
    ana.close("search", "a bot").unwrap();
    // Not every reading is news.
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
