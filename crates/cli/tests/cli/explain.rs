//! `explain`

use stagegate::{Document, Plan, User};

use crate::harness::{Run, assert_golden, root, stagegate};

const PLAN: &str = "crates/cli/tests/data/people/plan.toml";

fn explain(arguments: &[&str]) -> Run {
    stagegate(&[&["explain", PLAN], arguments].concat())
}

#[test]
fn every_reason_has_its_sentence() {
    let north = &["-a", "region=eu-north", "-a", "tier=pro"];
    let mut text = String::new();
    for (arguments, code) in [
        (&["ana", "checkout"][..], 0),
        (&[&["user-2", "checkout"][..], north].concat(), 0),
        (&["user-4", "checkout"], 0),
        (&["user-2", "checkout"], 1),
        (&[&["ana-ops", "checkout"][..], north].concat(), 1),
        (&["user-2", "dark-mode"], 1),
        (&["user-2", "search"], 0),
    ] {
        let run = explain(arguments).ends(code);
        assert_eq!(run.stderr, "");
        text += &format!("$ stagegate explain plan.toml {}\n{}\n", arguments.join(" "), run.stdout);
    }
    let default = stagegate(&["explain", "examples/plans/rollout.toml", "user-2", "new-checkout"]);
    text += &default.ends(1).stdout;
    assert_golden("people/explain.txt", &text);
}

#[test]
fn the_json_matches_its_golden_file() {
    let run = explain(&["ana-ops", "checkout", "--attribute", "tear=pro", "--format", "json"]);
    assert_golden("people/explain.json", &run.ends(1).stdout);
}

/// Compares with the library.
#[test]
fn the_answers_match_the_library() {
    let plan = Plan::parse(Document::read(root().join(PLAN)).unwrap()).unwrap();
    for flag in plan.flags() {
        for key in (0..12).map(|n| format!("user-{n}")).chain(["ana".into(), "ops-12".into()]) {
            let north = User::new(&key).attribute("region", "eu-north").attribute("tier", "pro");
            let expected = plan.flag(flag).unwrap().explain(&north);
            let code = i32::from(!expected.evaluation.enabled);
            let attributes = ["-a", "region=eu-north", "-a", "tier=pro", "--format", "json"];
            let found = explain(&[&[&*key, flag][..], &attributes].concat()).ends(code).json();
            assert_eq!(found["enabled"], expected.evaluation.enabled);
            assert_eq!(found["bucket"], expected.evaluation.bucket.unwrap().to_string());
            let cohort = expected.evaluation.cohort.map(|stage| stage.to_string());
            assert_eq!(found["cohort"].as_str(), cohort.as_deref());
            for (row, stage) in expected.stages.iter().enumerate() {
                let found = &found["stages"][row];
                assert_eq!(found["enabled"], stage.enabled);
                assert_eq!(found["groups"], serde_json::json!(stage.groups));
                // The printed share gives the same decision as the bucket.
                let ppm = u32::try_from(found_ppm(&explain(&[&key, flag, "--format", "json"])));
                assert_eq!(stage.by_percent, ppm.unwrap() < stage.percent.ppm());
            }
        }
    }
}

fn found_ppm(run: &Run) -> u64 {
    run.json()["bucket_ppm"].as_u64().unwrap()
}

#[test]
fn an_integer_is_its_decimal_text() {
    let minus = explain(&["-7", "checkout", "--format", "json"]);
    let bucket = stagegate::Salt::new("checkout").bucket(-7_i64).to_string();
    assert_eq!(minus.json()["bucket"], bucket);
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    let run = explain(&["ana", "chekout"]).ends(2);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr,
        "stagegate: the document has no flag `chekout`; it has: checkout, dark-mode, search\n"
    );
    explain(&["ana", "checkout", "-a", "region"]).ends(2);
    explain(&["ana", "checkout", "-a", "=x"]).ends(2);
}

#[test]
fn an_attribute_that_no_group_uses_is_reported() {
    let run = explain(&["ana", "checkout", "-a", "regoin=eu\u{1b}", "-a", "tier=pro"]).ends(0);
    assert!(run.stdout.ends_with("\nno group of the flag uses the attribute `regoin`\n"));
}

#[test]
fn hostile_texts_are_escaped() {
    let document = "crates/cli/tests/data/people/hostile.toml";
    let key = "\u{1b}]0;x\u{7}";
    let run = stagegate(&["explain", document, key, "a", "-a", "\u{1b}[2K=x"]).ends(0);
    assert!(run.stdout.contains("in `team`"), "{}", run.stdout);
    assert!(!run.stdout.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{}", run.stdout);
    assert_eq!(stagegate(&["explain", document, key, "a", "--format", "json"]).json()["user"], key);
    let run = stagegate(&["explain", document, "x", "\u{1b}[2J"]).ends(2);
    assert!(!run.stderr.contains('\u{1b}'), "{}", run.stderr);
}
