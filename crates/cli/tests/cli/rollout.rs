//! A rollout on a directory by the command line alone: every verb and every exit code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use stagegate::clock::ManualClock;
use stagegate::rollout::{Rollout, RolloutOptions};
use stagegate::store::{Directory, File, Files, SystemFiles};
use tempfile::TempDir;

use crate::harness::{Run, assert_golden, root, stagegate, stagegate_with_env};

const DOCUMENT: &str = r#"schema = 1
[groups.team]
users = ["ana", "ben"]
[flags.search]
[[flags.search.stages]]
name = "internal"
groups = ["team"]
min_duration = "1d"
checklist = [{ id = "load-test", text = "The load test passed", owner = "platform" }]
[[flags.search.stages]]
name = "pilot"
percent = 10
max_duration = "5d"
metrics = { error_rate = { target = "< 1%", alert = "> 2%" } }
[[flags.search.stages]]
name = "ga"
percent = 100
watch = { for = "4h", every = "2h" }
[[flags.search.triggers]]
metric = "error_rate"
above = "5%"
no_data = "hold"
action = "rollback"
[[flags.search.triggers]]
metric = "complaints"
above = 5
no_data = "hold"
action = "decide"
[[flags.search.responsibility]]
contact = "on call"
escalation = ["lead"]
[flags.other]
stages = [{ name = "all", percent = 100 }]
"#;

/// A store in a temporary directory, a moment, and the transcript of all commands.
pub(crate) struct Shop {
    directory: TempDir,
    pub(crate) at: &'static str,
    pub(crate) transcript: String,
}

impl Shop {
    pub(crate) fn new() -> Shop {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("rollout.toml"), DOCUMENT).unwrap();
        Shop { directory, at: "2026-01-05T09:00:00Z", transcript: String::new() }
    }

    /// Starts the rollout.
    pub(crate) fn started() -> Shop {
        let mut shop = Shop::new();
        let document = shop.path("rollout.toml");
        shop.run(0, &["start", document.to_str().unwrap(), "--by", "ana"]);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn store(&self) -> String {
        self.path("store").display().to_string()
    }

    /// Runs a verb on the store at the moment, and adds its output to the transcript.
    #[track_caller]
    pub(crate) fn run(&mut self, code: i32, arguments: &[&str]) -> Run {
        let store = self.store();
        let mut all = arguments.to_vec();
        all.extend(["--store", &store, "--clock", self.at]);
        let run = stagegate(&all).ends(code);
        let plain = |text: &str| text.replace(self.directory.path().to_str().unwrap(), "DIR");
        let quoted = arguments.iter().map(|it| plain(it)).map(|it| match it.contains([' ', '%']) {
            true => format!("'{it}'"),
            false => it,
        });
        let quoted: Vec<String> = quoted.collect();
        self.transcript += &format!("{} $ stagegate {}\n", self.at, quoted.join(" "));
        for (text, mark) in [(&run.stdout, "  "), (&run.stderr, "  2> ")] {
            for line in plain(text).lines() {
                self.transcript += format!("{mark}{line}").trim_end();
                self.transcript.push('\n');
            }
        }
        if code != 0 {
            self.transcript += &format!("  exit {code}\n");
        }
        run
    }

    pub(crate) fn json(&mut self, arguments: &[&str]) -> serde_json::Value {
        self.json_with(0, arguments)
    }

    pub(crate) fn json_with(&mut self, code: i32, arguments: &[&str]) -> serde_json::Value {
        let mut all = arguments.to_vec();
        all.extend(["--format", "json"]);
        self.run(code, &all).json()
    }
}

