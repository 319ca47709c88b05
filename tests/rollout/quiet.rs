//! A journal does not grow while nothing changes, whatever is polled.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::model::Quantity;
use stagegate::rollout::{Event, Fact, Notification, Progress, Reading, Record, Rollout, Sink};
use stagegate::store::Memory;

use super::{DAY, HOUR, count, monday, percent};

const MINUTE: Duration = Duration::from_secs(60);

/// The interval between two polls.
const POLL: Duration = Duration::from_secs(10);

/// The `stale_after` of `error_rate` and `queue`.
const STALE: Duration = Duration::from_secs(10 * 60);

/// Most records of a weekend in which something changes at first: readings, a rollback or a question, escalations,
/// messages, and the clock of the machine. A trigger with a `for` of an hour needs 12 readings in that hour.
const FEW: usize = 12 + 12;

/// Records of a weekend in which two readings are refreshed, twice in their `stale_after`.
const REFRESHES: usize = 2 * 2 * 2 * 24 * 6;

/// Checks of the watch. Each has a reading, or a record says that it was missed.
const CHECKS: usize = 12;

const DOCUMENT: &str = r#"
schema = 1
[metrics.queue]
unit = "count"
better = "less"
source = "application"
stale_after = "10m"
[flags.a]
[[flags.a.stages]]
name = "team"
percent = 1
min_duration = "30d"
[[flags.a.stages]]
name = "pilot"
percent = 10
metrics = { error_rate = { target = "< 1%", alert = "> 2%" } }
criteria = [{ metric = "queue", target = "< 10", for = "12h" }]
[[flags.a.stages]]
name = "ga"
percent = 100
metrics = { error_rate = { target = "< 1%" } }
watch = { for = "24h", every = "2h" }
[[flags.a.triggers]]
metric = "error_rate"
above = "5%"
minimum_sample = 100
no_data = "hold"
action = "rollback"
[[flags.a.triggers]]
metric = "queue"
above = 100
for = "1h"
no_data = "hold"
action = "decide"
[[flags.a.triggers]]
incident = "security"
action = "rollback"
[[flags.a.responsibility]]
contact = "on call"
escalation = ["lead", "CTO"]
[[flags.a.messages]]
audience = "internal"
when = "start"
channel = "chat"
template = "{{ stage }} began"
[[flags.a.messages]]
audience = "internal"
when = "rollback"
channel = "chat"
template = "{{ reason }}"
[flags.b]
stages = [{ name = "all", percent = 100 }]
"#;

/// A sink that ignores notifications. With a sink, messages are recorded.
#[derive(Clone, Copy, Debug)]
struct Ignoring;

impl Sink for Ignoring {
    fn tell(&self, _: &Notification) {}
}

struct World {
    rollout: Rollout,
    clock: ManualClock,
}

impl World {
    fn new(document: &str) -> World {
        let clock = ManualClock::at(monday());
        let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana").unwrap();
        rollout.tell(Ignoring);
        World { rollout, clock }
    }

    fn act(&self, event: &Event) {
        // What is unmeasured or wrong in a state is refused. A refusal is no record.
        let _ = self.rollout.by("program").act("a", event);
    }

    fn measure(&self, metric: &str, value: Option<Quantity>) {
        let reading = value.map_or(Reading::NoData, Reading::Value);
        let (metric, control, samples) = (metric.to_owned(), None, Some(500));
        self.act(&Event::Measure { metric, reading, control, samples });
    }

    fn judge(&self, metric: &str, value: Option<Quantity>) {
        let stage = self.rollout.report("a").unwrap().state.stage;
        let (metric, value) = (metric.to_owned(), value.unwrap());
        self.act(&Event::Judged { stage, metric, value, control: None, samples: 500 });
    }

    /// Polls and ticks for a time, and returns the records that were written.
    fn poll(&self, time: Duration, poll: impl Fn(&World, usize)) -> Vec<Record> {
        self.poll_every(POLL, time, poll)
    }

