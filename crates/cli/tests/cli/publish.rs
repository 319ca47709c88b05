//! `publish`, and `run --publish`: a file that instances follow.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use stagegate::Gate;
use stagegate::clock::SystemClock;
use stagegate::rollout::Rollout;
use stagegate::source::{File, FollowOptions, Follower};
use stagegate::store::Directory;

use crate::fleet::{LEADS, Process};
use crate::harness::stagegate;
use crate::real::Real;
use crate::run;

const DOCUMENT: &str = r#"schema = 1
[groups.team]
users_file = "team.txt"
[flags.a]               # of the checkout team
stages = [{ name = "team", groups = ["team"] }, { name = "half", percent = 50 }, { name = "all", percent = 100 }]
"#;

/// How long anything that has to happen may take.
const LONG: Duration = Duration::from_secs(120);

fn start(directory: &Path, store: &str) {
    let document = directory.join("rollout.toml").display().to_string();
    fs::write(&document, DOCUMENT).unwrap();
    fs::write(directory.join("team.txt"), "ana\nben\n").unwrap();
    stagegate(&["start", &document, "--store", store, "--by", "ana"]).ends(0);
    fs::remove_file(directory.join("team.txt")).unwrap();
}

fn act(store: &str, arguments: &[&str]) {
    // A directory may be somebody else's for a moment.
    let begin = Instant::now();
    loop {
        let run = stagegate(&[arguments, &["--store", store, "--by", "ana"]].concat());
        if run.code == Some(0) {
            return;
        }
        assert!(run.stderr.contains("acting") && begin.elapsed() < LONG, "{run:#?}");
    }
}

#[test]
fn what_is_published_answers_as_the_store_does() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let publish = |out: &str| stagegate(&["publish", "--store", &store, "--out", out]);
    start(directory.path(), &store);
    let out = path("out.toml");
    assert_eq!(publish(&out).ends(0).stdout, format!("{out}: written, with 1 flag\n  a: off\n"));
    assert_eq!(publish(&out).ends(0).stdout, format!("{out}: as it was, with 1 flag\n  a: off\n"));
    for (verb, more) in
        [("promote", &[][..]), ("promote", &[]), ("rollback", &["--reason", "slow"])]
    {
        act(&store, &[&[verb, "a", "--yes"], more].concat());
        let arguments = ["publish", "--store", &store, "--out", &out, "--format", "json"];
        let published = stagegate(&arguments).ends(0).json();
        assert!(published["changed"] == true && published["file"] == *out, "{published}");
        for user in ["ana", "ben", "user-1", "user-2", "user-3", "user-4"] {
            let said = |document: &str| {
                let json = stagegate(&["explain", document, user, "a", "--format", "json"]).json();
                ["enabled", "reason", "stage", "cohort", "bucket"].map(|name| json[name].clone())
            };
            assert_eq!(said(&out), said(&store), "{verb} {user}");
        }
    }
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("[flags.a]               # of the checkout team\n"), "{text}");
    stagegate(&["check", "--strict", &out]).ends(0);

    let other = publish(&path("out.json")).ends(2);
    let says = "the document in force is TOML: write a name that ends in `.toml`\n";
    assert!(other.stderr.ends_with(says), "{}", other.stderr);
    let nowhere = publish(&path("nowhere/out.toml")).ends(3);
    assert!(nowhere.stderr.contains("cannot write"), "{}", nowhere.stderr);
}