/// Returns every file of a directory with its content.
fn files(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn a_rollout_from_start_to_end_matches_its_transcript() {
    let mut shop = Shop::started();
    let document = shop.path("rollout.toml").display().to_string();
    let users = shop.path("users.txt").display().to_string();
    let keys: String = (0..1000).map(|number| format!("user-{number}\tregion=eu\n")).collect();
    fs::write(&users, keys).unwrap();

    shop.run(0, &["status"]);
    shop.run(2, &["promote", "search", "--by", "ana"]);
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(1, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["hold", "search", "--by", "ben", "--reason", "wait for legal"]);
    shop.run(0, &["resume", "search", "--by", "ben"]);
    shop.run(1, &["sign", "search", "load", "--by", "ben"]);
    shop.run(
        0,
        &["sign", "search", "load-test", "--by", "ben", "--evidence", "https://example.org/17"],
    );
    shop.at = "2026-01-06T09:00:00Z";
    shop.run(0, &["metric", "set", "search", "error_rate", "0.2%", "--by", "ana"]);
    shop.run(0, &["metric", "set", "search", "complaints", "0", "--by", "ana"]);
    shop.run(2, &["promote", "search", "--by", "ana", "--users", &users]);
    shop.run(2, &["promote", "search", "--by", "ana", "--traffic", "30000"]);
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(2, &["metric", "set", "search", "error_rate", "fine", "--by", "ana"]);
    shop.run(0, &["metric", "set", "search", "error_rate", "0.4%", "--by", "ana"]);
    shop.run(0, &["metric", "set", "search", "complaints", "7", "--by", "ana"]);
    shop.at = "2026-01-12T09:00:00Z";
    shop.run(0, &["status", "--flag", "search"]);
    shop.run(0, &["tick"]);
    shop.run(
        0,
        &["metric", "set", "search", "error_rate", "6.2%", "--samples", "1200", "--by", "ana"],
    );
    shop.at = "2026-01-12T09:16:00Z";
    shop.run(0, &["tick"]);
    shop.run(1, &["incident", "step", "search", "--by", "ben"]);
    shop.run(1, &["promote", "search", "--force", "--reason", "hurry", "--by", "ana", "--yes"]);
    shop.run(0, &["metric", "set", "search", "error_rate", "0.1%", "--by", "ana"]);
    shop.run(0, &["incident", "step", "search", "--by", "ben", "--note", "back to normal"]);
    shop.run(0, &["incident", "step", "search", "--by", "ben", "--note", "told support"]);
    shop.run(2, &["incident", "close", "search", "--by", "ben", "--note", "an index was missing"]);
    shop.run(
        0,
        &["incident", "close", "search", "--by", "ben", "--note", "an index was missing", "--yes"],
    );
    shop.run(
        0,
        &[
            "promote",
            "search",
            "--force",
            "--to",
            "ga",
            "--reason",
            "decided by the CTO",
            "--by",
            "ana",
            "--yes",
        ],
    );
    shop.run(
        0,
        &["incident", "report", "search", "data_integrity", "--note", "one order", "--by", "ana"],
    );
    shop.run(0, &["rollback", "search", "--to", "pilot", "--reason", "to be sure", "--by", "ana"]);
    fs::write(
        &document,
        DOCUMENT.replace("< 1%", "< 0.5%").replace("[flags.other]", "[flags.new]"),
    )
    .unwrap();
    shop.run(2, &["update", &document, "--by", "ana"]);
    shop.run(0, &["update", &document, "--by", "ana", "--yes"]);
    shop.run(0, &["update", &document, "--by", "ana", "--yes"]);
    fs::write(&document, DOCUMENT.replace("percent = 10\n", "percent = 50\n")).unwrap();
    shop.run(1, &["update", &document, "--by", "ana", "--yes"]);
    shop.run(0, &["history"]);
    shop.run(
        0,
        &["history", "--flag", "search", "--since", "2026-01-12T09:16:00Z", "--from", "16"],
    );
    shop.run(0, &["verify"]);
    assert_golden("rollout/transcript.txt", &shop.transcript);
}

#[test]
fn actions_on_all_flags_match_their_transcript() {
    let mut shop = Shop::started();
    let by = ["--by", "ana"];
    let hold = |rest: &[&'static str]| [&["hold", "--all", "--reason", "holidays"], rest].concat();
    shop.run(0, &["rollback", "--all"]);
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["promote", "other", "--by", "ana", "--yes"]);
    shop.run(0, &[&hold(&["--until", "2026-01-12"])[..], &by].concat());
    shop.run(0, &["status"]);
    shop.run(1, &["promote", "search", "--force", "--reason", "hurry", "--by", "ana", "--yes"]);
    shop.run(1, &[&hold(&["--until", "2026-01-11T23:00:00+01:00"])[..], &by].concat());
    shop.run(0, &["rollback", "--all", "--reason", "the database is down", "--by", "ben"]);
    shop.run(0, &["resume", "--all", "--by", "ben", "--reason", "it is up again"]);
    shop.run(1, &["resume", "--all", "--by", "ben"]);
    shop.run(1, &[&hold(&["--until", "2026-01-05"])[..], &by].concat());
    // A flag and `--all` exclude each other, and one of them is needed.
    shop.run(2, &["rollback", "search", "--all"]);
    shop.run(2, &["rollback"]);
    shop.run(2, &["rollback", "--all", "--to", "internal"]);
    shop.run(2, &["hold", "search", "--until", "2026-01-12", "--reason", "x"]);
    shop.run(2, &[&hold(&["--until", "tomorrow"])[..], &by].concat());
    shop.run(2, &["resume", "search", "--all"]);
    shop.run(0, &["history"]);
    shop.run(0, &["history", "--format", "csv", "--from", "4"]);
    shop.run(0, &["history", "--format", "jsonl", "--from", "4"]);
    assert_golden("rollout/all.txt", &shop.transcript);
}

#[test]
fn actions_on_all_flags_have_the_same_content_as_json() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    let hold = ["hold", "--all", "--reason", "audit", "--by", "ana"];
    let held = shop.json(&hold);
    assert_eq!(held["records"][0]["what"], serde_json::json!({"held_all": {"why": "audit"}}));
    let frozen = serde_json::json!({
        "by": "ana", "why": "audit", "since": "2026-01-05T09:00:00Z", "until": null
    });
    assert_eq!(shop.json(&["status"])["frozen"], frozen);
    let refused = shop.run(1, &[&hold[..], &["--format", "json"]].concat()).json();
    assert_eq!(refused["refusals"][0]["flag"], serde_json::Value::Null);
    assert_eq!(refused["refusals"][0]["unmet"][0]["kind"], "frozen");
    shop.json(&["resume", "--all", "--by", "ana"]);
    assert_eq!(shop.json(&["status"])["frozen"], serde_json::Value::Null);
    let back = shop.json(&["rollback", "--all", "--by", "ana"]);
    let flags = serde_json::json!([{"flag": "search", "from": "internal", "to": "off"}]);
    assert_eq!(back["records"][0]["what"]["rolled_back_all"]["flags"], flags);
    let alert = &back["alerts"][0];
    assert_eq!((&alert["flag"], &alert["kind"]), (&"search".into(), &"rolled_back".into()));
}

