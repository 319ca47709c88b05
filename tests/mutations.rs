//! Mutations of the complete example plan: wrong values at every place, and random combinations of mistakes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use stagegate::{Document, Gate, Plan, PlanError, User};

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plans")
}

fn example() -> Value {
    let text = std::fs::read_to_string(directory().join("staged-rollout.toml")).unwrap();
    of_toml(toml::from_str(&text).unwrap())
}

/// Converts TOML to JSON. Dates become strings.
fn of_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(of_toml).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, of_toml(value))).collect()
        }
        other => serde_json::to_value(other).unwrap(),
    }
}

fn parse(document: &Value) -> Result<Plan, PlanError> {
    Plan::parse(Document::new(document.to_string()).directory(directory()))
}

/// Returns the place of every value below the root: as a JSON pointer, and as the path that an error prints.
fn places(value: &Value) -> Vec<(String, String)> {
    fn walk(value: &Value, pointer: &str, path: &str, all: &mut Vec<(String, String)>) {
        let children: Vec<(String, String, &Value)> = match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    (format!("{pointer}/{key}"), format!("{path}{dot}{key}"), value)
                })
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    (format!("{pointer}/{index}"), format!("{path}[{index}]"), value)
                })
                .collect(),
            _ => Vec::new(),
        };
        for (pointer, path, value) in children {
            walk(value, &pointer, &path, all);
            all.push((pointer, path));
        }
    }
    let mut all = Vec::new();
    walk(value, "", "", &mut all);
    all
}

fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

fn without(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    let (parent, child) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.remove(child)),
        Value::Array(items) => drop(items.remove(child.parse().unwrap())),
        other => panic!("{other}"),
    }
    document
}

/// No field accepts these values, so each one causes a problem with the path of its place and a hint.
#[test]
fn a_value_of_the_wrong_type_is_reported_at_its_place() {
    let example = example();
    let places = places(&example);
    assert!(places.len() > 300, "{}", places.len());
    for (pointer, path) in &places {
        // The boolean fields of the example.
        let booleans = [".may_be_empty", ".present", ".four_eyes"];
        let takes_true = booleans.iter().any(|field| path.ends_with(field));
        let wrong = [json!(true), Value::Null, json!(-1.5), json!("")];
        for wrong in wrong.into_iter().skip(usize::from(takes_true)) {
            let error = parse(&with(&example, pointer, wrong.clone())).err();
            let error = error.unwrap_or_else(|| panic!("{path} = {wrong} is accepted"));
            let told = error.problems().iter().find(|problem| problem.path() == path);
            let told = told.unwrap_or_else(|| panic!("{path} = {wrong}: {error}"));
            assert!(!told.message().is_empty() && !told.hint().is_empty(), "{told}");
        }
    }
}

/// Calls every query of an accepted plan and checks the answers.
fn query_everything(plan: &Plan) {
    let moments = [0, 1_767_250_800, 1_792_000_000, u64::from(u32::MAX) * 1000];
    for key in plan.flags() {
        let flag = plan.flag(key).unwrap();
        for day in ["1970-01-01", "2026-11-20", "9000-12-31"] {
            let timeline = flag.timeline(day.parse().unwrap());
            assert_eq!(timeline.stages.len(), flag.stages().len());
            for stage in &timeline.stages {
                assert!(stage.begins.earliest <= stage.begins.latest, "{key}: {stage:?}");
                assert!(stage.begins.earliest <= stage.ends.earliest, "{key}: {stage:?}");
                assert!(stage.ends.earliest <= stage.ends.latest, "{key}: {stage:?}");
            }
        }
        for seconds in moments {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let is_covered = flag.responsible(at).is_some();
            assert_eq!(is_covered, !flag.responsibility().is_empty(), "{key} at {seconds}");
            flag.calendar().map(|calendar| calendar.allows(at));
        }
        let user = User::new("user-42").attribute("region", "eu-north");
        let explanation = flag.explain(&user);
        let enabled = explanation.stages.iter().map(|stage| stage.enabled);
        assert!(enabled.clone().is_sorted(), "{key}: a later stage excludes the user");
        for message in flag.messages() {
            assert!(!message.template.render(|name| Some(name.to_owned())).contains("{{"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Several mistakes at once: values from other places, missing fields, empty tables and overlong texts. A document
    /// is refused with problems, or every query of its plan works.
    #[test]
    fn a_plan_with_several_mistakes_is_refused_or_usable(
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), 0..8_u8), 1..4),
    ) {
        let mut document = example();
        for (at, from, kind) in edits {
            let places = places(&document);
            let (pointer, _) = at.get(&places);
            document = match kind {
                0 | 1 => without(&document, pointer),
                2 => with(&document, pointer, json!([])),
                3 => with(&document, pointer, json!({})),
                4 => with(&document, pointer, json!("9".repeat(40) + "d")),
                _ => {
                    let value = document.pointer(&from.get(&places).0).unwrap().clone();
                    with(&document, pointer, value)
                }
            };
        }
        match parse(&document) {
            Ok(plan) => query_everything(&plan),
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                for problem in error.problems() {
                    prop_assert!(!problem.hint().is_empty() && !problem.message().is_empty());
                }
            }
        }
    }
}

#[test]
fn the_unchanged_example_is_usable() {
    let plan = parse(&example()).unwrap();
    query_everything(&plan);
    let gate = Gate::from_path(directory().join("staged-rollout.toml")).unwrap();
    assert_eq!(gate.evaluate_all("ana").len(), plan.flags().count());
}
