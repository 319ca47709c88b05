//! `check`: every problem beside its line, and the exit code.

use std::fs;

use crate::harness::{is_on_record, root, stagegate, stagegate_with};

#[test]
fn a_good_document() {
    let run = stagegate(&["check", "examples/plans/staged-rollout.toml", "--strict"]).ends(0);
    assert_eq!(run.stdout, "examples/plans/staged-rollout.toml: good, 2 flags\n");
    assert_eq!(run.stderr, "");
}

#[test]
fn problems_stand_beside_their_lines() {
    let document = r#"schema = 1
[flags.new-checkout]
stage = "pilto"
ownr = "checkout"
[[flags.new-checkout.triggers]]
metric = "error_rate"
above = "5%"
action = "rollback"
"#;
    let run = stagegate_with(&["check", "-"], document).ends(1);
    is_on_record("check/problems.txt", &run.stdout);
    let run = stagegate_with(&["check", "-", "--format", "json"], document).ends(1);
    is_on_record("check/problems.json", &run.stdout);
}

/// What a document is told, it is told with its colours taken away.
#[test]
fn colours_are_for_terminals() {
    let run = stagegate(&["check", "tests/data/invalid/many-problems.toml"]).ends(1);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}

/// A problem of a users file is shown in that file.
#[test]
fn problems_of_a_users_file() {
    let run = stagegate(&["check", "tests/data/invalid/users-file-bad-lines.toml"]).ends(1);
    assert!(run.stdout.contains("bad-lines.txt:"), "{}", run.stdout);
    is_on_record("check/users-file.txt", &run.stdout);
}

#[test]
fn warnings_fail_only_when_strict() {
    let files = fs::read_dir(root().join("tests/data/warned")).unwrap();
    let mut documents = 0;
    for file in files.map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "toml") {
            documents += 1;
            let file = file.to_str().unwrap();
            let relaxed = stagegate(&["check", file]).ends(0);
            assert!(relaxed.stdout.contains("warning"), "{}", relaxed.stdout);
            assert!(relaxed.stdout.contains(": good, "), "{}", relaxed.stdout);
            let strict = stagegate(&["check", "--strict", file]).ends(1);
            assert!(strict.stdout.contains("not good (--strict)"), "{}", strict.stdout);
        }
    }
    assert!(documents > 0);
}

/// At the traffic that the document declares, beside what is doubtful anyway.
#[test]
fn stages_that_are_too_short_are_warned_of() {
    let document = "crates/cli/tests/data/check/too-short.toml";
    let run = stagegate(&["check", document]).ends(0);
    is_on_record("check/too-short.txt", &run.stdout);
    let run = stagegate(&["check", "--strict", document, "--format", "json"]).ends(1);
    is_on_record("check/too-short.json", &run.stdout);
    let shown = stagegate(&["show", document, "--format", "json"]).ends(0).json();
    assert_eq!(shown["flags"][0]["warnings"], run.json()["documents"][0]["problems"]);
}

/// Every document that the library refuses: no panic, the right code, as many problems.
#[test]
fn every_bad_document_on_record() {
    let mut documents = 0;
    for file in fs::read_dir(root().join("tests/data/invalid")).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_some_and(|extension| extension == "toml" || extension == "json") {
            documents += 1;
            let file = file.to_str().unwrap();
            let human = stagegate(&["check", file]).ends(1);
            let json = stagegate(&["check", "--format", "json", file]).ends(1).json();
            let problems = json["documents"][0]["problems"].as_array().unwrap();
            assert!(!problems.is_empty(), "{file}");
            for problem in problems {
                let hint = problem["hint"].as_str().unwrap();
                let first = hint.lines().next().unwrap();
                assert!(human.stdout.contains(first), "{file}: {hint}\n{}", human.stdout);
            }
        }
    }
    assert!(documents > 80);
}

#[test]
fn several_documents_are_one_answer() {
    let good = "examples/plans/rollout.toml";
    let bad = "tests/data/invalid/percent-shrinks.toml";
    let run = stagegate(&["check", good, bad, "--format", "json"]).ends(1).json();
    assert_eq!(run["good"], false);
    assert_eq!(run["documents"][0]["good"], true);
    assert_eq!(run["documents"][1]["good"], false);
    stagegate(&["check", good, good]).ends(0);
}

#[test]
fn what_cannot_be_read() {
    let run = stagegate(&["check", "no-such.toml"]).ends(3);
    assert!(run.stderr.starts_with("stagegate: rollout document `no-such.toml` cannot be read: "));
    assert_eq!(run.stdout, "");
    stagegate(&["check", "src"]).ends(3);
    stagegate(&["check"]).ends(2);
}