    fn poll_every(
        &self,
        every: Duration,
        time: Duration,
        poll: impl Fn(&World, usize),
    ) -> Vec<Record> {
        let head = self.rollout.status().head.0;
        let rounds = time.as_secs() / every.as_secs();
        for round in 0..usize::try_from(rounds).unwrap() {
            poll(self, round);
            assert!(self.rollout.tick().error.is_none());
            self.clock.advance(every);
        }
        self.rollout.records(head + 1).unwrap()
    }

    fn progress(&self) -> Progress {
        self.rollout.report("a").unwrap().progress
    }
}

/// Puts a new rollout into a state.
fn world_in(state: &str) -> World {
    match state {
        "verify, one stage down" => {
            world_of(&format!("{DOCUMENT}\n[flags.a.rollback]\ntarget = \"previous\""), state)
        }
        _ => world_of(DOCUMENT, state),
    }
}

/// Puts a new rollout of a document into a state.
fn world_of(document: &str, state: &str) -> World {
    let world = World::new(document);
    let ana = world.rollout.by("ana");
    let force_to = |stage| drop(ana.force_to("a", stage, "a test").unwrap());
    let complete = || {
        force_to("ga");
        ana.force("a", "a test").unwrap();
    };
    let ask = || {
        force_to("pilot");
        let event = Event::Breach { trigger: 1, evidence: "by hand".to_owned() };
        ana.act("a", &event).unwrap();
    };
    let roll_back = |phases: usize| {
        force_to("pilot");
        ana.measure("a", "error_rate", percent("9%"), None).unwrap();
        for _ in 0..phases {
            ana.act("a", &Event::Step { note: None, overriding: Some("a test".into()) }).unwrap();
        }
    };
    let remove_and_add = || {
        let rest = document.split("[flags.a]").next().unwrap();
        let removed = format!("{rest}{}", &document[document.find("[flags.b]").unwrap()..]);
        ana.update(removed).unwrap();
        ana.update(document.replace("[flags.a]", "[flags.a]\nstage = \"pilot\"")).unwrap();
    };
    match state {
        "off" => {}
        "off, incident" => drop(ana.report("a", "critical_bug", None).unwrap()),
        "first stage" => force_to("team"),
        "second stage" => force_to("pilot"),
        "last stage, watched" => force_to("ga"),
        "last stage" => {
            force_to("ga");
            world.clock.advance(2 * DAY);
            world.rollout.tick();
        }
        "last stage, watched and held" => {
            force_to("ga");
            ana.hold("a", "a freeze").unwrap();
        }
        "held, in a stage without a `for`" => {
            force_to("team");
            ana.hold("a", "a freeze").unwrap();
        }
        "held" => {
            force_to("pilot");
            ana.hold("a", "a freeze").unwrap();
        }
        "held, incident" => {
            force_to("pilot");
            ana.hold("a", "a freeze").unwrap();
            ana.report("a", "critical_bug", None).unwrap();
        }
        "decide" => ask(),
        "execute" => {
            ask();
            ana.step("a", None).unwrap();
        }
        "verify" | "verify, one stage down" => roll_back(0),
        "communicate" => roll_back(1),
        "investigate" => roll_back(2),
        "off again" => {
            roll_back(2);
            ana.close("a", "it was an index").unwrap();
        }
        "complete" => complete(),
        "complete, incident" => {
            complete();
            ana.report("a", "critical_bug", None).unwrap();
        }
        "held, removed and added again" => {
            force_to("pilot");
            ana.hold("a", "a freeze").unwrap();
            remove_and_add();
        }
        "decide, removed and added again" => {
            ask();
            remove_and_add();
        }
        other => panic!("no state {other}"),
    }
    world.rollout.tick();
    world
}

/// The states, each with the records that it may need besides [`FEW`].
const STATES: [(&str, usize); 21] = [
    ("off", 0),
    ("off, incident", 0),
    ("first stage", REFRESHES),
    ("second stage", REFRESHES),
    ("last stage, watched", REFRESHES + CHECKS),
    ("last stage, watched and held", CHECKS),
    ("last stage", REFRESHES),
    ("held, in a stage without a `for`", 0),
    ("held", REFRESHES / 2),
    ("held, incident", 0),
    ("decide", 0),
    ("execute", 0),
    ("verify", 0),
    ("verify, one stage down", 0),
    ("communicate", 0),
    ("investigate", 0),
    ("off again", 0),
    ("complete", 0),
    ("complete, incident", 0),
    ("held, removed and added again", REFRESHES / 2),
    ("decide, removed and added again", 0),
];