#[test]
fn every_verb_has_the_same_content_as_json() {
    let mut shop = Shop::started();
    let status = shop.json(&["status"]);
    let search = &status["flags"][1];
    assert_eq!(
        (&search["flag"], &search["stage"], &search["next"]),
        (&"search".into(), &"off".into(), &"internal".into())
    );
    assert_eq!(search["responsible"], "on call");
    assert!(search["unmet"].as_array().unwrap().is_empty());

    let done = shop.json(&["promote", "search", "--by", "ana", "--yes"]);
    assert_eq!(
        (&done["done"], &done["stage"], &done["standing"]),
        (&true.into(), &"internal".into(), &"running".into())
    );
    assert_eq!(done["records"][0]["what"]["promoted"], serde_json::json!({}));
    let refused =
        shop.run(1, &["promote", "search", "--by", "ana", "--yes", "--format", "json"]).json();
    assert_eq!(refused["done"], false);
    let unmet = &refused["refusals"][0]["unmet"][0];
    assert_eq!((&unmet["kind"], &unmet["wait_seconds"]), (&"min_duration".into(), &86_400.into()));

    let done = shop.json(&["rollback", "search", "--reason", "slow", "--by", "ana", "--yes"]);
    assert_eq!(done["alerts"][0]["kind"], "rolled_back");
    assert_eq!(done["alerts"][0]["responsible"], "on call");
    let status = shop.json(&["status", "--flag", "search"]);
    let incident = &status["flags"][0]["incident"];
    assert_eq!((&incident["number"], &incident["phase"]), (&3.into(), &"verify".into()));
    let tick = shop.json(&["tick"]);
    assert_eq!(tick["records"][0]["what"]["stepped"]["phase"], "verify");
    let history = shop.json(&["history", "--from", "2"]);
    assert_eq!(history["records"].as_array().unwrap().len(), 3);
    let verified = shop.json(&["verify"]);
    assert_eq!((&verified["whole"], &verified["records"]), (&true.into(), &4.into()));
    let document = shop.json(&["document"]);
    assert_eq!(document["text"], DOCUMENT);
    let path = shop.path("rollout.toml").display().to_string();
    let updated = shop.json(&["update", &path, "--by", "ana", "--yes"]);
    assert_eq!((&updated["done"], &updated["changes"]), (&true.into(), &serde_json::json!([])));
    for result in [status, tick, history, verified, document, updated] {
        assert_eq!(result["schema"], 1);
    }
}

