//! The verbs that generate output: `init`, `schema`, `completions` and `man`.

use std::fs;

use crate::harness::{root, stagegate, stagegate_with_stdin};

/// The first three commands of a new user.
#[test]
fn init_check_show() {
    for template in ["staged", "minimal"] {
        let document = stagegate(&["init", "--template", template]).ends(0).stdout;
        let run = stagegate_with_stdin(&["check", "--strict", "-"], &document).ends(0);
        assert_eq!(run.stdout, "(standard input): good, 1 flag\n");
        let run = stagegate_with_stdin(&["show", "--format", "markdown", "-"], &document).ends(0);
        assert!(run.stdout.starts_with("# "), "{}", run.stdout);
    }
    assert_eq!(stagegate(&["init"]).stdout, stagegate(&["init", "--template", "staged"]).stdout);
}

/// The document of `init` has the values of the built-in plan.
#[test]
fn init_staged_is_the_built_in_plan() {
    let written = stagegate(&["init", "--template", "staged"]).stdout;
    let built_in = stagegate(&["init", "--template", "minimal"]).stdout;
    let show = |document: &str| {
        let run = stagegate_with_stdin(&["show", "--format", "json", "-"], document).ends(0);
        let mut shown = run.json();
        let flag = &mut shown["flags"][0];
        assert!(flag.as_object_mut().unwrap().remove("plan").is_some());
        for field in ["owner", "description"] {
            flag[field] = serde_json::Value::Null;
        }
        // The group of the document is empty, and the built-in plan has none.
        flag["groups"] = serde_json::Value::Null;
        flag["stages"][0]["groups"] = serde_json::Value::Null;
        for stage in flag["stages"].as_array_mut().unwrap() {
            stage["owner"] = serde_json::Value::Null;
        }
        for row in flag["undated"].as_array_mut().unwrap() {
            row["owner"] = serde_json::Value::Null;
        }
        shown["flags"].clone()
    };
    assert_eq!(show(&written), show(&built_in));
}

#[test]
fn init_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rollout.toml");
    let name = file.to_str().unwrap();
    stagegate(&["init", "--output", name]).ends(0);
    let first = fs::read_to_string(&file).unwrap();
    let run = stagegate(&["init", "--template", "minimal", "--output", name]).ends(3);
    assert_eq!(run.stderr, format!("stagegate: `{name}` already exists and was not changed\n"));
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn the_schema_verb_prints_a_json_schema() {
    let schema = stagegate(&["schema"]).ends(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let result = stagegate(&["schema", "--format", "json"]).ends(0).json();
    assert_eq!((&result["schema"], &result["verb"]), (&1.into(), &"schema".into()));
    assert_eq!(result["document"], schema);
}

#[test]
fn completions_and_the_manual_page_know_every_verb() {
    let verbs = [
        "init",
        "check",
        "schema",
        "show",
        "timeline",
        "messages",
        "responsible",
        "explain",
        "diff",
        "start",
        "update",
        "status",
        "promote",
        "hold",
        "resume",
        "rollback",
        "sign",
        "incident",
        "metric",
        "history",
        "verify",
        "backup",
        "restore",
        "archive",
        "upgrade",
        "anchor",
        "tick",
        "run",
        "publish",
        "document",
        "guard",
        "key",
    ];
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stagegate(&["completions", shell]).ends(0).stdout;
        assert!(verbs.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    let page = stagegate(&["man"]).ends(0).stdout;
    assert!(page.contains(".TH stagegate 1"), "{page}");
    assert!(verbs.iter().all(|verb| page.contains(verb)));
    assert!(page.contains("1 the answer is no"));
    let help = stagegate(&["--help"]).ends(0).stdout;
    assert!(verbs.iter().all(|verb| help.contains(verb)));
}

/// Every verb has a section in the documentation.
#[test]
fn every_verb_is_documented() {
    let documentation = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let help = stagegate(&["--help"]).ends(0).stdout;
    let verbs = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    // Continuation lines are indented further.
    let verbs = verbs.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let verbs: Vec<&str> = verbs.filter(|verb| !verb.is_empty() && *verb != "help").collect();
    assert_eq!(verbs.len(), 34, "{verbs:?}");
    for verb in verbs {
        let heading = documentation.lines().filter(|line| line.starts_with("## "));
        assert!(heading.clone().any(|line| line.contains(&format!("`{verb}`"))), "{verb}");
    }
}

#[test]
fn usage_errors_end_with_2() {
    stagegate(&[]).ends(2);
    stagegate(&["chek"]).ends(2);
    stagegate(&["check", "--format", "xml", "-"]).ends(2);
    stagegate(&["completions", "tcsh"]).ends(2);
}