/// What a program does at each poll.
type Poll = fn(&World, usize);

const POLLS: [(&str, Poll); 13] = [
    ("a good value", |world, _| {
        world.measure("error_rate", percent("0.4%"));
        world.measure("queue", count("3"));
    }),
    ("a value off target", |world, _| {
        world.measure("error_rate", percent("3%"));
        world.measure("queue", count("50"));
    }),
    ("a value beyond the limit", |world, _| {
        world.measure("error_rate", percent("9%"));
        world.measure("queue", count("500"));
    }),
    ("a value beyond the limit that asks", |world, _| world.measure("queue", count("500"))),
    ("no data", |world, _| {
        world.measure("error_rate", None);
        world.measure("queue", None);
    }),
    ("nothing", |_, _| {}),
    ("a good value that jitters", |world, round| {
        world.measure("error_rate", percent(["0.2%", "0.4%", "0.9%"][round % 3]));
        world.measure("queue", count(["0", "9"][round % 2]));
    }),
    ("a bad value that jitters", |world, round| {
        world.measure("error_rate", percent(["6%", "9%", "80%"][round % 3]));
        world.measure("queue", count(["101", "900"][round % 2]));
    }),
    ("a good value of a guard", |world, _| world.judge("error_rate", percent("0.4%"))),
    ("a bad value of a guard", |world, _| {
        world.judge("error_rate", percent("9%"));
        world.act(&Event::Breach { trigger: 0, evidence: "9%".to_owned() });
    }),
    ("a good value of a guard and of a program", |world, _| {
        world.judge("error_rate", percent("0.4%"));
        world.measure("error_rate", percent("0.3%"));
    }),
    ("a breach", |world, round| {
        world.act(&Event::Breach { trigger: round % 2, evidence: "9%".to_owned() });
    }),
    ("a report", |world, round| {
        let kind = if round < 360 { "critical_bug" } else { "security" };
        world.act(&Event::Report { kind: kind.to_owned(), note: Some("a token".to_owned()) });
    }),
];

