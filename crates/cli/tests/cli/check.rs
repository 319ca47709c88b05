//! `check`: problems with their lines, and the exit code.

use std::fs;

use crate::harness::{assert_golden, root, stagegate, stagegate_with_stdin};

#[test]
fn a_good_document() {
    let run = stagegate(&["check", "examples/plans/staged-rollout.toml", "--strict"]).ends(0);
    assert_eq!(run.stdout, "examples/plans/staged-rollout.toml: good, 3 flags\n");
    assert_eq!(run.stderr, "");
}

#[test]
fn problems_are_printed_with_their_lines() {
    let document = r#"schema = 1
[flags.new-checkout]
stage = "pilto"
ownr = "checkout"
[[flags.new-checkout.triggers]]
metric = "error_rate"
above = "5%"
action = "rollback"
"#;
    let run = stagegate_with_stdin(&["check", "-"], document).ends(1);
    assert_golden("check/problems.txt", &run.stdout);
    let run = stagegate_with_stdin(&["check", "-", "--format", "json"], document).ends(1);
    assert_golden("check/problems.json", &run.stdout);
}

#[test]
fn colours_are_for_terminals() {
    let run = stagegate(&["check", "tests/data/invalid/many-problems.toml"]).ends(1);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}

/// A problem in a users file is shown with the lines of that file.
#[test]
fn problems_of_a_users_file() {
    let run = stagegate(&["check", "tests/data/invalid/users-file-bad-lines.toml"]).ends(1);
    assert!(run.stdout.contains("bad-lines.txt:"), "{}", run.stdout);
    assert_golden("check/users-file.txt", &run.stdout);
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

/// For the declared traffic, next to the other warnings.
#[test]
fn stages_that_are_too_short_cause_warnings() {
    let document = "crates/cli/tests/data/check/too-short.toml";
    let run = stagegate(&["check", document]).ends(0);
    assert_golden("check/too-short.txt", &run.stdout);
    let run = stagegate(&["check", "--strict", document, "--format", "json"]).ends(1);
    assert_golden("check/too-short.json", &run.stdout);
    let shown = stagegate(&["show", document, "--format", "json"]).ends(0).json();
    assert_eq!(shown["flags"][0]["warnings"], run.json()["documents"][0]["problems"]);
}

/// Every document that the library refuses: no panic, exit code 1, and the same problems as text and as JSON.
#[test]
fn every_invalid_document_has_problems() {
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
fn unreadable_documents_are_reported() {
    let run = stagegate(&["check", "no-such.toml"]).ends(3);
    assert!(run.stderr.starts_with("stagegate: rollout document `no-such.toml` cannot be read: "));
    assert_eq!(run.stdout, "");
    stagegate(&["check", "src"]).ends(3);
    stagegate(&["check"]).ends(2);
}

/// The store keeps the list, so that later verbs need no permission.
#[test]
fn a_list_in_another_directory_is_allowed_by_lists_from() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).display().to_string();
    fs::create_dir(path("plans")).unwrap();
    fs::create_dir(path("lists")).unwrap();
    fs::write(path("lists/team.txt"), "ana\nJos\u{e9}\n").unwrap();
    let text = "schema = 1\n[groups.team]\nusers_file = \"../lists/team.txt\"\n[flags.f]\n\
                stages = [{ name = \"s\", groups = [\"team\"] }]\n";
    let plan = path("plans/rollout.toml");
    fs::write(&plan, text).unwrap();
    let (lists, store) = (path("lists"), path("store"));
    let refused = stagegate(&["check", &plan]).ends(1);
    assert!(refused.stdout.contains("--lists-from DIR"), "{}", refused.stdout);
    stagegate(&["check", &plan, "--strict", "--lists-from", &lists]).ends(0);
    stagegate(&["start", &plan, "--store", &store, "--by", "ana", "--lists-from", &lists]).ends(0);
    fs::remove_dir_all(&lists).unwrap();
    stagegate(&["status", "--store", &store]).ends(0);
    let run = stagegate(&["explain", &store, "Jose\u{301}", "f"]).ends(1);
    let sentence = "\nthere is `Jos\u{e9}` in `team`, of other bytes (U+00E9)\n";
    assert!(run.stdout.ends_with(sentence), "{}", run.stdout);
}
