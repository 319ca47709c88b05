//! The JSON Schema, the reader, the complete example and `docs/plans.md` have the same fields.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use stagegate::{Document, Plan, model};

/// The heading in `docs/plans.md` for the fields of each part of the schema.
const HEADINGS: [(&str, &str); 30] = [
    ("", "### Lists that mean nothing"),
    ("Document", "## Top level"),
    ("Flag", "## `[flags.KEY]`"),
    ("Plan", "## `[plans.NAME]`"),
    ("Channels", "## `[channels]`"),
    ("Limits", "## `[limits]`"),
    ("HoldBackTable", "### `hold_back`"),
    ("Environment", "## `[environments.NAME]`"),
    ("Group", "## `[groups.NAME]`"),
    ("Tests", "### Conditions"),
    ("Metric", "## `[metrics.NAME]`"),
    ("Prometheus", "### `source`"),
    ("Stage", "## `stages`"),
    ("Criterion", "### `criteria`"),
    ("Task", "### `activities`"),
    ("StageMetric", "### `metrics` of a stage"),
    ("Watch", "### `watch`"),
    ("Trigger", "## `triggers`"),
    ("RollBack", "## `rollback`"),
    ("Step", "### `steps`"),
    ("Responsibility", "## `responsibility`"),
    ("Message", "## `messages`"),
    ("Timeline", "## `timeline`"),
    ("Calendar", "## `calendar`"),
    ("Freeze", "### `freezes`"),
    ("Risk", "## `risks`"),
    ("Traffic", "## `traffic`"),
    ("", "### Variables of every plan"),
    ("", "## `approvals`"),
    ("", "### The built-in plan"),
];

fn schema() -> Value {
    serde_json::from_str(&model::json_schema()).unwrap()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn docs() -> String {
    fs::read_to_string(root().join("docs/plans.md")).unwrap()
}

fn example() -> Value {
    of_toml(&fs::read_to_string(root().join("examples/plans/staged-rollout.toml")).unwrap())
}

fn of_toml(text: &str) -> Value {
    of_table(text.parse().unwrap())
}

fn of_table(table: toml::Table) -> Value {
    table.into_iter().map(|(key, value)| (key, of_value(value))).collect::<Map<_, _>>().into()
}

fn of_value(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(is) => is.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(of_value).collect(),
        toml::Value::Table(table) => of_table(table),
    }
}

