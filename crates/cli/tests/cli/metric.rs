//! Metrics with decimal or negative values, from the document to the journal.

use std::fmt::Write as _;

use crate::harness::{assert_golden, stagegate};

const DOCUMENT: &str = "crates/cli/tests/data/metric/numbers.toml";

#[test]
fn numbers_are_entered_and_judged_as_in_the_transcript() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    let mut transcript = String::new();
    let mut run = |code: i32, verb: &str| {
        let words = verb.split(' ');
        let at = ["--store", &store, "--clock", "2026-01-05T09:00:00Z"];
        let run = stagegate(&words.chain(at).collect::<Vec<_>>()).ends(code);
        let _ = writeln!(transcript, "$ stagegate {verb}");
        for line in run.stdout.lines().chain(run.stderr.lines()) {
            let line = line.replace(directory.path().to_str().unwrap(), "DIR");
            let _ = writeln!(transcript, "{}", format!("  {line}").trim_end());
        }
        run
    };
    run(0, &format!("start {DOCUMENT} --by ana"));
    run(0, "metric set search nps -3.5 --by ana");
    run(0, "status --flag search");
    run(2, "metric set search nps -1e3 --by ana");
    run(2, "metric set search nps fine --by ana");
    run(0, "metric set search revenue 7.90 --control 10.25 --by ana");
    run(0, "metric set search revenue 8.20 --control 10.25 --by ana");
    run(0, "status --flag search");
    run(0, "metric set search nps -10.250001 --by ana");
    let status = run(0, "status --flag search --format json").json().to_string();
    assert!(status.contains("\"stage\":\"off\""), "{status}");
    let history = run(0, "history --format json").json().to_string();
    assert!(history.contains("7.9 with the flag, 10.25 without"), "{history}");
    assert!(history.contains("-10.250001"), "{history}");
    let json = transcript.find("$ stagegate status --flag search --format json").unwrap();
    assert_golden("metric/transcript.txt", &transcript[..json]);
}

#[test]
fn a_plan_shows_titles_and_directions() {
    let json = stagegate(&["show", DOCUMENT, "--format", "json"]).ends(0).json().to_string();
    let revenue = "\"better\":\"more\",\"description\":null,\"name\":\"revenue\"";
    assert!(json.contains(revenue), "{json}");
    assert!(json.contains("\"title\":\"Revenue per user\""), "{json}");
    assert!(json.contains("{\"millionths\":-10250000,\"text\":\"-10.25\"}"), "{json}");
    let text = stagegate(&["show", DOCUMENT, "--format", "markdown"]).ends(0).stdout;
    assert!(text.contains("- **revenue** (Revenue per user, number, more is better): "), "{text}");
}