#[test]
fn explain_answers_for_a_past_moment() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "other", "--by", "ana", "--yes"]);
    shop.at = "2026-01-06T09:00:00Z";
    shop.run(0, &["rollback", "other", "--reason", "slow", "--by", "ana", "--yes"]);
    shop.at = "2026-01-07T09:00:00Z";
    let path = shop.path("rollout.toml").display().to_string();
    fs::write(&path, DOCUMENT.replace("[flags.other]", "[flags.another]")).unwrap();
    shop.run(0, &["update", &path, "--by", "ana", "--yes"]);
    let store = shop.store();
    let at = |moment: &str, code: i32| {
        stagegate(&["explain", &store, "user-42", "other", "--at", moment]).ends(code)
    };
    assert!(at("2026-01-05T12:00:00Z", 0).stdout.contains("all"), "at 100% that day");
    at("2026-01-06T09:00:01Z", 1);
    let error = at("2026-01-08T09:00:00Z", 2).stderr;
    assert!(error.contains("no flag `other`"), "{error}");
    let error = at("2026-01-01T09:00:00Z", 3).stderr;
    assert!(error.contains("there is no rollout yet"), "{error}");
    stagegate(&["explain", &store, "user-42", "another"]).ends(1);
    // The store keeps past documents.
    let kept = shop.run(0, &["document", "--at", "2026-01-06T00:00:00Z"]).stdout;
    assert_eq!(kept, DOCUMENT);
}

#[test]
fn a_tampered_journal_is_detected_and_not_changed() {
    let mut shop = Shop::started();
    for _ in 0..3 {
        shop.run(0, &["hold", "search", "--reason", "wait", "--by", "ana"]);
        shop.run(0, &["resume", "search", "--by", "ana"]);
    }
    let head = shop.json(&["verify"])["head"].as_str().unwrap().to_owned();
    let journal = shop.path("store/journal.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    let bad = text.replacen("\"by\":\"ana\",\"doc\"", "\"by\":\"bob\",\"doc\"", 4);
    fs::write(&journal, &bad).unwrap();
    let before = files(&shop.path("store"));
    let run = shop.run(1, &["verify"]);
    let expected = format!(
        "{}: line 1 of the journal, byte 0: its hash does not fit: it, or a line before it, was \
         changed; nothing was changed\n",
        shop.store()
    );
    assert_eq!(run.stdout, expected);
    for verb in [&["status"][..], &["promote", "search", "--by", "ana", "--yes"], &["history"]] {
        let run = shop.run(1, verb);
        assert_eq!((&*run.stdout, run.stderr), ("", format!("stagegate: {expected}")));
    }
    assert_eq!(files(&shop.path("store")), before);

    // Records that were cut off are detected by a noted head.
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&journal, lines[..5].concat()).unwrap();
    shop.run(0, &["verify"]);
    let run = shop.run(1, &["verify", "--head", &head]);
    assert!(run.stdout.contains(&format!("record {head} is not in the journal")), "{}", run.stdout);
    fs::write(&journal, text).unwrap();
    shop.run(0, &["verify", "--head", &head]);
}

#[test]
fn a_torn_end_is_repaired_by_an_action_and_reported() {
    let mut shop = Shop::started();
    let journal = shop.path("store/journal.jsonl");
    let whole = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{whole}{{\"seq\":2,\"at\"")).unwrap();
    shop.run(0, &["status"]);
    assert!(fs::read_to_string(&journal).unwrap().ends_with("\"at\""), "reading repairs nothing");
    let run = shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    assert!(run.stderr.contains("the last 13 bytes of "), "{}", run.stderr);
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&whole));
    assert_eq!(fs::read_to_string(shop.path("store/journal.torn-2")).unwrap(), "{\"seq\":2,\"at\"");
    shop.run(0, &["verify"]);
}

