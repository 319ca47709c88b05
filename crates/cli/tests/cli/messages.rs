//! `messages`

use serde_json::json;

use crate::harness::{Run, assert_golden, root, stagegate, stagegate_with_stdin};

const PLAN: &str = "crates/cli/tests/data/people/plan.toml";

fn messages(arguments: &[&str]) -> Run {
    stagegate(&[&["messages", PLAN, "--flag", "checkout"], arguments].concat())
}

#[test]
fn each_moment_has_its_messages() {
    let mut text = String::new();
    for arguments in [
        &["--on", "internal.start"][..],
        &["--on", "pilot.-3d"],
        &["--on", "pilot.weekly"],
        &["--on", "ga.start", "--start", "2026-03-02", "--set", "owner=Ann & Ben <x>"],
        &["--on", "rollback", "--set", "reason=error rate above 5%", "--set", "date=2026-01-10"],
        &["--on", "ga.rollback", "--set", "reason={{ flag }}"],
    ] {
        let run = messages(arguments).ends(0);
        text += &format!("$ stagegate messages {}\n{}\n", arguments.join(" "), run.stdout);
    }
    assert_golden("people/messages-on.txt", &text);
}

#[test]
fn due_messages_are_in_order_of_days() {
    let due = messages(&["--from", "2026-01-03", "--to", "2026-01-13"]).ends(0);
    assert_golden("people/messages-due.txt", &due.stdout);
    let due = messages(&["--from", "2026-01-05", "--to", "2026-01-05", "--format", "json"]);
    assert_golden("people/messages-due.json", &due.ends(0).stdout);
    let days = ["--from", "2026-01-03", "--to", "2026-01-13", "--start", "2026-01-12"];
    let later = messages(&[&days[..], &["--format", "json"]].concat()).ends(0).json();
    let dates: Vec<_> = later["messages"].as_array().unwrap().iter().map(|m| &m["date"]).collect();
    assert_eq!(dates, ["2026-01-10", "2026-01-12", "2026-01-13"]);
}

#[test]
fn without_messages_the_exit_code_is_1() {
    let run = messages(&["--on", "internal.end"]).ends(1);
    assert_eq!(run.stdout, "The plan of `checkout` has no message at internal.end.\n");
    let run = messages(&["--from", "2020-01-01", "--to", "2020-01-02"]).ends(1);
    let text = "The plan of `checkout` has no message from 2020-01-01 to 2020-01-02.\n";
    assert_eq!(run.stdout, text);
    let run = messages(&["--on", "internal.end", "--format", "json"]).ends(1);
    assert_eq!(run.json()["messages"], json!([]));
}

/// 12:00 UTC is 13:00 in Berlin: within office hours on a Friday, but not on a Saturday.
#[test]
fn the_contact_is_the_responsible_person_at_noon() {
    let contact = |date: &str| {
        let run = messages(&["--on", "internal.start", "--start", date]).ends(0);
        run.stdout.lines().find_map(|line| line.strip_prefix("Contact: ").map(str::to_owned))
    };
    assert_eq!(contact("2026-01-09").unwrap(), "Jana, owner: checkout team");
    assert_eq!(contact("2026-01-10").unwrap(), "on-call, owner: checkout team");
}

#[test]
fn a_variable_without_a_value_is_named() {
    let run = messages(&["--on", "rollback"]).ends(2);
    assert_eq!(
        run.stderr,
        "stagegate: variables without a value:
  reason: why the flag was rolled back. Pass `--set reason=TEXT`\n"
    );
    let document = "schema = 1\n[flags.a]\nmessages = [{ audience = \"user\", when = \"start\", \
                    channel = \"x\", template = \"{{ date }}{{ starts }}{{owner}}{{ contact }}\" }]\n\
                    stages = [{ name = \"one\", percent = 100 }]";
    let run = stagegate_with_stdin(&["messages", "-", "--on", "one.start"], document).ends(2);
    assert_eq!(
        run.stderr,
        "stagegate: variables without a value:
  contact: who is responsible at the moment of the message. Pass `--set contact=TEXT`
  date: the day the message is due. Pass `--set date=TEXT` or `--start DATE`
  owner: the flag's owner. Pass `--set owner=TEXT`
  starts: the day the stage begins at the earliest. Pass `--set starts=TEXT` or `--start DATE`\n"
    );
    let days = ["messages", "-", "--from", "2026-01-01", "--to", "2026-02-01"];
    let run = stagegate_with_stdin(&days, document).ends(2);
    assert!(
        run.stderr.contains("Pass the first day of the first stage with `--start DATE`"),
        "{run:?}"
    );
}

#[test]
fn a_message_without_a_channel_is_shown_and_not_sent() {
    let document = "schema = 1\n[flags.a]";
    let run = |arguments: &[&str]| {
        let arguments = [&["messages", "-", "--set", "status=fixed"], arguments].concat();
        stagegate_with_stdin(&arguments, document).ends(0)
    };
    assert_eq!(
        run(&["--on", "pilot.as_needed"]).stdout,
        "To:      user
Channel: none, so stagegate does not send it
Method:  In-app
When:    pilot.as_needed
Subject: Status of a

We are looking into an issue with a. This is its status: fixed.\n"
    );
    // Without a stage: the flag's present stage.
    let json = run(&["--on", "as_needed", "--format", "json"]).json();
    let message = &json["messages"][0];
    assert_eq!((&message["stage"], &message["when"]), (&"off".into(), &"as_needed".into()));
    assert_eq!((&message["channel"], &message["method"]), (&json!(null), &"In-app".into()));
    assert_eq!(message["date"], json!(null));
}

