//! `diff`

use std::fmt::Write as _;
use std::fs;

use stagegate::{Document, Gate, User};

use crate::harness::{Run, assert_golden, root, stagegate, stagegate_with_stdin};

const OLD: &str = "crates/cli/tests/data/people/plan.toml";
const NEW: &str = "crates/cli/tests/data/people/next.toml";
const USERS: &str = "crates/cli/tests/data/people/users.txt";

fn diff(arguments: &[&str]) -> Run {
    stagegate(&[&["diff", OLD, NEW], arguments].concat())
}

#[test]
fn changes_are_printed() {
    assert_golden("people/diff.txt", &diff(&[]).ends(0).stdout);
    assert_golden("people/diff-users.txt", &diff(&["--users", USERS]).ends(0).stdout);
    let json = diff(&["--users", USERS, "--format", "json"]).ends(0);
    assert_golden("people/diff-users.json", &json.stdout);
    let back = stagegate(&["diff", NEW, OLD]).ends(0);
    assert_golden("people/diff-back.txt", &back.stdout);
}

#[test]
fn a_document_does_not_differ_from_itself() {
    let run = stagegate(&["diff", OLD, OLD, "--users", USERS]).ends(0);
    assert_eq!(run.stdout, "Nothing changes for users.\n");
    let json = stagegate(&["diff", OLD, OLD, "--format", "json"]).ends(0).json();
    assert_eq!(json["changes_for_users"], false);
    assert_eq!(json["flags"], serde_json::json!([]));
}

/// Compares with two gates that evaluate each user.
#[test]
fn users_who_enter_and_leave_match_the_gates() {
    let users: Vec<(String, &str)> = (0..2000)
        .map(|n| (format!("user-{n}"), ["", "eu-north", "eu-west"][n % 3]))
        .chain(["ana", "ben", "cleo", "dora", "ops-12", "ana-ops"].map(|key| (key.into(), "")))
        .collect();
    let mut file = String::new();
    for (key, region) in &users {
        let attributes = format!("\tregion={region}\ttier=enterprise");
        let attributes = if region.is_empty() { "" } else { &*attributes };
        writeln!(file, "{key}{attributes}").unwrap();
    }
    let arguments = ["diff", OLD, NEW, "--format", "json", "--users", "-"];
    let found = stagegate_with_stdin(&arguments, file).ends(0).json();
    assert_eq!(found["users"], users.len());

    let gate = |path: &str| Gate::from_document(Document::read(root().join(path)).unwrap());
    let (old, new) = (gate(OLD).unwrap(), gate(NEW).unwrap());
    let flags = found["flags"].as_array().unwrap();
    let keys: Vec<_> = flags.iter().map(|flag| flag["flag"].as_str().unwrap()).collect();
    assert_eq!(keys, ["checkout", "dark-mode", "new-one", "search"]);
    for flag in flags {
        let (mut enter, mut leave, mut before, mut after) = (vec![], vec![], 0, 0);
        for (key, region) in &users {
            let user = match *region {
                "" => User::new(key),
                region => {
                    User::new(key).attribute("region", region).attribute("tier", "enterprise")
                }
            };
            let key_of_flag = flag["flag"].as_str().unwrap();
            let (was, is) =
                (old.is_enabled(&user, key_of_flag), new.is_enabled(&user, key_of_flag));
            before += u64::from(was);
            after += u64::from(is);
            match (was, is) {
                (false, true) => enter.push(&**key),
                (true, false) => leave.push(&**key),
                _ => {}
            }
        }
        let expected = serde_json::json!({
            "before": before, "after": after, "enter": enter, "leave": leave,
        });
        assert_eq!(flag["users"], expected, "{}", flag["flag"]);
    }
}