/// What `start` takes, `publish` can write and an instance can read: also lists that no document has room for.
#[test]
fn a_list_of_a_million_users_is_published_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    let at_team = DOCUMENT.replace("[flags.a] ", "[flags.a]\nstage = \"team\" ");
    fs::write(path("rollout.toml"), at_team).unwrap();
    let list: String = (0..1_000_000).map(|number| format!("user-{number}\n")).collect();
    fs::write(path("team.txt"), list).unwrap();
    let (store, out) = (text("store"), text("pub.toml"));
    stagegate(&["start", &text("rollout.toml"), "--store", &store, "--by", "ana"]).ends(0);
    let published = stagegate(&["publish", "--store", &store, "--out", &out]).ends(0).stdout;
    let lists = text("pub.toml.lists");
    let says = format!("  a: team\n  lists of users: {lists}, to be kept beside it\n");
    assert_eq!(published, format!("{out}: written, with 1 flag\n{says}"));
    assert_eq!(fs::read_dir(lists).unwrap().count(), 1);

    let file = File::new(&out).settle(Duration::ZERO);
    let (gate, _follower) = Follower::start(file, FollowOptions::new().by_hand()).unwrap();
    let looking = Directory::read_only(&store).unwrap();
    let rollout = Rollout::open(looking, SystemClock::new()).unwrap();
    for number in [0, 1, 499_999, 999_999, 1_000_000, 1_000_001, 7_000_000] {
        let user = format!("user-{number}");
        let (here, there) = (gate.evaluate(&*user, "a"), rollout.gate().evaluate(&*user, "a"));
        assert_eq!((here.enabled, here.stage), (there.enabled, there.stage), "{user}");
    }
    assert!(gate.is_enabled("user-999999", "a") && !gate.is_enabled("user-1000000", "a"));
}

#[test]
fn a_document_that_cannot_be_published_is_told_on_lines_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    // Within the limit as it is written, and beyond it with a stage for each flag.
    let mut document = String::from("schema = 1\n");
    for number in 0..100_000 {
        document += &format!("[flags.flag-{number}]\ndescription = \"{}\"\n", "x".repeat(125));
    }
    let path = directory.path().join("rollout.toml");
    fs::write(&path, document).unwrap();
    stagegate(&["start", path.to_str().unwrap(), "--store", &store, "--by", "ana"]).ends(0);
    let out = directory.path().join("pub.toml").display().to_string();
    let run = stagegate(&["publish", "--store", &store, "--out", &out]).ends(3);
    assert_eq!(
        run.stderr,
        "stagegate: the document is not published: it has 17488901 bytes with the stage of each flag, more than 16777216\n  \
         leave out descriptions and other texts, or split the flags between two stores\n",
    );
    assert!(!Path::new(&out).exists());
}

/// An instance that has the file alone, from the first promotion to the roll-back.
fn is_followed(store: &str, out: &str) {
    let begin = Instant::now();
    while !Path::new(out).exists() {
        assert!(begin.elapsed() < LONG);
    }
    let file = File::new(out).settle(Duration::from_millis(10));
    let (gate, follower) = Follower::start(file, FollowOptions::new()).unwrap();
    let mut changed = follower.changed();
    let mut until = |gate: &Gate, stage: &str| {
        let begin = Instant::now();
        while &*gate.status().flags[0].stage != stage {
            let left = LONG.saturating_sub(begin.elapsed());
            assert!(changed.wait(left).is_some(), "never at {stage}: {:?}", follower.status());
        }
    };
    until(&gate, "off");
    act(store, &["promote", "a", "--yes"]);
    until(&gate, "team");
    assert!(gate.is_enabled("ana", "a"));
    // Two at once, which a document of its own would need a reason for.
    act(store, &["promote", "a", "--force", "--to", "all", "--reason", "decided", "--yes"]);
    until(&gate, "all");
    act(store, &["rollback", "a", "--reason", "slow", "--yes"]);
    until(&gate, "off");
    assert!(!gate.is_enabled("ana", "a"));
}

/// Killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_run_publishes_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    start(directory.path(), &store);
    let out = directory.path().join("out.toml").display().to_string();
    let arguments = ["run", "--store", &store, "--every", "50ms", "--publish", &out];
    let _running = Killed(run::command(&arguments).spawn().unwrap());
    is_followed(&store, &out);
}

/// Also by one that does not lead; and a file that cannot be written is complained about.
#[test]
fn what_a_fleet_publishes_is_followed() {
    let Some(real) = Real::start("a fleet that publishes") else { return };
    start(&real.path(""), &real.store);
    let leader = Process::spawn(&real, &["--publish", "/nowhere/out.toml"]);
    leader.says(LEADS);
    let error = leader.health()["error"].to_string();
    assert!(error.contains("cannot write `/nowhere/out.toml`"), "{error}");
    let out = real.path("out.toml").display().to_string();
    let other = Process::spawn(&real, &["--publish", &out]);
    is_followed(&real.store, &out);
    assert_eq!(other.health()["leads"], false);
}