#[test]
fn mistakes_change_nothing_and_name_the_remedy() {
    let mut shop = Shop::new();
    let (document, store) = (shop.path("rollout.toml"), shop.store());
    let document = document.to_str().unwrap();
    shop.run(3, &["status"]);
    shop.run(3, &["promote", "search", "--by", "ana", "--yes"]);
    assert!(!shop.path("store").exists(), "reading creates no store");
    let bad = shop.path("bad.toml").display().to_string();
    fs::write(&bad, "schema = 1\n[flags.a]\nstage = \"nowhere\"\n").unwrap();
    shop.run(1, &["start", &bad, "--by", "ana"]);
    assert!(!shop.path("store").exists(), "an invalid plan creates no store");
    shop.run(0, &["start", document, "--by", "ana"]);
    let before = files(&shop.path("store"));
    shop.run(3, &["start", document, "--by", "ana"]);
    shop.run(1, &["update", &bad, "--by", "ana", "--yes"]);
    shop.run(2, &["promote", "serach", "--by", "ana", "--yes"]);
    shop.run(2, &["promote", "search", "--force", "--by", "ana", "--yes"]);
    shop.run(
        2,
        &["promote", "search", "--force", "--reason", "x", "--to", "moon", "--by", "ana", "--yes"],
    );
    shop.run(2, &["promote", "search", "--yes", "--by", " "]);
    shop.run(2, &["status", "--flag", "nothing"]);
    shop.run(2, &["document", "--at", "yesterday"]);
    // A rehearsal refuses real time.
    let run = stagegate(&["promote", "search", "--yes", "--by", "ana", "--store", &store]).ends(2);
    assert!(run.stderr.contains("this rollout is a rehearsal"), "{}", run.stderr);
    assert_eq!(files(&shop.path("store")), before, "nothing was written");
    assert_golden("rollout/mistakes.txt", &shop.transcript);
}

/// A process that stands still during a write holds the lock. Questions and reading need no lock.
#[test]
fn a_process_that_stands_still_prevents_only_writing() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    let path = shop.path("rollout.toml").display().to_string();
    let document = fs::read_to_string(&path).unwrap();
    fs::write(&path, document + "# Another comment.\n").unwrap();
    let taken = fs::File::open(shop.store() + "/journal.jsonl").unwrap();
    taken.lock().unwrap();
    shop.run(0, &["status"]);
    let questions: [&[&str]; 2] = [
        &["promote", "search", "--force", "--reason", "hurry", "--by", "ana"],
        &["update", &path, "--by", "ana"],
    ];
    for question in questions {
        let run = shop.run(2, question);
        assert!(run.stderr.ends_with("pass `--yes` to confirm\n"), "{}", run.stderr);
        let run = shop.run(3, &[question, &["--yes"]].concat());
        assert!(
            run.stderr.contains("which stands still while it writes: end that process"),
            "{}",
            run.stderr
        );
    }
    drop(taken);
    for question in questions {
        shop.run(0, &[question, &["--yes"]].concat());
    }
}

#[test]
fn the_store_and_the_name_may_come_from_the_environment() {
    let shop = Shop::started();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_stagegate"))
            .args(arguments)
            .current_dir(root())
            .env("STAGEGATE_STORE", shop.store())
            .env("STAGEGATE_CLOCK", shop.at)
            .env("STAGEGATE_BY", "carla")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["promote", "search", "--yes"]);
    assert!(run(&["history"]).contains("carla: search: promoted, off -> internal"));
}

#[test]
fn the_document_declares_the_number_of_users() {
    let mut shop = Shop::new();
    let document = shop.path("rollout.toml").display().to_string();
    let traffic = "traffic = { requests_per_minute = 3000, error_rate = \"1%\", users = 120_000 }";
    let stages = "stages = [{ name = \"pilot\", percent = 10 }, { name = \"ga\", percent = 100 }]";
    fs::write(&document, format!("schema = 1\n[flags.search]\n{traffic}\n{stages}\n")).unwrap();
    let users = shop.path("users.txt").display().to_string();
    fs::write(&users, "ana\n").unwrap();
    shop.run(0, &["start", &document, "--by", "ana"]);
    let promote = ["promote", "search", "--by", "ana"];
    let mut asked = |arguments: &[&str]| shop.run(2, &[&promote, arguments].concat()).stderr;
    assert_eq!(
        asked(&[]),
        "stagegate: search: off -> pilot, from 0% to 10% of users; about 12000 of 120000 users gain the flag\n\
         pass `--yes` to confirm\n"
    );
    assert!(asked(&["--traffic", "50"]).contains("; about 5 of 50 users gain the flag\n"));
    assert!(asked(&["--users", &users]).contains("% of users; of 1 users, "));
    shop.run(0, &[&promote[..], &["--yes"]].concat());
    let back = shop.run(0, &["rollback", "search", "--reason", "no", "--by", "ana"]).stderr;
    assert!(back.contains("; about 12000 of 120000 users lose the flag\n"), "{back}");
}

