//! A thread that has seen an update, or was told of it by another thread, never sees an older version.

use std::sync::mpsc;
use std::thread;

use stagegate::{Gate, Percent};

use super::{sized, together};

const DOCUMENT: &str =
    r#"{"schema": 1, "flags": {"a": {"stages": [{"name": "on", "percent": 100}]}}}"#;

#[test]
fn a_thread_that_is_told_of_an_update_sees_it() {
    let gate = Gate::from_document(DOCUMENT).unwrap();
    let handle = gate.flag("a");
    let (tell, told) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    thread::scope(|scope| {
        let (gate, handle) = (&gate, &handle);
        scope.spawn(move || {
            for version in told {
                let found = gate.evaluate("user", "a");
                let same = found.version == version
                    && handle.evaluate("user") == found
                    && gate.pin().version() == version
                    && gate.version() == version;
                answer.send(same.then_some(found.enabled)).unwrap();
            }
        });
        for round in 0..sized(20_000, 300) {
            let on = round % 2 == 0;
            let version = if on { gate.set_stage("a", "on") } else { gate.roll_back("a") }.unwrap();
            tell.send(version).unwrap();
            assert_eq!(answered.recv().unwrap(), Some(on), "version {version}");
        }
        drop(tell);
    });
}

#[test]
fn later_calls_never_see_an_older_version() {
    let gate = Gate::from_document(DOCUMENT).unwrap();
    let handle = gate.flag("a");
    let rounds = sized(1_000_000, 500);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    // The calls run one after the other, so versions may only grow.
                    let versions = [
                        gate.pin().version(),
                        gate.evaluate("user", "a").version,
                        gate.status().version,
                        handle.evaluate("user").version,
                        gate.version(),
                    ];
                    assert!(versions.is_sorted(), "{versions:?}");
                }
            });
        }
        for round in 0..rounds / 5 {
            let stage = if round % 2 == 0 { "on" } else { "off" };
            gate.set_stage("a", stage).unwrap();
        }
    });
}

#[test]
fn gates_used_by_one_thread_stay_separate() {
    let gates: Vec<Gate> = (0..9).map(|_| Gate::from_document(DOCUMENT).unwrap()).collect();
    for (index, gate) in gates.iter().enumerate() {
        for _ in 0..index {
            gate.set_stage("a", "on").unwrap();
        }
    }
    for _ in 0..3 {
        for (index, gate) in gates.iter().enumerate() {
            assert_eq!(gate.version(), index as u64 + 1);
            assert_eq!(gate.is_enabled("user", "a"), index > 0);
        }
    }
}

#[test]
fn a_user_type_may_call_the_gate_during_an_evaluation() {
    struct Nested(Gate);
    impl stagegate::AsUser for Nested {
        fn key(&self) -> stagegate::UserKey<'_> {
            // The thread's cached version becomes stale, so the gate reloads it in the middle of an evaluation.
            self.0
                .set_stage("a", if self.0.is_enabled("user", "a") { "off" } else { "on" })
                .unwrap();
            assert_eq!(self.0.evaluate("user", "a").version, self.0.version());
            "user".into()
        }
    }
    let gate = Gate::from_document(DOCUMENT).unwrap();
    let before = gate.evaluate(Nested(gate.clone()), "a");
    assert_eq!((before.version, before.enabled), (1, false));
    assert!(gate.is_enabled("user", "a"));
}

#[test]
fn gates_plans_and_errors_are_send_and_sync() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Gate>();
    shared::<stagegate::FlagHandle>();
    // A request may move to another worker thread together with its pinned version.
    shared::<stagegate::Pinned>();
    shared::<stagegate::Plan>();
    shared::<stagegate::PlanError>();
    shared::<stagegate::UpdateError>();
}

/// The number of stages. Each version moves a flag one stage up, and the last stage is followed by the first.
const STEPS: u64 = 7;

