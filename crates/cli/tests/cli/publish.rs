//! `publish` and `run --publish`: a file that instances follow.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use stagegate::Gate;
use stagegate::clock::SystemClock;
use stagegate::rollout::Rollout;
use stagegate::source::{File, FollowOptions, Follower};
use stagegate::store::Directory;

use crate::etcd_server::EtcdServer;
use crate::fleet::{LEADS, Process};
use crate::harness::stagegate;
use crate::run;

const DOCUMENT: &str = r#"schema = 1
[groups.team]
users_file = "team.txt"
[flags.a]               # of the checkout team
stages = [{ name = "team", groups = ["team"] }, { name = "half", percent = 50 }, { name = "all", percent = 100 }]
"#;

/// The timeout for any event.
const TIMEOUT: Duration = Duration::from_secs(120);

fn start(directory: &Path, store: &str) {
    let document = directory.join("rollout.toml").display().to_string();
    fs::write(&document, DOCUMENT).unwrap();
    fs::write(directory.join("team.txt"), "ana\nben\n").unwrap();
    stagegate(&["start", &document, "--store", store, "--by", "ana"]).ends(0);
    fs::remove_file(directory.join("team.txt")).unwrap();
}

fn act(store: &str, arguments: &[&str]) {
    // Another process may hold the directory for a moment.
    let begin = Instant::now();
    loop {
        let run = stagegate(&[arguments, &["--store", store, "--by", "ana"]].concat());
        if run.code == Some(0) {
            return;
        }
        assert!(run.stderr.contains("acting") && begin.elapsed() < TIMEOUT, "{run:#?}");
    }
}

#[test]
fn a_published_document_gives_the_answers_of_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let publish = |out: &str| stagegate(&["publish", "--store", &store, "--out", out]);
    start(directory.path(), &store);
    let out = path("out.toml");
    assert_eq!(publish(&out).ends(0).stdout, format!("{out}: written, with 1 flag\n  a: off\n"));
    assert_eq!(publish(&out).ends(0).stdout, format!("{out}: unchanged, with 1 flag\n  a: off\n"));
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
    let says = "the document in force is TOML. Use a name that ends in `.toml`\n";
    assert!(other.stderr.ends_with(says), "{}", other.stderr);
    let nowhere = publish(&path("nowhere/out.toml")).ends(3);
    assert!(nowhere.stderr.contains("cannot write"), "{}", nowhere.stderr);
}

/// The list is longer than a document may be, so it gets a file of its own.
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
    let says = format!("  a: team\n  user lists: {lists} (keep it next to the file)\n");
    assert_eq!(published, format!("{out}: written, with 1 flag\n{says}"));
    assert_eq!(fs::read_dir(lists).unwrap().count(), 1);

    let file = File::new(&out).settle(Duration::ZERO);
    let (gate, _follower) = Follower::start(file, FollowOptions::new().by_hand()).unwrap();
    let store = Directory::read_only(&store).unwrap();
    let rollout = Rollout::open(store, SystemClock::new()).unwrap();
    for number in [0, 1, 499_999, 999_999, 1_000_000, 1_000_001, 7_000_000] {
        let user = format!("user-{number}");
        let (here, there) = (gate.evaluate(&*user, "a"), rollout.gate().evaluate(&*user, "a"));
        assert_eq!((here.enabled, here.stage), (there.enabled, there.stage), "{user}");
    }
    assert!(gate.is_enabled("user-999999", "a") && !gate.is_enabled("user-1000000", "a"));
}

#[test]
fn a_document_that_is_too_long_is_not_published() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    // The document is within the size limit, but exceeds it with a stage for each flag.
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
        "stagegate: the document was not published: it has 17488901 bytes with the stage of each flag, more than 16777216\n  \
         leave out descriptions and other texts, or split the flags between two stores\n",
    );
    assert!(!Path::new(&out).exists());
}

/// Follows the file from the first promotion to the rollback.
fn is_followed(store: &str, out: &str) {
    let begin = Instant::now();
    while !Path::new(out).exists() {
        assert!(begin.elapsed() < TIMEOUT);
    }
    let file = File::new(out).settle(Duration::from_millis(10));
    let (gate, follower) = Follower::start(file, FollowOptions::new()).unwrap();
    let mut changed = follower.changed();
    let mut until = |gate: &Gate, stage: &str| {
        let begin = Instant::now();
        while &*gate.status().flags[0].stage != stage {
            let left = TIMEOUT.saturating_sub(begin.elapsed());
            assert!(changed.wait(left).is_some(), "never at {stage}: {:?}", follower.status());
        }
    };
    until(&gate, "off");
    act(store, &["promote", "a", "--yes"]);
    until(&gate, "team");
    assert!(gate.is_enabled("ana", "a"));
    // Two stages at once: a plain update would need a `skip_reason`.
    act(store, &["promote", "a", "--force", "--to", "all", "--reason", "decided", "--yes"]);
    until(&gate, "all");
    act(store, &["rollback", "a", "--reason", "slow", "--yes"]);
    until(&gate, "off");
    assert!(!gate.is_enabled("ana", "a"));
}

/// A process that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_document_published_by_run_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").display().to_string();
    start(directory.path(), &store);
    let out = directory.path().join("out.toml").display().to_string();
    let arguments = ["run", "--store", &store, "--every", "50ms", "--publish", &out];
    let _running = Killed(run::command(&arguments).spawn().unwrap());
    is_followed(&store, &out);
}

/// A follower publishes, too. A file that cannot be written is reported.
#[test]
fn a_fleet_publishes_a_document_that_is_followed() {
    let Some(real) = EtcdServer::start("a fleet that publishes") else { return };
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