#[test]
fn an_approval_is_signed_by_its_role_and_shown() {
    let mut shop = Shop::new();
    let document = shop.path("rollout.toml").display().to_string();
    let plan = "approvals = { pilot = [\"release owner\"] }\nfour_eyes = true\n\
                stages = [{ name = \"pilot\", percent = 10 }, { name = \"ga\", percent = 100 }]";
    fs::write(&document, format!("schema = 1\n[flags.search]\n{plan}\n")).unwrap();
    shop.run(0, &["start", &document, "--by", "ana"]);
    let status = shop.run(0, &["status", "--flag", "search"]).stdout;
    assert!(
        status.contains(
            "  `approval: release owner` is not signed: promotion to `pilot`\n      \
             have it signed, by release owner\n"
        ),
        "{status}"
    );
    let promote = ["promote", "search", "--by", "ana", "--yes"];
    let refused = shop.run(1, &promote).stdout;
    assert!(refused.contains("no person but `ana` has signed an item in stage `off`"), "{refused}");
    shop.run(0, &["sign", "search", "approval: release owner", "--by", "ben"]);
    let status = shop.run(0, &["status", "--flag", "search"]).stdout;
    assert!(status.contains("signed:   approval: release owner by ben\n"), "{status}");
    shop.run(0, &promote);

    // An update without the permissions is put in force and recorded.
    fs::write(
        &document,
        format!("schema = 1\n[flags.search]\n{}\n", &plan[plan.find("stages").unwrap()..]),
    )
    .unwrap();
    let recorded = "search: pilot needs no approval by release owner, four_eyes is off";
    let asked = shop.run(2, &["update", &document, "--by", "ana"]).stderr;
    assert!(asked.contains(recorded), "{asked}");
    shop.run(0, &["update", &document, "--by", "ana", "--yes"]);
    let history = shop.run(0, &["history"]).stdout;
    assert!(history.contains(recorded), "{history}");
}

/// Sinks get actions and due messages. A failed delivery does not change the exit code.
#[test]
fn notifications_are_sent() {
    let mut shop = Shop::new();
    let document = shop.path("told.toml");
    let messages = "[flags.a]\nstages = [{ name = \"all\", percent = 100 }]\n\
        messages = [{ audience = \"user\", when = \"start\", channel = \"email\", template = \"{{ flag }}!\" }]\n";
    fs::write(&document, format!("schema = 1\n{messages}")).unwrap();
    shop.run(0, &["start", document.to_str().unwrap(), "--by", "ana"]);
    let news = shop.path("news.jsonl");
    let file = ["--tell-file", news.to_str().unwrap()];
    shop.run(0, &[&["promote", "a", "--by", "ana", "--yes"][..], &file].concat());
    let quiet = shop.run(0, &["tick"]);
    assert_eq!(quiet.stdout, "nothing is due\n", "no sink would send it");
    let tick = shop.json(&[&["tick"][..], &file].concat());
    assert_eq!(tick["messages"][0]["text"], "a!");
    let failing = ["--tell-command", "/nowhere/at-all", "--by", "ana", "--yes"];
    let run = shop.run(0, &[&["rollback", "a", "--reason", "slow"][..], &failing].concat());
    assert!(
        run.stderr.starts_with("stagegate: notifications were not delivered by --tell-command: "),
        "{}",
        run.stderr
    );
    let told = fs::read_to_string(news).unwrap();
    let told = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told: Vec<_> = told.map(|it| (it["kind"].clone(), it["stage"].clone())).collect();
    assert_eq!(
        told,
        [("stage_changed".into(), "all".into()), ("message_due".into(), "all".into())]
    );
}

#[test]
fn a_rollback_needs_no_reason_and_no_confirmation_without_a_terminal() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    let run = shop.run(0, &["rollback", "search", "--by", "ana"]);
    assert!(
        run.stdout.contains("ana: search: rolled back (by decision), internal -> off"),
        "{run:?}"
    );
    assert_eq!(
        run.stderr,
        "stagegate: search: internal -> off, from 0% to 0% of users, without group team\n"
    );
    // Nor a user name.
    shop.run(0, &["promote", "other", "--by", "ana", "--yes"]);
    let (store, nobody) = (shop.store(), [("USER", ""), ("STAGEGATE_BY", "")]);
    let arguments = ["rollback", "other", "--store", &store, "--clock", shop.at];
    let run = stagegate_with_env(&arguments, &nobody).ends(0);
    assert!(
        run.stdout.contains("unknown: other: rolled back (by decision), all -> off"),
        "{run:?}"
    );
}

