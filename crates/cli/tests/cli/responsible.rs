//! `responsible`

use crate::harness::{Run, assert_golden, stagegate, stagegate_with_stdin};

const PLAN: &str = "crates/cli/tests/data/people/plan.toml";

fn responsible(arguments: &[&str]) -> Run {
    stagegate(&[&["responsible", PLAN, "--flag", "checkout"], arguments].concat())
}

#[test]
fn the_row_and_the_time_are_printed() {
    let mut text = String::new();
    for at in [
        "2026-01-05T08:59:30+01:00",
        "2026-01-05T09:00:00+01:00",
        "2026-01-09T17:59:59.999+01:00",
        "2026-01-10T03:00:00Z",
        // Clocks go forward on the 29th.
        "2026-03-27T18:00:00[Europe/Berlin]",
    ] {
        let run = responsible(&["--at", at]).ends(0);
        text += &format!("$ stagegate responsible plan.toml --at {at}\n{}\n", run.stdout);
    }
    assert_golden("people/responsible.txt", &text);
    let json = responsible(&["--at", "2026-01-05T12:00:00Z", "--format", "json"]).ends(0);
    assert_golden("people/responsible.json", &json.stdout);
}

#[test]
fn a_row_for_every_hour_has_no_end() {
    let document = "schema = 1\n[flags.a]\nresponsibility = [{ contact = \"Jana\" }]";
    let at = ["--at", "2026-01-05T12:00:00Z"];
    let run = stagegate_with_stdin(&[&["responsible", "-"][..], &at].concat(), document).ends(0);
    assert_eq!(
        run.stdout,
        "Jana

row:        1
hours:      Mon-Sun, UTC
local time: Mon 2026-01-05 12:00 +00:00
until:      no change within a week
"
    );
}

#[test]
fn without_a_responsibility_table_the_exit_code_is_1() {
    let run = stagegate(&["responsible", PLAN, "--flag", "search"]).ends(1);
    assert_eq!(run.stdout, "The plan of `search` has no responsibility table.\n");
    let run = stagegate(&["responsible", PLAN, "--flag", "search", "--format", "json"]).ends(1);
    assert!(run.json()["responsible"].is_null());
}

#[test]
fn moments_far_in_the_past_and_the_future_are_accepted() {
    for at in ["-009999-01-03T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-30T00:00:00Z"] {
        responsible(&[&format!("--at={at}")]).ends(0);
    }
}

#[test]
fn a_moment_without_an_offset_is_a_usage_error() {
    for at in ["2026-01-05T12:00:00", "2026-01-05", "now", "", "2026-13-05T12:00:00Z"] {
        let run = responsible(&["--at", at]).ends(2);
        assert!(run.stderr.contains("write for example 2026-01-10T03:00:00+01:00"), "{run:?}");
    }
    let run = stagegate(&["responsible", PLAN]).ends(2);
    assert!(run.stderr.contains("checkout, dark-mode, search"), "{run:?}");
    stagegate(&["responsible", PLAN, "--flag", "none"]).ends(2);
}

#[test]
fn hostile_texts_are_escaped() {
    let document = "crates/cli/tests/data/people/hostile.toml";
    let run = stagegate(&["responsible", document, "--at", "2026-01-05T12:00:00Z"]).ends(0);
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}']), "{}", run.stdout);
    assert!(run.stdout.contains(r"then \u{202e}other\nline, row 2"), "{}", run.stdout);
    assert!(run.stdout.starts_with(r"\u{1b}[2Jcontact"), "{}", run.stdout);
}
