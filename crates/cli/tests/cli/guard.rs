//! `guard`

use std::fs;

use crate::harness::{Run, assert_golden, root, stagegate, stagegate_with_stdin};

const PLAN: &str = "examples/plans/staged-rollout.toml";
const HEAD: &str = "time,treatment_requests,treatment_errors,treatment_slow,control_requests,control_errors,control_slow";

fn replay(metrics: &str, arguments: &[&str]) -> Run {
    let replay = ["guard", "replay", PLAN, "--flag", "new-checkout", "--stage", "pilot", metrics];
    stagegate(&[&replay, arguments].concat())
}

/// Three hours. The second half has nine times the errors and three times the slow requests.
#[test]
fn a_fault_fires_triggers_at_its_row() {
    let file = "crates/cli/tests/data/guard/fault.csv";
    let human = replay(file, &[]).ends(0);
    assert_eq!(human.stderr, "");
    assert_golden("guard/replay.txt", &human.stdout);
    let json = replay(file, &["--format", "json"]).ends(0);
    assert_golden("guard/replay.json", &json.stdout);
    let json = json.json();
    let triggers = json["triggers"].as_array().unwrap();
    let fired = triggers.iter().enumerate();
    let fired = fired.filter_map(|(index, trigger)| Some((trigger["row"].as_u64()?, index)));
    let (row, trigger) = fired.min().unwrap();
    assert_eq!(
        (&json["first_fire"]["row"], &json["first_fire"]["trigger"]),
        (&row.into(), &trigger.into())
    );
    assert!(row > 90, "not before the fault");

    // Without the fault, no trigger fires.
    let text = fs::read_to_string(root().join(file)).unwrap();
    let quiet: String = text.split_inclusive('\n').take(90).collect();
    let of = [
        "guard",
        "replay",
        PLAN,
        "-f",
        "new-checkout",
        "--stage",
        "pilot",
        "-",
        "--format",
        "json",
    ];
    let json = stagegate_with_stdin(&of, quiet).ends(0).json();
    assert_eq!((&json["first_fire"], &json["rows"]), (&serde_json::Value::Null, &89.into()));
}

/// A trigger with `no_data = "rollback"` once did not fire if there never was any data.
#[test]
fn missing_data_fires_as_in_a_rollout() {
    let replay = |more: &[&str]| {
        let of = ["guard", "replay", "crates/cli/tests/data/guard/silent.toml", "-f", "search"];
        let file = ["--stage", "pilot", "crates/cli/tests/data/guard/silent.csv"];
        stagegate(&[&of[..], &file, more].concat()).ends(0)
    };
    assert_golden("guard/silent.txt", &replay(&[]).stdout);
    let json = replay(&["--format", "json"]).json();
    assert_eq!(json["first_fire"], serde_json::json!({ "row": 3, "trigger": 1 }));
    let first = &json["triggers"][1];
    assert_eq!((&first["verdict"], &first["detail"]), (&"no_data".into(), &"no data".into()));
}

#[test]
fn problems_of_a_metrics_file_are_listed_by_line() {
    let mut text = String::new();
    for rows in [
        "2026-01-05T09:00:00Z,100,1,2,900,9,8\n2026-01-05T08:59:00Z,100,101,2,900,9,8\nyesterday,1,-1,2,900,9,NaN\n",
        "2026-01-05T09:00:00Z,100,1,2\n",
    ] {
        let run = stagegate_with_stdin(
            &["guard", "replay", PLAN, "-f", "new-checkout", "--stage", "pilot", "-"],
            format!("{HEAD}\n{rows}"),
        );
        text += &run.ends(2).stderr;
    }
    let of = |document: &str, flag: &str, stage: &str, input: &str| {
        stagegate_with_stdin(
            &["guard", "replay", document, "-f", flag, "--stage", stage, "-"],
            input,
        )
    };
    text += &of(PLAN, "new-checkout", "pilot", "time,treatment_requests\n").ends(2).stderr;
    text += &of(PLAN, "new-checkout", "moon", "").ends(2).stderr;
    text += &of(PLAN, "old-checkout", "pilot", "").ends(2).stderr;
    text += &of(
        PLAN,
        "new-checkout",
        "pilot",
        &format!("{HEAD},complaints\n2026-01-05T09:00:00Z,1,0,0,9,0,0,many\n"),
    )
    .ends(2)
    .stderr;
    assert_golden("guard/mistakes.txt", &text);
    replay("no-such.csv", &[]).ends(3);
}

#[test]
fn power_prints_the_detectable_rates_of_each_stage() {
    let plan = "crates/cli/tests/data/guard/worse.toml";
    let traffic = ["--requests-per-minute", "3000", "--base-error-rate", "0.4%"];
    let power = |arguments: &[&str]| {
        stagegate(&[&["guard", "power", plan][..], &traffic, arguments].concat())
    };
    assert_golden("guard/power.txt", &power(&[]).ends(0).stdout);
    assert_golden("guard/power.json", &power(&["--format", "json"]).ends(0).stdout);
    for wrong in
        [["--base-error-rate", "0"], ["--base-error-rate", "100%"], ["--requests-per-minute", "-1"]]
    {
        let mut arguments = vec!["guard", "power", plan];
        arguments.extend(if wrong[0].starts_with("--base") {
            &traffic[..2]
        } else {
            &traffic[2..]
        });
        stagegate(&[&arguments[..], &wrong].concat()).ends(2);
    }
}

#[test]
fn traffic_defaults_to_the_documents() {
    let document =
        fs::read_to_string(root().join("crates/cli/tests/data/guard/worse.toml")).unwrap();
    let declared = |traffic: &str| {
        document.replace("[flags.search]\n", &format!("[flags.search]\n{traffic}\n"))
    };
    let power = |document: &str, arguments: &[&str]| {
        stagegate_with_stdin(&[&["guard", "power", "-"], arguments].concat(), document)
    };
    let (requests, errors) = (["--requests-per-minute", "3000"], ["--base-error-rate", "0.4%"]);
    let on_record =
        fs::read_to_string(root().join("crates/cli/tests/data/guard/power.txt")).unwrap();
    let traffic = "traffic = { requests_per_minute = 3000, error_rate = \"0.4%\" }";
    assert_eq!(power(&declared(traffic), &[]).ends(0).stdout, on_record);
    let other = declared("traffic = { requests_per_minute = 7, error_rate = \"0.4%\" }");
    assert_eq!(power(&other, &requests).ends(0).stdout, on_record);
    let other = declared("traffic = { requests_per_minute = 3000, error_rate = \"7%\" }");
    assert_eq!(power(&other, &errors).ends(0).stdout, on_record);

    let hint =
        "or write in the document: traffic = { requests_per_minute = 3000, error_rate = \"0.4%\" }";
    for (arguments, missing) in [
        (&[][..], "`--requests-per-minute` and `--base-error-rate`"),
        (&requests, "`--base-error-rate`"),
        (&errors, "`--requests-per-minute`"),
    ] {
        let expected = format!(
            "stagegate: the document has no `traffic` for `search`. Pass {missing}, {hint}\n"
        );
        assert_eq!(power(&document, arguments).ends(2).stderr, expected);
    }
}