/// Every edit that can change a flag's users is reported.
#[test]
fn every_edit_of_an_audience_is_seen() {
    let document = |groups: &str, flag: &str| format!("schema = 1\n{groups}\n[flags.a]\n{flag}\n");
    let groups = "[groups.g]\nusers = [\"u1\"]\nwhere = { x = [\"1\", \"2\"] }\n[groups.h]\nusers = [\"u2\"]";
    let flag = "stage = \"two\"\nstages = [{ name = \"one\", groups = [\"g\"] }, { name = \"two\", percent = 50 }, { name = \"three\", percent = 60, groups = [\"h\"] }]";
    let old = document(groups, flag);
    for (from, to, told) in [
        ("\"u1\"", "\"u3\"", "group `g` lists other users: +1 -1"),
        ("\"2\"]", "\"3\"]", "group `g` matches by other attributes"),
        ("x = [", "y = [", "group `g` matches by other attributes"),
        ("[\"g\"]", "[\"h\"]", "stage `one`: adds `h`, removes `g`"),
        ("percent = 50 }", "percent = 49.9999 }", "stage `two`: 50% -> 49.9999%"),
        ("stage = \"two\"", "stage = \"one\"", "two -> one: 50% -> 0% of all users"),
        ("stage = \"two\"", "stage = \"off\"", "two -> off: 50% -> 0% of all users"),
        (
            "stage = \"two\"",
            "stage = \"two\"\nsalt = \"b\"",
            "another salt: every user gets another bucket",
        ),
        (
            "stage = \"two\"",
            "stage = \"two\"\nhold_back = { h = \"three\" }",
            "group `h` waits until `three`",
        ),
        (
            "groups = [\"h\"] }",
            "groups = [\"g\"] }",
            "stage `three`: adds `g`, removes `h` (not reached)",
        ),
        (
            "{ name = \"one\"",
            "{ name = \"zero\", groups = [\"h\"] }, { name = \"one\"",
            "new stage `zero`: 0%",
        ),
        (
            ", { name = \"three\", percent = 60, groups = [\"h\"] }",
            "",
            "stage `three` is removed (not reached)",
        ),
    ] {
        assert_eq!(old.matches(from).count(), 1, "{from}");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.toml");
        fs::write(&file, &old).unwrap();
        let new = old.replace(from, to);
        let run = stagegate_with_stdin(&["diff", file.to_str().unwrap(), "-"], &new).ends(0);
        assert!(run.stdout.contains(told), "{from} -> {to}: {run:#?}");
        let back =
            stagegate_with_stdin(&["diff", "-", file.to_str().unwrap(), "--format", "json"], &new);
        assert_eq!(back.ends(0).json()["changes_for_users"], true);
    }
    // The order of values, attributes, users and tables does not matter.
    let same = "[groups.h]\nusers = [\"u2\", \"u2\"]\n[groups.g]\nwhere = { x = [\"2\", \"1\"] }\nusers = [\"u1\"]";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.toml");
    fs::write(&file, &old).unwrap();
    let run =
        stagegate_with_stdin(&["diff", file.to_str().unwrap(), "-"], document(same, flag)).ends(0);
    assert_eq!(run.stdout, "Nothing changes for users.\n");
}