/// A directory whose disk is full.
#[derive(Debug)]
struct Full(SystemFiles);

#[derive(Debug)]
struct FullFile(Box<dyn File>);

impl Files for Full {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        self.0.create_directory(path)
    }

    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        Ok(Box::new(FullFile(self.0.open(path, create)?)))
    }

    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>> {
        self.0.open_to_read(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(path)
    }

    fn another(&self) -> Box<dyn Files> {
        Box::new(Full(self.0))
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        self.0.sync_directory(path)
    }
}

impl File for FullFile {
    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.truncate(len)
    }

    fn size(&mut self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        self.0.read_at(offset, len)
    }

    fn id(&mut self) -> io::Result<(u64, u64)> {
        self.0.id()
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        self.0.try_lock()
    }

    fn unlock(&mut self) -> io::Result<()> {
        self.0.unlock()
    }
}

#[test]
fn intents_are_recorded_by_the_next_command_that_can_write() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    let intents = shop.path("intents").display().to_string();
    let store = Directory::open_with(shop.store(), Full(SystemFiles)).unwrap();
    let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_603_600));
    let options = RolloutOptions::new().keep_intents_in(&intents);
    let rollout = Rollout::open_with(store, clock, &options).unwrap();
    assert!(rollout.by("ben").roll_back("search", "slow").unwrap().unrecorded.is_some());
    drop(rollout);
    assert!(!shop.run(0, &["history"]).stdout.contains("rolled back"));
    let tick = shop.run(0, &["tick", "--intents", &intents]);
    assert!(tick.stdout.contains("ben: search: rolled back (slow), internal -> off"), "{tick:?}");
    assert!(!shop.path("intents").exists());
    // A damaged file is reported and prevents nothing.
    fs::write(shop.path("intents"), "?").unwrap();
    let tick = shop.run(0, &["tick", "--intents", &intents]);
    assert!(tick.stderr.contains("it does not begin with `stagegate-intents 1`"), "{tick:?}");
}

/// Starts a rollout and writes records of three people, with texts that a spreadsheet would take for formulas.
fn shop_with_history() -> Shop {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["hold", "search", "--reason", "=HYPERLINK(\"http://x\")", "--by", "@ben"]);
    shop.at = "2026-01-06T09:00:00Z";
    shop.run(0, &["resume", "search", "--reason", "legal, \"too\"\nagrees", "--by", "+carla"]);
    shop.run(0, &["sign", "search", "load-test", "--evidence=-1 errors", "--by", "ana"]);
    shop.run(0, &["metric", "set", "search", "error_rate", "0.4%", "--by", "ana"]);
    shop.run(0, &["metric", "set", "search", "complaints", "1", "--by", "ana"]);
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["promote", "other", "--force", "--reason", "a test", "--by", "ana", "--yes"]);
    shop.at = "2026-01-07T09:00:00Z";
    shop.run(0, &["metric", "set", "search", "error_rate", "9%", "--by", "ana"]);
    shop
}

#[test]
fn the_history_as_csv_has_its_documented_columns_and_no_formulas() {
    let mut shop = shop_with_history();
    let csv = shop.run(0, &["history", "--format", "csv"]).stdout;
    assert_golden("rollout/history.csv", &csv);
    let documented = fs::read_to_string(root().join("docs/cli.md")).unwrap();
    let header = csv.lines().next().unwrap();
    assert!(documented.contains(&format!("```text\n{header}\n")), "{header}");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), csv.lines().count() - 1, "each record is one line");
    let formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t']);
    assert!(!records.iter().flatten().any(formula), "{csv}");
    assert_eq!(&records[2][8], "'=HYPERLINK(\"http://x\")");
}

#[test]
fn the_history_as_lines_of_json_has_the_records_of_the_json_document() {
    let mut shop = shop_with_history();
    let lines = shop.run(0, &["history", "--format", "jsonl"]).stdout;
    assert_golden("rollout/history.jsonl", &lines);
    let parse = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines: Vec<_> = lines.lines().map(parse).collect();
    assert_eq!(shop.json(&["history"])["records"], serde_json::Value::Array(lines));
    // A file gets the same bytes.
    let file = shop.path("export.jsonl").display().to_string();
    shop.run(0, &["history", "--format", "jsonl", "--output", &file]);
    assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 11);
}