#[test]
fn a_weekend_of_polling_writes_no_record_that_says_nothing_new() {
    let mut failed = Vec::new();
    for (state, more) in STATES {
        for (name, poll) in POLLS {
            let world = world_in(state);
            // The first hour in detail, and then the rest of the weekend in larger steps.
            let records =
                world.poll(HOUR, poll).len() + world.poll_every(4 * MINUTE, 2 * DAY, poll).len();
            if records > FEW + more {
                failed.push(format!("{state}, {name}: {records} records"));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_reading_stays_fresh_enough_for_the_next_promotion() {
    let world = world_in("second stage");
    world.poll(2 * DAY, POLLS[0].1);
    assert_eq!(world.rollout.by("ana").promote("a").unwrap().state.stage, "ga");
}

/// A trigger with `no_data = "rollback"` rolls back when readings stop, and not because they repeat.
#[test]
fn a_reading_stays_fresh_where_missing_data_rolls_back() {
    for state in ["held", "held, incident", "decide", "complete", "complete, incident"] {
        let document = DOCUMENT.replacen("no_data = \"hold\"", "no_data = \"rollback\"", 1);
        let world = world_of(&document, state);
        let records = world.poll(2 * DAY, POLLS[0].1);
        assert_ne!(world.progress(), Progress::RolledBack, "{state}");
        // While the flag is held, the `for` of the queue needs readings, too.
        let refreshes = if state == "held" { REFRESHES } else { REFRESHES / 2 };
        assert!(records.len() <= FEW + refreshes, "{state}: {}", records.len());
        world.poll(STALE + 2 * POLL, |_, _| {});
        assert_eq!(world.progress(), Progress::RolledBack, "{state}");
    }
}

/// `for` counts only readings without a gap, so the readings are refreshed until the trigger fires.
#[test]
fn a_trigger_fires_when_its_time_is_over_in_every_state_that_it_can_change() {
    for state in ["second stage", "held", "last stage", "complete"] {
        let world = world_in(state);
        let poll: Poll = |world, _| world.measure("queue", count("500"));
        let records = world.poll(HOUR, poll);
        assert!(world.rollout.report("a").unwrap().state.incident.is_none(), "{state}");
        assert!(records.len() <= FEW + 12, "{state}: {}", records.len());
        world.poll(POLL, poll);
        let incident = world.rollout.report("a").unwrap().state.incident.unwrap();
        assert_eq!(&*incident.about, "queue > 100 for 1h", "{state}");

        // The answer is that the flag stays. The question comes again, after another hour.
        world.poll(DAY, poll);
        world.rollout.by("ana").close("a", "the queue is of no use").unwrap();
        world.poll(HOUR, poll);
        assert!(world.rollout.report("a").unwrap().state.incident.is_none(), "{state}");
        world.poll(POLL, poll);
        assert!(world.rollout.report("a").unwrap().state.incident.is_some(), "{state}");
    }
}

/// A hold once stopped the records of readings, so that the `for` of the stage started over on Monday.
#[test]
fn a_hold_over_a_weekend_does_not_restart_the_for_of_a_stage() {
    let world = world_in("second stage");
    world.poll(DAY / 4, POLLS[0].1);
    let ana = world.rollout.by("ana");
    ana.hold("a", "not before the weekend").unwrap();
    let records = world.poll(2 * DAY, POLLS[0].1);
    for record in &records {
        if let Fact::Measured { metric, .. } = &record.fact {
            assert_eq!(&**metric, "queue", "only the queue has a `for`");
        }
    }
    assert!(records.len() <= FEW + REFRESHES / 2, "{}", records.len());

    ana.resume("a", None).unwrap();
    world.poll(POLL, POLLS[0].1);
    assert_eq!(ana.promote("a").unwrap().state.stage, "ga");
}

/// The readings of a hold count only if there were any.
#[test]
fn a_hold_without_readings_restarts_the_for_of_a_stage() {
    let world = world_in("second stage");
    world.poll(DAY, POLLS[0].1);
    let ana = world.rollout.by("ana");
    ana.hold("a", "a freeze").unwrap();
    world.poll(DAY, |_, _| {});
    ana.resume("a", None).unwrap();
    let records = world.poll(POLL, POLLS[0].1);
    let measured = records.iter().filter(|record| matches!(record.fact, Fact::Measured { .. }));
    assert_eq!(measured.count(), 2);
    let unmet = world.rollout.report("a").unwrap().unmet;
    let unmet: Vec<_> = unmet.iter().map(|it| &*it.found).collect();
    assert_eq!(unmet, ["`queue` has been < 10 for 10s of 12h"]);
    world.poll(DAY / 2, POLLS[0].1);
    ana.promote("a").unwrap();
}

#[test]
fn no_check_of_the_watch_is_missed_while_the_value_stays_the_same() {
    let held = "last stage, watched and held";
    for (state, reading) in
        [("last stage, watched", POLLS[0].1), (held, POLLS[0].1), (held, POLLS[8].1)]
    {
        let records = world_in(state).poll(DAY, reading);
        let missed = records.iter().filter(|it| matches!(it.fact, Fact::WatchMissed { .. }));
        assert_eq!(missed.count(), 0, "{state}");
    }
}

/// A rollback is verified as soon as the metric is good, however long it was bad.
#[test]
fn a_rollback_is_verified_after_a_weekend_of_bad_readings() {
    let world = world_in("verify");
    world.poll(2 * DAY, POLLS[2].1);
    let refused = world.rollout.by("ana").step("a", None).unwrap_err();
    assert_eq!(
        &*refused.refusals()[0].unmet[0].found,
        "`error_rate` is still > 5%: 9%, of 500 samples"
    );
    let records = world.poll(POLL, POLLS[0].1);
    assert!(
        records.iter().any(|record| matches!(record.fact, Fact::Stepped { .. })),
        "{records:?}"
    );
}