/// Every edit of the rules that choose users is reported, and changes something for users.
#[test]
fn every_edit_of_the_targeting_is_seen() {
    let old = r#"schema = 1
[groups.g]
users = ["u1"]
where = { x = ["1"], y = ">= 2" }
[groups.h]
values_of = "organisation"
users = ["acme"]
[groups.i]
any = ["h", { z = ["1"] }, { z = { suffix = "2" } }]
[flags.other]
stage = "one"
stages = [{ name = "one", percent = 50 }, { name = "two", percent = 100 }]
[flags.a]
by = "device"
only = ["g"]
stage = "one"
requires = { other = "one" }
hold_back = { h = { until = "two", except = ["g"] }, g = "never" }
stages = [{ name = "one", percent = 10, within = ["i"] }, { name = "two", percent = 100 }]
"#;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.toml");
    fs::write(&file, old).unwrap();
    for (from, to, told, back) in [
        (
            "by = \"device\"\n",
            "",
            "the percentages refer to user keys, not to values of `device`",
            "the percentages refer to values of `device`, not to user keys",
        ),
        (
            "only = [\"g\"]\n",
            "",
            "all users may have the flag, not only users of `g`",
            "only users of `g` may have the flag",
        ),
        (
            "only = [\"g\"]",
            "only = [\"h\"]",
            "only users of `h` may have the flag, instead of users of `g`",
            "only users of `g` may have the flag, instead of users of `h`",
        ),
        (
            "requires = { other = \"one\" }\n",
            "",
            "no longer requires `other`",
            "requires `other` at `one`",
        ),
        (
            "other = \"one\"",
            "other = \"two\"",
            "requires `other` at `two`, not at `one`",
            "requires `other` at `one`, not at `two`",
        ),
        (
            "until = \"two\", except = [\"g\"]",
            "until = \"two\"",
            "hold-back of group `h`: no longer excepts `g`",
            "hold-back of group `h`: excepts `g`",
        ),
        (", g = \"never\"", "", "group `g` may have the flag", "group `g` never has the flag"),
        (
            "g = \"never\"",
            "g = \"two\"",
            "group `g` waits until `two`; it never had the flag",
            "group `g` never has the flag; it waited until `two`",
        ),
        (
            ", within = [\"i\"]",
            "",
            "stage `one`: the percentage refers to all users, not to `i`",
            "stage `one`: the percentage refers to `i`, not to all users",
        ),
        (
            "values_of = \"organisation\"\n",
            "",
            "group `h` lists user keys, not values of `organisation`",
            "group `h` lists values of `organisation`, not user keys",
        ),
        (
            "[\"acme\"]",
            "[\"globex\", \"initech\"]",
            "group `h` lists other values of `organisation`: +2 -1",
            "group `h` lists other values of `organisation`: +1 -2",
        ),
        ("[\"h\", { z", "[{ z", "group `i` no longer includes `h`", "group `i` includes `h`"),
        (
            ">= 2",
            "> 2",
            "group `g` matches by other attributes",
            "group `g` matches by other attributes",
        ),
        (
            "suffix",
            "prefix",
            "group `i` matches by other attributes",
            "group `i` matches by other attributes",
        ),
        (
            "stage = \"one\"\nstages = [{ name = \"one\", percent = 50",
            "stage = \"two\"\nstages = [{ name = \"one\", percent = 50",
            "requires `other`, which changes",
            "requires `other`, which changes",
        ),
        (
            "stage = \"one\"\nrequires",
            "stage = \"two\"\nrequires",
            "one -> two: 10% of `i` -> 100% of all users",
            "two -> one: 100% of all users -> 10% of `i`",
        ),
        (
            "stage = \"one\"\nrequires",
            "stage = \"off\"\nrequires",
            "one -> off: 10% -> 0% of `i`",
            "off -> one: 0% -> 10% of `i`",
        ),
    ] {
        assert_eq!(old.matches(from).count(), 1, "{from}");
        let new = old.replace(from, to);
        let file = file.to_str().unwrap();
        let run = stagegate_with_stdin(&["diff", file, "-"], &new).ends(0);
        assert!(run.stdout.contains(&format!("  {told}\n")), "{from} -> {to}: {run:#?}");
        let run = stagegate_with_stdin(&["diff", "-", file], &new).ends(0);
        assert!(run.stdout.contains(&format!("  {back}\n")), "{to} -> {from}: {run:#?}");
    }
    let same =
        old.replace("x = [\"1\"], y = \">= 2\"", "y = \">=2\", x = { in = [\"1\"] }").replace(
            "{ z = [\"1\"] }, { z = { suffix = \"2\" } }",
            "{ z = { suffix = \"2\" } }, { z = [\"1\"] }",
        );
    assert_ne!(same, old);
    let run = stagegate_with_stdin(&["diff", file.to_str().unwrap(), "-"], same).ends(0);
    assert_eq!(run.stdout, "Nothing changes for users.\n");
}

/// A promotion of a required flag lets in users of the flag that requires it. Their attributes may have several values.
#[test]
fn users_of_a_flag_that_requires_the_changed_one_are_counted() {
    let old = "schema = 1\n[groups.admins]\nwhere = { role = [\"admin\"] }\n\
        [flags.api]\nstages = [{ name = \"all\", percent = 100 }]\n\
        [flags.app]\nstage = \"ga\"\nonly = [\"admins\"]\nrequires = { api = \"all\" }\n\
        stages = [{ name = \"ga\", percent = 100 }]\n";
    let directory = tempfile::tempdir().unwrap();
    let (file, users) = (directory.path().join("old.toml"), directory.path().join("users.txt"));
    fs::write(&file, old).unwrap();
    fs::write(&users, "ana\trole=beta\trole=admin\nben\trole=beta\n").unwrap();
    let arguments = ["diff", file.to_str().unwrap(), "-", "--users", users.to_str().unwrap()];
    let new = old.replace("[flags.api]\n", "[flags.api]\nstage = \"all\"\n");
    let run = stagegate_with_stdin(&arguments, new).ends(0);
    let app = "app\n  requires `api`, which changes\n  of 2 users: 0 (0%) before, 1 (50%) after\n  \
               1 (50%) enter:\n    ana\n";
    assert!(run.stdout.contains(app), "{}", run.stdout);
}