#[test]
fn invalid_arguments_are_usage_errors() {
    for (arguments, told) in [
        (&["--on", "start"][..], "`start` is not a moment of a stage"),
        (&["--on", "pilot.strat"], "`strat` is not a time to send a message"),
        (&["--on", "pilto.start"], "no stage `pilto`; it has: `internal`, `pilot`, `ga`"),
        (&["--on", "\u{1b}.start"], r"no stage `\u{1b}`"),
        (&["--on", ""], "`` is not a moment"),
        (&["--on", "ga.start", "--set", "x=y"], "no message has the variable `x`. Set one of: `"),
        (&["--on", "ga.start", "--set", "x"], "KEY=VALUE"),
        (&["--from", "2026-01-02", "--to", "2026-01-01"], "--to 2026-01-01 is before --from"),
        (&["--from", "2026-01-02"], "--to"),
        (&["--from", "2026-02-30", "--to", "2026-03-01"], "write for example 2026-01-05"),
        (&[], "--on"),
    ] {
        let run = messages(arguments).ends(2);
        assert!(run.stderr.contains(told), "{arguments:?}: {run:#?}");
        assert_eq!(run.stdout, "");
    }
    stagegate(&["messages", PLAN, "--flag", "none", "--on", "rollback"]).ends(2);
}

#[test]
fn hostile_texts_are_escaped_for_people_and_kept_for_programs() {
    let document = "crates/cli/tests/data/people/hostile.toml";
    let arguments = ["messages", document, "--on", "one.start", "--start", "2026-01-05"];
    let run = stagegate(&arguments).ends(0);
    assert!(!run.stdout.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\r']), "{}", run.stdout);
    assert!(run.stdout.contains(r"Subject: \u{1b}[2J\u{1b}[2Jvariable\u{9b}\nsubject"));
    // The value of a variable is not a template.
    assert!(run.stdout.contains(r"\u{1b}[2Jgoal {{ own }}"), "{}", run.stdout);
    let run = stagegate(&[&arguments[..], &["--format", "json"]].concat()).ends(0);
    let text = run.json()["messages"][0]["text"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with("\u{1b}[2J \u{1b}[2Jdescription") && text.ends_with("\u{202e}\r\nline")
    );
}

/// minijinja gives the same result for every message: values are inserted unchanged, and a missing value is
/// an error.
#[test]
fn templates_render_as_in_minijinja() {
    let mut other = minijinja::Environment::new();
    other.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    other.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let syntax = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build();
    other.set_syntax(syntax.unwrap());
    let values = [
        ("flag", "a <b>"),
        ("stage", "{{ flag }}"),
        ("contact", "\"&\"\n"),
        ("date", "{% if %}"),
        ("own", "}}"),
    ];
    for template in [
        "{{ flag }}",
        "{{flag}}{{  stage\t}} } }} { {",
        "a\n{{ contact }}\n",
        "{{ date }}{{ own }}\r\n\r\n",
        "100% {own} #} %} -}}",
        "ü{{ own }}😀",
    ] {
        let document = json!({
            "schema": 1,
            "flags": { "a": {
                "stages": [{ "name": "one", "percent": 1 }],
                "variables": { "own": "x" },
                "messages": [
                    { "audience": "user", "when": "start", "channel": "x", "template": template },
                    { "audience": "user", "when": "end", "channel": "x",
                      "template": "{{flag}}{{stage}}{{contact}}{{date}}{{own}}" },
                ],
            } },
        });
        let set: Vec<String> =
            values.iter().flat_map(|(k, v)| ["--set".to_owned(), format!("{k}={v}")]).collect();
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let arguments = ["messages", "-", "--on", "one.start", "--format", "json"];
        let run =
            stagegate_with_stdin(&[&arguments[..], &set].concat(), document.to_string()).ends(0);
        let expected = other.render_str(template, std::collections::BTreeMap::from(values));
        assert_eq!(run.json()["messages"][0]["text"], expected.unwrap());
    }
}

#[test]
fn the_built_in_plan_has_a_text_for_every_moment() {
    let document = "schema = 1\n[flags.a]\nowner = \"me\"\ndescription = \"it\"";
    for stage in ["internal", "pilot", "expanded", "ga"] {
        for when in ["-3d", "-1d", "start", "weekly", "end", "rollback", "as_needed"] {
            let on = format!("{stage}.{when}");
            let arguments = ["messages", "-", "--on", &on, "--start", "2026-01-05"];
            let run = stagegate_with_stdin(&arguments, document);
            assert!(matches!(run.code, Some(0 | 1)), "{on}: {run:#?}");
            assert!(!run.stdout.contains("{{"), "{on}: {run:#?}");
        }
    }
    assert!(root().join(PLAN).exists());
}
