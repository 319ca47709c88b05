//! The table of states in the documentation of `transition` matches the code.

use std::time::{Duration, SystemTime};

use stagegate::Plan;
use stagegate::rollout::{Event, EventContext, FlagState, Progress, Stamp, transition};

const DOCUMENT: &str = "schema = 1\n[flags.a]\nstages = [{ name = \"one\", percent = 1 }, { name = \"all\", percent = 100 }]";

fn why() -> String {
    "why".to_owned()
}

fn event(name: &str) -> Event {
    match name {
        "promote" => Event::Promote,
        "force" => Event::Force { to: None, reason: why() },
        "hold" => Event::Hold { why: why() },
        "resume" => Event::Resume { why: None },
        "roll back" => Event::RollBack { to: None, reason: why() },
        "report" => Event::Report { kind: "critical_bug".to_owned(), note: None },
        "step" => Event::Step { note: None, overriding: None },
        "close" => Event::Close { note: why() },
        other => panic!("no event {other}"),
    }
}

/// Returns the events that lead from the start to a state.
fn events_to(state: &str) -> &'static [&'static str] {
    match state {
        "off" => &[],
        "off, incident" => &["report"],
        "running" => &["promote"],
        "running, incident" => &["promote", "report"],
        "held" => &["promote", "hold"],
        "rolled back" => &["promote", "roll back"],
        "rolled back, investigate" => &["promote", "roll back", "step", "step"],
        "complete" => &["promote", "promote", "promote"],
        other => panic!("no state {other}"),
    }
}

fn apply(state: &FlagState, name: &str) -> Option<FlagState> {
    let plan = Plan::parse(DOCUMENT).unwrap();
    let flag = plan.flag("a").unwrap();
    let now = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
    let context = EventContext {
        now: now.into(),
        by: "ana",
        serving: state.stage,
        record: 2,
        missing: &[],
        freeze: None,
    };
    transition(&flag, state, &event(name), &context).ok().map(|it| it.state)
}

fn state_name(state: &FlagState) -> String {
    let phase = state.incident.as_ref().map(|incident| incident.phase.to_string());
    match (state.progress(), phase.as_deref()) {
        (Progress::RolledBack, Some("investigate")) => "rolled back, investigate".to_owned(),
        (Progress::RolledBack, _) => "rolled back".to_owned(),
        (progress, Some(_)) => format!("{progress}, incident"),
        (progress, None) => progress.to_string(),
    }
}

fn cell(state: &FlagState, event: &str) -> String {
    match apply(state, event) {
        None => "-".to_owned(),
        Some(next) if next.stage == state.stage && state_name(&next) == state_name(state) => {
            "=".to_owned()
        }
        Some(next) => state_name(&next),
    }
}

#[test]
fn the_documented_table_of_states_matches_the_code() {
    let source = include_str!("../../src/rollout/machine/mod.rs");
    let table = source.split("/// ```text\n").nth(1).unwrap().split("/// ```").next().unwrap();
    let mut rows = table.lines().map(|line| {
        let cells = line.strip_prefix("/// ").unwrap().split("  ").map(str::trim);
        cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    });
    let events = rows.next().unwrap();
    assert_eq!(events[..3], ["state", "promote", "force"]);
    let mut states = Vec::new();
    for row in rows {
        let start = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
        let off = FlagState::new(stagegate::StageName::OFF, start);
        let state = events_to(row[0]).iter().fold(off, |state, name| apply(&state, name).unwrap());
        assert_eq!(state_name(&state), row[0]);
        let cells: Vec<String> = events[1..].iter().map(|event| cell(&state, event)).collect();
        assert_eq!(row[1..], cells, "{}", row[0]);
        states.push(row[0]);
    }
    assert_eq!(states.len(), 8);
}
