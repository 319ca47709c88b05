//! `explain`

use stagegate::{Document, Plan, User};

use crate::harness::{Run, assert_golden, root, stagegate, stagegate_with_stdin};

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

/// Runs `explain` on a plan with every way to choose users. Each case has the words for the parts that decided.
#[test]
fn every_part_that_decides_is_named() {
    let plan = "crates/cli/tests/data/people/targeted.toml";
    let mut text = String::new();
    for (arguments, code, because) in [
        // The unit.
        (
            "ana crm",
            1,
            "the user has no `organisation`, and the percentages of `crm` are of its values.",
        ),
        (
            "ana crm -a organisation=initech",
            1,
            "the bucket of `organisation` initech, 87.5727%, is outside the 10% of stage `pilot`.",
        ),
        (
            "ana crm -a organisation=initech -a organisation=acme",
            0,
            "stage `pilot` admits users in `pilot-companies`.",
        ),
        // Requirements.
        (
            "ana app -a platform=ios -a app_version=4.1.9 -a age=old",
            1,
            "only users of `new-app`, `adults` may have it, and the user is in none of them.",
        ),
        ("ana app -a platform=web", 0, "stage `ga` admits all users."),
        ("ana early -a device=d-1", 1, "`early` requires `api` at `all`, and it is at `pilot`."),
        (
            "ana needy -a region=eu-west",
            1,
            "`needy` requires `api` at `pilot`, and the user does not have `api`.",
        ),
        ("ana needy -a device=d-1", 0, "stage `ga` admits all users."),
        // Percentages of groups.
        (
            "user-9 regions -a region=eu-west",
            0,
            "the user's bucket, 1.9741%, is within the 50% of `eu` of stage `eu-more`.",
        ),
        (
            "user-2 regions -a region=ap-1",
            1,
            "the percentage refers only to `eu`, and the user is not in it, and in no group that \
             has the flag.",
        ),
        // Hold-backs.
        ("user-2 regions -a region=us-1", 1, "group `us` waits until `ga`."),
        (
            "user-2 regions -a region=us-1 -a country=xx",
            1,
            "group `us` waits until `ga`, group `embargoed` never has the flag.",
        ),
        (
            "user-2 regions -a region=us-1 -a email=x@acme.example",
            0,
            "stage `eu-more` admits users in `staff`.",
        ),
    ] {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let run = stagegate(&[&["explain", plan][..], &arguments].concat()).ends(code);
        assert_eq!(run.stderr, "");
        assert!(run.stdout.lines().next().unwrap().ends_with(because), "{}", run.stdout);
        text += &format!("$ stagegate explain plan.toml {}\n{}\n", arguments.join(" "), run.stdout);
    }
    assert_golden("people/explain-targeted.txt", &text);
    let arguments =
        ["explain", plan, "ana", "needy", "-a", "region=eu-west", "-a", "app_version=4.2.0"];
    let json = stagegate(&[&arguments[..], &["--format", "json"]].concat()).ends(1);
    assert_golden("people/explain-targeted.json", &json.stdout);
}

/// A flag that only lists users has no table of groups: the table of stages says it all.
#[test]
fn an_explanation_of_plain_lists_stays_short() {
    let document = "schema = 1\n[groups.team]\nusers = [\"ana\"]\n[flags.a]\nstage = \"one\"\n\
        stages = [{ name = \"one\", groups = [\"team\"] }]\n";
    let run = stagegate_with_stdin(&["explain", "-", "ana", "a"], document).ends(0);
    assert!(!run.stdout.contains("group "), "{}", run.stdout);
}

/// The unit of a required flag counts as used, or a correct attribute would be called a mistake.
#[test]
fn attributes_of_required_flags_are_used() {
    let plan = "crates/cli/tests/data/people/targeted.toml";
    let run = stagegate(&["explain", plan, "ana", "needy", "-a", "device=d-1", "-a", "devise=d-1"]);
    assert!(!run.stdout.contains("`device`\n"), "{}", run.stdout);
    assert!(run.stdout.ends_with("no group of the flag uses the attribute `devise`\n"));
}

/// In a store, a required flag is at its stage in the journal, not in the document.
#[test]
fn a_store_answers_with_the_stages_of_required_flags() {
    let directory = tempfile::tempdir().unwrap();
    let plan = directory.path().join("plan.toml");
    let document = "schema = 1\n[flags.api]\nstages = [{ name = \"all\", percent = 100 }]\n\
        [flags.app]\nstage = \"ga\"\nrequires = { api = \"all\" }\nstages = [{ name = \"ga\", percent = 100 }]\n";
    std::fs::write(&plan, document).unwrap();
    let store = directory.path().join("store");
    let (plan, store) = (plan.to_str().unwrap(), store.to_str().unwrap());
    stagegate(&["start", plan, "--store", store, "--by", "ana"]).ends(0);
    let before = stagegate(&["explain", store, "ben", "app"]).ends(1);
    assert!(before.stdout.contains("`app` requires `api` at `all`, and it is at `off`."));
    let promote = ["promote", "api", "--store", store, "--by", "ana", "--yes"];
    stagegate(&promote).ends(0);
    let after = stagegate(&["explain", store, "ben", "app"]).ends(0);
    assert!(after.stdout.contains("needs:  `api` at `all`; the user has it"), "{}", after.stdout);
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
