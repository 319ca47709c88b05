//! The story: a sequence of steps that together produce every kind of journal record.

use std::time::{Duration, SystemTime};

use stagegate::clock::{Clock, ManualClock};
use stagegate::model::{Quantity, Unit};
use stagegate::rollout::{Event, Rollout, RolloutError, Store};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
[flags.search]
[[flags.search.stages]]
name = "internal"
groups = ["team"]
min_duration = "1d"
checklist = [{ id = "load-test", text = "The load test passed", owner = "platform", expires = "2d" }]
[[flags.search.stages]]
name = "pilot"
percent = 10
metrics = { error_rate = { target = "< 1%", alert = "> 2%" } }
criteria = [{ id = "feedback", text = "It was read" }]
[[flags.search.stages]]
name = "ga"
percent = 100
watch = { for = "6h", every = "2h" }
[[flags.search.triggers]]
metric = "error_rate"
above = "5%"
no_data = "hold"
action = "rollback"
[[flags.search.triggers]]
incident = "security"
action = "rollback"
[flags.search.rollback]
target = "previous"
steps = [{ phase = "verify", text = "Look", within = "10m" }]
[[flags.search.responsibility]]
contact = "on call"
escalation = ["lead"]
[flags.other]
stages = [{ name = "few", percent = 5 }, { name = "all", percent = 100 }]
triggers = [{ metric = "complaints", above = 5, no_data = "hold", action = "decide" }]
messages = [{ audience = "client", when = "start", channel = "email", template = "{{ flag }} is there." }]
"#;

/// A step of the story. It does one thing, so that it can be retried.
pub(crate) type Step = fn(&Rollout, &ManualClock) -> Result<(), RolloutError>;

/// The name of every fact in the journal.
pub(crate) const FACTS: [&str; 21] = [
    "opened",
    "updated",
    "promoted",
    "completed",
    "held",
    "resumed",
    "rolled_back",
    "rolled_back_all",
    "held_all",
    "resumed_all",
    "signed",
    "unsigned",
    "expired",
    "reported",
    "asked",
    "stepped",
    "escalated",
    "closed",
    "measured",
    "messaged",
    "watch_missed",
];

/// Returns a clock at Monday 2026-01-05, 09:00 UTC.
pub(crate) fn clock() -> ManualClock {
    ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600))
}

pub(crate) fn begin(
    store: impl Store + 'static,
    clock: &ManualClock,
) -> Result<Rollout, RolloutError> {
    Rollout::start(store, clock.clone(), DOCUMENT, "ana")
}

fn percent(text: &str) -> Option<Quantity> {
    Some(Quantity::parse(text, Unit::Percent).unwrap())
}

fn tick(rollout: &Rollout) -> Result<(), RolloutError> {
    rollout.tick().error.map_or(Ok(()), Err)
}

/// A step that lets time pass and then ticks.
macro_rules! after {
    ($time:expr) => {
        |rollout, clock| {
            clock.advance($time);
            tick(rollout)
        }
    };
}

/// A step that calls a method on behalf of a person or program.
macro_rules! act {
    ($who:literal, $method:ident, $($argument:expr),*) => {
        |rollout, _| rollout.by($who).$method($($argument),*).map(|_| ())
    };
}

pub(crate) const STEPS: &[Step] = &[
    act!("ana", promote, "search"),
    act!("ben", hold, "search", "wait for legal"),
    act!("ben", resume, "search", Some("legal agrees")),
    act!("ana", sign, "search", "load-test", Some("https://example.org/runs/17")),
    act!("ana", unsign, "search", "load-test", Some("the wrong run")),
    act!("ana", sign, "search", "load-test", None),
    after!(DAY * 3),
    act!("ana", sign, "search", "load-test", None),
    act!("metrics", measure, "search", "error_rate", percent("0.3%"), Some(80)),
    act!("ana", promote, "search"),
    act!("metrics", measure, "search", "error_rate", percent("0.4%"), Some(900)),
    |rollout, _| {
        let changed = DOCUMENT.replace("< 1%", "< 0.9%");
        rollout.by("ana").update(changed).map(|_| ())
    },
    act!("ana", force_to, "other", "all", "it is needed \"today\"\n"),
    |rollout, _| {
        let _ = rollout.gate().roll_back("other");
        tick(rollout)
    },
    act!("ana", step, "other", Some("told support")),
    act!("ana", close, "other", "a mistake of the caller"),
    act!("metrics", measure, "search", "error_rate", percent("7.5%"), Some(1000)),
    after!(Duration::from_secs(11 * 60)),
    act!("metrics", measure, "search", "error_rate", percent("0.1%"), None),
    after!(Duration::from_secs(60)),
    act!("ben", step, "search", None),
    act!("ben", close, "search", "an index was missing"),
    act!("ana", sign, "search", "load-test", None),
    after!(DAY),
    act!("metrics", measure, "search", "error_rate", percent("0.3%"), Some(80)),
    act!("ana", promote, "search"),
    act!("metrics", measure, "search", "error_rate", None, None),
    act!("metrics", measure, "search", "error_rate", percent("0.2%"), None),
    act!("ben", sign, "search", "feedback", None),
    act!("ana", promote, "search"),
    after!(HOUR * 3),
    act!("ana", sign, "search", "watch", None),
    after!(HOUR * 4),
    act!("metrics", measure, "search", "error_rate", percent("0.3%"), Some(50_000)),
    act!("ana", promote, "search"),
    act!("ana", promote, "other"),
    |rollout, _| rollout.by("stagegate").act("other", &Event::SendMessages).map(|_| ()),
    |rollout, _| {
        let (trigger, evidence) = (0, "7, beyond the limit for 2h".to_owned());
        rollout.by("guard").act("other", &Event::Breach { trigger, evidence }).map(|_| ())
    },
    act!("ana", close, "other", "all of one client, who wants the old one"),
    |rollout, _| {
        let (metric, value) = ("error_rate".to_owned(), percent("0.31%").unwrap());
        let (control, samples) = (percent("0.3%"), 52_000);
        let stage = rollout.stage("search", "ga")?;
        let event = Event::Judged { stage, metric, value, control, samples };
        rollout.by("guard").act("search", &event).map(|_| ())
    },
    act!("ana", report, "other", "critical_bug", Some("of one client")),
    act!("ana", close, "other", "it was something else"),
    act!("ana", roll_back, "other", ""),
    act!("ana", report, "search", "security", Some("a token in a log")),
    act!("ben", hold_all, "look at every flag", None),
    act!("ben", resume_all, Some("done")),
    |rollout, clock| {
        let end = clock.now().wall + DAY;
        rollout.by("ana").hold_all("holidays", Some(end)).map(|_| ())
    },
    |rollout, _| {
        rollout.by("ana").roll_back_all("the database is down");
        Ok(())
    },
];

/// Returns the steps, and after every few of them one that begins a segment of the journal.
pub(crate) fn steps_with_segments() -> Vec<Step> {
    let begin_segment: Step = |rollout, _| rollout.by("ana").begin_segment().map(|_| ());
    let some = STEPS.chunks(15);
    some.flat_map(|some| some.iter().copied().chain([begin_segment])).collect()
}

/// Describes each flag: its recorded stage, its progress, and the stage that is served.
pub(crate) fn standing(rollout: &Rollout) -> Vec<String> {
    let flags = rollout.status().flags;
    let text = |it: &stagegate::rollout::FlagReport| {
        format!("{}: {} {} by {}", it.flag, it.state.stage, it.progress, it.serving)
    };
    flags.iter().map(text).collect()
}