#[test]
fn the_history_is_filtered_by_time_flag_person_and_number() {
    let mut shop = shop_with_history();
    let mut numbers = |filter: &str| {
        let mut arguments = vec!["history"];
        arguments.extend(filter.split_whitespace());
        let history = shop.json(&arguments);
        let records = history["records"].as_array().unwrap().iter();
        records.map(|record| record["seq"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(numbers(""), (1..=11).collect::<Vec<_>>());
    assert_eq!(numbers("--by @ben --by +carla"), [3, 4]);
    assert_eq!(numbers("--by ben"), [] as [u64; 0], "the name is exact");
    // Records about all flags stay.
    assert_eq!(numbers("--flag other"), [1, 9]);
    assert_eq!(numbers("--flag other --flag search"), numbers(""));
    assert_eq!(
        numbers("--since 2026-01-06T09:00:00Z --until 2026-01-06T09:00:00Z"),
        [4, 5, 6, 7, 8, 9]
    );
    assert_eq!(numbers("--until 2026-01-05T09:00:00Z"), [1, 2, 3]);
    assert_eq!(numbers("--from 8 --by ana --flag search"), [8, 10, 11]);
    // The filter is not the person who acts, so the environment does not set it.
    let at = ["history", "--store", &shop.store(), "--clock", shop.at];
    let run = stagegate_with_env(&at, &[("STAGEGATE_BY", "ben")]).ends(0);
    assert_eq!(run.stdout.lines().count(), 11);
}

#[test]
fn earlier_records_move_to_an_archive_and_are_read_from_there() {
    let mut shop = Shop::started();
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    let (archive, store) = (shop.path("archive").display().to_string(), shop.store());
    shop.run(0, &["archive", &archive]);
    shop.at = "2026-01-06T09:00:00Z";
    shop.run(0, &["archive", &archive, "--all", "--by", "ana"]);
    shop.run(0, &["rollback", "search", "--reason", "slow", "--by", "ben"]);

    shop.run(0, &["verify"]);
    shop.run(0, &["verify", "--archive", &archive]);
    shop.run(0, &["history"]);
    shop.run(3, &["history", "--from", "1"]);
    shop.run(0, &["history", "--archive", &archive]);
    let explain = ["explain", &store, "ana", "search", "--at", "2026-01-05T10:00:00Z"];
    stagegate(&explain).ends(3);
    let run = stagegate(&[&explain[..], &["--archive", &archive]].concat()).ends(0);
    assert!(run.stdout.contains("as of record 2"), "{run:?}");
    let moved = shop.json(&["archive", &archive, "--all", "--by", "ana"]);
    assert_eq!(moved["moved"], serde_json::json!([3, 4]));
    assert_golden("rollout/archive.txt", &shop.transcript);
}

#[test]
fn a_store_is_backed_up_and_restored_as_of_a_moment() {
    let mut shop = Shop::started();
    let (backup, store) = (shop.path("backup").display().to_string(), shop.store());
    shop.run(0, &["promote", "search", "--by", "ana", "--yes"]);
    shop.run(0, &["backup", &backup]);
    shop.at = "2026-01-06T09:00:00Z";
    shop.run(0, &["rollback", "search", "--reason", "slow", "--by", "ben"]);
    shop.run(0, &["backup", &backup]);
    let head = shop.json(&["verify"])["head"].as_str().unwrap().to_owned();
    let verify = ["verify", "--head", &head, "--store", &backup, "--clock", shop.at];
    stagegate(&verify).ends(0);

    // Nothing is overwritten.
    shop.run(3, &["restore", &backup, "--by", "ana"]);
    fs::rename(&store, shop.path("broken")).unwrap();
    shop.run(3, &["restore", &backup, "--by", "ana", "--as-of", "2026-01-01T00:00:00Z"]);
    fs::remove_dir_all(&store).unwrap();
    shop.run(0, &["restore", &backup, "--by", "ana", "--as-of", "2026-01-05T12:00:00Z"]);
    shop.run(0, &["history"]);
    // Not in the transcript: the record quotes the path, so its hash is another one each time.
    let status = ["status", "--store", &store, "--clock", shop.at, "--format", "json"];
    let status = stagegate(&status).ends(0).json();
    assert_eq!(status["flags"][1]["stage"], "internal", "{status}");
    // The restored store has gone another way than the backup.
    shop.run(3, &["backup", &backup]);
    fs::remove_dir_all(&store).unwrap();
    assert_eq!(shop.json(&["restore", &backup, "--by", "ana"])["copied"], 3);
    shop.run(0, &["backup", &backup]);
    assert_golden("rollout/backup.txt", &shop.transcript);
}