#[test]
fn a_skip_reason_lets_a_gate_accept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.toml");
    fs::write(&file, "schema = 1\n[flags.a]\nstage = \"off\"").unwrap();
    let diff = |new: &str| {
        stagegate_with_stdin(&["diff", file.to_str().unwrap(), "-"], new).ends(0).stdout
    };
    assert_eq!(
        diff("schema = 1\n[flags.a]\nstage = \"ga\""),
        "a
  off -> ga: 0% -> 100% of all users

A running gate would refuse this update: flags.a.stage: found \"ga\", which skips internal, pilot, expanded: the flag is at \"off\"
  write \"internal\", or give a `skip_reason` beside `stage`
"
    );
    assert_eq!(
        diff("schema = 1\n[flags.a]\nstage = \"ga\"\nskip_reason = \"incident 7\""),
        "a
  off -> ga: 0% -> 100% of all users
  changes nothing for users: skip_reason
"
    );
}

#[test]
fn changed_permissions_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("old.toml");
    let document = |approvals: &str| format!("schema = 1\n[flags.a]\n{approvals}");
    let old = "approvals = { pilot = [\"CTO\"], ga = [\"CTO\"], force = 2 }\nfour_eyes = true";
    fs::write(&file, document(old)).unwrap();
    let diff = |new: &str| {
        stagegate_with_stdin(&["diff", file.to_str().unwrap(), "-"], document(new)).ends(0).stdout
    };
    assert_eq!(
        diff("approvals = { ga = [\"CTO\"], force = 1 }"),
        "a\n  changes nothing for users: approvals (pilot, force), four_eyes\n\n\
         Nothing changes for users.\n"
    );
    assert_eq!(diff(old), "Nothing changes for users.\n");
}

#[test]
fn invalid_lines_of_users_are_listed_by_number() {
    let run = |users: &[u8]| stagegate_with_stdin(&["diff", OLD, NEW, "--users", "-"], users);
    let told = run(b"ana\n\x1b[2J \nben\tregion\n").ends(2);
    assert_eq!(
        told.stderr,
        "stagegate: the users file has 2 invalid lines
  (standard input):2: `\\u{1b}[2J ` has white space around it
  (standard input):3: `region` is not an attribute NAME=VALUE
  write one key per line, then its attributes: KEY<TAB>NAME=VALUE
"
    );
    assert_eq!(told.stdout, "");
    let hostile = run(b"\x1b[2J\nana\n").ends(0);
    assert!(!hostile.stdout.contains('\u{1b}'));
    assert!(run(b"").ends(0).stdout.contains("of 0 users: 0 (0%) before"));
    diff(&["--users", "no-such-file"]).ends(3);
    diff(&["--users", "crates"]).ends(3);
    let both = stagegate(&["diff", "-", "-"]).ends(2);
    assert_eq!(both.stderr, "stagegate: only one file can be standard input (`-`)\n");
    stagegate(&["diff", OLD, "-", "--users", "-"]).ends(2);
}

/// Users are read one line at a time. Only those who enter or leave stay in memory.
#[test]
fn a_million_users_are_evaluated() {
    let mut users = String::new();
    for n in 0..1_000_000 {
        writeln!(users, "user-{n}\tregion=eu-north").unwrap();
    }
    let arguments = ["diff", OLD, NEW, "--format", "json", "--users", "-"];
    let found = stagegate_with_stdin(&arguments, users).ends(0).json();
    assert_eq!(found["users"], 1_000_000);
    let search = &found["flags"][3]["users"];
    assert_eq!(search["before"], 1_000_000);
    let after = search["after"].as_u64().unwrap();
    assert!((495_000..505_000).contains(&after), "{after}");
    let leave = u64::try_from(search["leave"].as_array().unwrap().len()).unwrap();
    assert_eq!(leave, 1_000_000 - after);
}
