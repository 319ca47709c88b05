//! The table of states in the documentation of `transition` is what the code does.

use std::time::{Duration, SystemTime};

use stagegate::Plan;
use stagegate::rollout::{Context, Event, FlagState, Stamp, Standing, transition};

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

/// What leads to a state from the beginning.
fn way(state: &str) -> &'static [&'static str] {
    match state {
        "off" => &[],
        "off, incident" => &["report"],
        "running" => &["promote"],
        "running, incident" => &["promote", "report"],
        "held" => &["promote", "hold"],
        "rolled back" => &["promote", "roll back"],
        "rolled back, looked into" => &["promote", "roll back", "step", "step"],
        "complete" => &["promote", "promote", "promote"],
        other => panic!("no state {other}"),
    }
}

fn after(state: &FlagState, name: &str) -> Option<FlagState> {
    let plan = Plan::parse(DOCUMENT).unwrap();
    let flag = plan.flag("a").unwrap();
    let now = Stamp::new(SystemTime::UNIX_EPOCH, Duration::ZERO, 0);
    let context = Context { now: now.into(), by: "ana", serving: state.stage, next: 2 };
    transition(&flag, state, &event(name), &context).ok().map(|it| it.state)
}

fn named(state: &FlagState) -> String {
    let phase = state.incident.as_ref().map(|incident| incident.phase.to_string());
    match (state.standing(), phase.as_deref()) {
        (Standing::RolledBack, Some("investigate")) => "rolled back, looked into".to_owned(),
        (Standing::RolledBack, _) => "rolled back".to_owned(),
        (standing, Some(_)) => format!("{standing}, incident"),
        (standing, None) => standing.to_string(),
    }
}

fn cell(state: &FlagState, event: &str) -> String {
    match after(state, event) {
        None => "-".to_owned(),
        Some(next) if next.stage == state.stage && named(&next) == named(state) => "=".to_owned(),
        Some(next) => named(&next),
    }
}

#[test]
fn the_table_of_states_is_what_the_code_does() {
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
        let state = way(row[0]).iter().fold(off, |state, name| after(&state, name).unwrap());
        assert_eq!(named(&state), row[0]);
        let cells: Vec<String> = events[1..].iter().map(|event| cell(&state, event)).collect();
        assert_eq!(row[1..], cells, "{}", row[0]);
        states.push(row[0]);
    }
    assert_eq!(states.len(), 8);
}