#[test]
fn an_answer_and_its_version_come_from_one_update() {
    let stages: Vec<_> = (0..STEPS)
        .map(|step| format!(r#"{{"name": "s{step}", "percent": {}}}"#, 10 * (step + 1)))
        .collect();
    let flag = format!(r#"{{"stage": "s0", "stages": [{}]}}"#, stages.join(", "));
    let document = format!(r#"{{"schema": 1, "flags": {{"a": {flag}, "b": {flag}}}}}"#);
    let gate = Gate::from_document(document).unwrap();
    let (a, b) = (gate.flag("a"), gate.flag("b"));
    let rounds = sized(600_000, 500);
    let read = || {
        let mut last = 0;
        for round in 0..rounds {
            // "a" moves with every version. "b" never moves.
            let answers = [
                a.evaluate(round),
                b.evaluate(round),
                gate.evaluate(round, "a"),
                gate.evaluate(round, "b"),
                gate.pin().evaluate(round, "a"),
                a.evaluate(round),
            ];
            let steps = answers.map(|answer| (answer.version - 1) % STEPS);
            for (index, (answer, step)) in answers.into_iter().zip(steps).enumerate() {
                let step = if index == 1 || index == 3 { 0 } else { step };
                let stage = answer.stage.unwrap();
                assert_eq!(*stage, *format!("s{step}"), "version {}", answer.version);
                let percent = Percent::from_ppm((u32::try_from(step).unwrap() + 1) * 100_000);
                assert_eq!(answer.enabled, percent.unwrap().contains(answer.bucket.unwrap()));
                assert!(last <= answer.version, "{} after {last}", answer.version);
                last = answer.version;
            }
        }
    };
    let update = || {
        for version in 1..=u64::from(rounds) / 4 {
            gate.set_stage("a", &format!("s{}", version % STEPS)).unwrap();
        }
    };
    together(vec![Box::new(read), Box::new(read), Box::new(update)]);
}

/// The number of flag pairs. Each update switches one pair on.
const PAIRS: u32 = 32;

fn pairs_on(on: u32) -> String {
    let mut flags = Vec::new();
    for pair in 0..PAIRS {
        let stage = if pair < on { "on" } else { "off" };
        for flag in ["a", "b"] {
            flags.push(format!(r#""{flag}{pair}": {{"plan": "p", "stage": "{stage}"}}"#));
        }
    }
    let plan = r#"{"p": {"stages": [{"name": "on", "percent": 99.9999}]}}"#;
    format!(r#"{{"schema": 1, "plans": {plan}, "flags": {{{}}}}}"#, flags.join(", "))
}

#[test]
fn a_reader_that_sees_part_of_an_update_sees_all_of_it() {
    for _ in 0..sized(40, 2) {
        let gate = Gate::from_document(pairs_on(0)).unwrap();
        // One reader goes through the flags in the order of the update, the other against it.
        let handles = |flag: &str| (0..PAIRS).map(|n| gate.flag(&format!("{flag}{n}"))).collect();
        let (first, last): (Vec<_>, Vec<_>) = (handles("a"), handles("b"));
        let update = || {
            for on in 1..=PAIRS {
                gate.update(pairs_on(on)).unwrap();
            }
        };
        let read = |reader: usize| {
            for (n, (a, b)) in first.iter().zip(&last).enumerate() {
                let (seen, other) = if reader == 0 { (a, b) } else { (b, a) };
                let ask = |way: usize, handle: &stagegate::FlagHandle| match way % 4 {
                    0 | 1 => handle.is_enabled("user"),
                    2 => gate.is_enabled("user", handle.key()),
                    _ => gate.pin().is_enabled("user", handle.key()),
                };
                while !ask(n, seen) {
                    thread::yield_now();
                }
                assert!(ask(n / 4, other), "{} is on, {} is not yet", seen.key(), other.key());
            }
        };
        together(vec![Box::new(update), Box::new(|| read(0)), Box::new(|| read(1))]);
    }
}