#[test]
fn every_example_is_valid() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let check = |name: &str, document: &Value| {
        let errors = validator.iter_errors(document);
        let errors: Vec<String> =
            errors.map(|error| format!("{} at {}", error, error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    };
    let files = fs::read_dir(root().join("examples/plans")).unwrap();
    let made = fs::read_dir(root().join("crates/cli/src/verbs/init")).unwrap();
    let files: Vec<PathBuf> = files.chain(made).map(|file| file.unwrap().path()).collect();
    let documents = files.iter().filter(|file| file.extension().is_some_and(|e| e == "toml"));
    assert!(documents.clone().count() >= 4);
    for file in documents {
        check(&file.display().to_string(), &of_toml(&fs::read_to_string(file).unwrap()));
        let plan = Document::read(file).and_then(Plan::parse).unwrap();
        assert!(plan.warnings().is_empty(), "{}: {:?}", file.display(), plan.warnings());
    }

    let docs = docs();
    let blocks = |notation: &str| {
        let fence = format!("```{notation}\n");
        let blocks = docs.split(&fence).skip(1);
        blocks.map(|rest| rest.split("```").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (toml, json) = (blocks("toml"), blocks("json"));
    assert!(toml.len() >= 5 && !json.is_empty());
    for block in &toml {
        check(block, &of_toml(block));
    }
    for block in &json {
        check(block, &serde_json::from_str(block).unwrap());
    }
    for block in toml.iter().chain(&json) {
        let directory = root().join("examples/plans");
        let plan = Plan::parse(Document::new(block.as_str()).directory(directory));
        assert!(plan.unwrap().warnings().is_empty(), "{block}");
    }
}

#[test]
fn the_schema_refuses_documents_of_the_wrong_form() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    let flag = |flag: Value| json!({ "schema": 1, "flags": { "a": flag } });
    assert!(validator.is_valid(&flag(json!({}))));
    let trigger = |trigger: Value| flag(json!({ "triggers": [trigger] }));
    let message = |field: &str, value: &str| {
        let mut message = json!({
            "audience": "user", "when": "start", "channel": "email", "template": "{{ flag }}",
        });
        message[field] = value.into();
        flag(json!({ "messages": [message] }))
    };
    assert!(validator.is_valid(&message("template", "Of { a }: {{flag}}, {{ percent }}%")));
    let bad = [
        json!({ "schema": 2, "flags": { "a": {} } }),
        json!({ "schema": 1 }),
        json!({ "schema": 1, "flags": {} }),
        json!({ "schema": 1, "flags": { "a b": {} } }),
        flag(json!({ "stages": [{ "name": "a" }], "plan": "b" })),
        flag(json!({ "stages": [{ "percent": 5 }] })),
        flag(json!({ "stages": [{ "name": "a", "percent": 101 }] })),
        flag(json!({ "stages": [{ "name": "a", "min_duration": "1 day" }] })),
        flag(json!({ "stages": [{ "name": "a", "min_duration": "1h 2d" }] })),
        flag(json!({ "stages": [{ "name": "a", "min_duration": "" }] })),
        flag(json!({ "stages": [{ "name": "a", "goal": null }] })),
        flag(json!({ "stages": [{ "name": "a", "criteria": [{ "metric": "cpu", "id": "b" }] }] })),
        trigger(json!({ "incident": "security" })),
        trigger(json!({ "incident": "security", "action": "rollback", "no_data": "hold" })),
        trigger(json!({ "metric": "cpu", "above": "5%", "action": "rollback" })),
        trigger(json!({
            "metric": "cpu", "above": "5%", "below": "1%", "no_data": "hold", "action": "decide",
        })),
        message("when", "-0d"),
        message("when", "3d"),
        message("audience", "users"),
        message("template", "{% if flag %}"),
        message("template", "{{ flag | upper }}"),
        message("template", "{{ flag"),
        message("template", " "),
        flag(json!({ "variables": { "Product": "a" } })),
        flag(json!({ "traffic": { "requests_per_minute": 0, "error_rate": "1%" } })),
        flag(json!({ "traffic": { "requests_per_minute": 5, "error_rate": 1 } })),
        flag(json!({ "traffic": { "requests_per_minute": 5, "error_rate": "1%", "users": 0 } })),
        flag(json!({ "traffic": { "requests_per_minute": 5 } })),
        flag(json!({ "approvals": { "pilot": [] } })),
        flag(json!({ "approvals": { "pilot": "CTO" } })),
        flag(json!({ "approvals": { "pilot": ["CTO", "CTO"] } })),
        flag(json!({ "approvals": { "force": 0 } })),
        flag(json!({ "approvals": { "force": ["CTO"] } })),
        flag(json!({ "four_eyes": "yes" })),
    ];
    for document in bad {
        assert!(!validator.is_valid(&document), "{document}");
        assert!(Plan::parse(document.to_string()).is_err(), "{document}");
    }
}

#[test]
fn the_complete_example_uses_every_field() {
    let (schema, example) = (schema(), example());
    let mut unused: BTreeSet<(String, String)> = objects_of_schema(&schema)
        .into_iter()
        .flat_map(|(name, fields)| fields.into_iter().map(move |field| (name.clone(), field)))
        .collect();
    for found in objects(&schema, &example) {
        for field in found.instance.keys() {
            unused.remove(&(found.name.clone(), field.clone()));
        }
    }
    assert!(unused.is_empty(), "{unused:?}");
}

/// For an unknown field, the reader's error lists the known fields. They are the schema's.
#[test]
fn the_reader_lists_the_fields_of_the_schema() {
    let (schema, example) = (schema(), example());
    let mut left = objects_of_schema(&schema);
    for found in objects(&schema, &example) {
        let Some(fields) = left.remove(&found.name) else { continue };
        let mut document = example.clone();
        document.pointer_mut(&found.pointer).unwrap()["zzz"] = 1.into();
        let document = Document::new(document.to_string()).directory(root().join("examples/plans"));
        let error = Plan::parse(document).unwrap_err();
        let [problem] = error.problems() else { panic!("{}: {error}", found.name) };
        assert_eq!(problem.message(), "unknown field", "{error}");
        let known = problem.hint().strip_prefix("write one of: ").unwrap();
        let known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
        assert_eq!(known, fields, "{}", found.name);
    }
    assert!(left.is_empty(), "not in the example: {left:?}");
}

#[test]
fn the_documentation_has_a_row_for_every_field_and_no_other() {
    let docs = docs();
    let mut sections: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut heading = "";
    for line in docs.lines() {
        if line.starts_with('#') {
            heading = line;
        } else if let Some(cell) = line.strip_prefix("| `").and_then(|row| row.split('|').next()) {
            let names = format!("`{cell}");
            let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
            sections.entry(heading).or_default().extend(names);
        }
    }
    let mut objects = objects_of_schema(&schema());
    for (name, heading) in HEADINGS.iter().filter(|(name, _)| !name.is_empty()) {
        let fields = objects.remove(*name).unwrap();
        assert_eq!(sections.remove(heading).unwrap_or_default(), fields, "{heading}");
    }
    assert!(objects.is_empty(), "without a heading: {objects:?}");

    let variables = sections.remove("### Variables of every plan").unwrap();
    let expected = model::VARIABLES.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(variables, expected.collect());
    let known: BTreeSet<&str> = HEADINGS.iter().map(|(_, heading)| *heading).collect();
    sections.retain(|heading, _| !known.contains(heading));
    assert!(sections.is_empty(), "tables of no known heading: {sections:?}");
}

/// Returns the fields of every object in the schema, by the object's name.
fn objects_of_schema(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let definitions = schema["$defs"].as_object().unwrap().iter();
    let all = definitions.map(|(name, part)| (name.as_str(), part)).chain([("Document", schema)]);
    let with_fields = all.filter_map(|(name, part)| {
        let fields = part.get("properties")?.as_object()?;
        Some((name.to_owned(), fields.keys().cloned().collect()))
    });
    with_fields.collect()
}

/// An object in a document, and its name in the schema.
struct Found<'d> {
    name: String,
    pointer: String,
    instance: &'d Map<String, Value>,
}

fn objects<'d>(schema: &Value, document: &'d Value) -> Vec<Found<'d>> {
    let mut found = Vec::new();
    visit(schema, schema, "Document", String::new(), document, &mut found);
    found
}

fn visit<'d>(
    root: &Value,
    part: &Value,
    name: &str,
    pointer: String,
    instance: &'d Value,
    found: &mut Vec<Found<'d>>,
) {
    if let Some(name) = part["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return visit(root, &root["$defs"][name], name, pointer, instance, found);
    }
    for part in part["anyOf"].as_array().into_iter().flatten() {
        visit(root, part, name, pointer.clone(), instance, found);
    }
    if let (Value::Array(items), true) = (instance, part.get("items").is_some()) {
        for (index, item) in items.iter().enumerate() {
            visit(root, &part["items"], name, format!("{pointer}/{index}"), item, found);
        }
    }
    let Value::Object(entries) = instance else { return };
    if part.get("properties").is_some() {
        found.push(Found { name: name.to_owned(), pointer: pointer.clone(), instance: entries });
    }
    let of_names = part["patternProperties"].as_object().and_then(|parts| parts.values().next());
    for (key, value) in entries {
        let named = part["properties"].get(key).or(of_names).or(part.get("additionalProperties"));
        if let Some(named) = named {
            visit(root, named, name, format!("{pointer}/{key}"), value, found);
        }
    }
}
