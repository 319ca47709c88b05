//! The `Debug` output of public types shows no user, no document and no secret.
//!
//! An application that logs its own state must not publish its users.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use stagegate::clock::ManualClock;
use stagegate::guard::Guard;
use stagegate::http::Endpoint;
use stagegate::integrate::{Command, Prometheus, Webhook};
use stagegate::rollout::{Journal, Rollout, RolloutOptions, SigningKey, Store};
use stagegate::source::{Fetched, File, FollowOptions, Follower, Http, Source};
use stagegate::store::{Directory, Etcd, Memory};
use stagegate::{Document, Gate, Plan, Update, User, UserKey};

/// A text that every user key, attribute value and secret of these tests contains.
const CANARY: &str = "kanari";

/// A document that names users in every place that can hold one.
const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["kanari-listed", "kanari-other"]
users_file = "beta.txt"
[groups.owners]
where = { user = ["kanari-matched"] }
[flags.search]
stage = "internal"
salt = "kanari-salt"
hold_back = { owners = "ga" }
stages = [{ name = "internal", groups = ["team", "owners"] }, { name = "ga", percent = 100 }]
[[flags.search.triggers]]
metric = "error_rate"
above = "5%"
no_data = "hold"
action = "rollback"
"#;

/// Asserts that the `Debug` output does not show the canary, neither as text nor as a list of bytes.
#[track_caller]
fn hides(value: &impl Debug) {
    let bytes = format!("{:?}", CANARY.as_bytes());
    let spread = bytes.trim_matches(['[', ']']).to_owned();
    let lines = spread.replace(", ", ",\n");
    for printed in [format!("{value:?}"), format!("{value:#?}")] {
        let flat: String = printed.chars().filter(|c| !c.is_whitespace()).collect();
        let number_lists: String = lines.chars().filter(|c| !c.is_whitespace()).collect();
        assert!(!flat.contains(CANARY) && !flat.contains(&number_lists), "{printed}");
    }
}

/// A temporary directory with the document and its users file.
struct World(PathBuf);

impl World {
    fn new(name: &str) -> World {
        let path =
            std::env::temp_dir().join(format!("stagegate-private-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("beta.txt"), "kanari-in-a-file\n").unwrap();
        fs::write(path.join("rollout.toml"), DOCUMENT).unwrap();
        World(path)
    }

    fn document(&self) -> Document {
        Document::new(DOCUMENT).name("rollout.toml").directory(&self.0)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_canary_would_be_found() {
    let shows = |value: &(dyn Debug + 'static)| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| hides(&value))).is_err()
    };
    assert!(shows(&"kanari-1") && shows(&b"kanari".to_vec()) && shows(&Some([*b"xkanari"])));
    assert!(!shows(&"canary") && !shows(&vec![107_u8, 97]));
}

#[test]
fn debug_of_a_gate_a_plan_and_a_document_shows_no_user() {
    let world = World::new("gate");
    hides(&world.document());
    let plan = Plan::parse(world.document()).unwrap();
    hides(&plan);
    let search = plan.flag("search").unwrap();
    hides(&search);
    hides(&search.groups());
    search.stages().for_each(|stage| hides(&stage));
    hides(&search.timeline("2026-01-05".parse().unwrap()));
    hides(&search.explain(User::new("kanari-listed").attribute("user", "kanari-matched")));

    let gate = Gate::from_plan(&plan);
    let updates = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&updates);
    gate.observe(move |update: &Update<'_>| sink.lock().unwrap().push(format!("{update:?}")));
    assert!(gate.is_enabled("kanari-in-a-file", "search"));
    hides(&gate);
    hides(&gate.flag("search"));
    hides(&gate.pin());
    hides(&gate.status());
    hides(&gate.evaluate("kanari-listed", "search"));
    gate.update(world.document()).unwrap();
    gate.roll_back("search").unwrap();
    hides(&*updates.lock().unwrap());
    assert_eq!(
        format!("{gate:?}"),
        "Gate { version: 3, flags: 1, driven: false, .. }",
        "the output shows counts only",
    );
}

#[test]
fn debug_of_a_user_shows_neither_key_nor_attributes() {
    let user = User::new("kanari").attribute("region", "kanari-island");
    hides(&user);
    hides(&UserKey::from("kanari"));
    assert_eq!(format!("{user:?}"), "User { key: UserKey(6 bytes), attributes: [\"region\"] }");
}

#[test]
fn debug_of_a_rollout_and_its_stores_shows_no_user() {
    let world = World::new("stores");
    let store = Memory::new();
    let clock = ManualClock::at(std::time::SystemTime::UNIX_EPOCH);
    let rollout = Rollout::start(store.clone(), clock.clone(), world.document(), "ana").unwrap();
    hides(&store);
    assert_eq!(format!("{store:?}"), "Memory { lines: 1, documents: 1, .. }");
    hides(&rollout);
    hides(rollout.gate());
    hides(&rollout.plan());
    hides(&rollout.status());
    hides(&rollout.now().unwrap());
    hides(&rollout.records(1).unwrap());
    hides(&rollout.by("ana"));
    hides(&rollout.preview(world.document()).unwrap());
    hides(&Journal::new());
    hides(&Guard::new(rollout.gate(), rollout.plan()));

    let mut directory = Directory::create(world.0.join("store")).unwrap();
    directory.keep("0", b"kanari").unwrap();
    directory.append(1, b"kanari\n").unwrap();
    hides(&directory);
    let mut reader = Directory::read_only(world.0.join("store")).unwrap();
    reader.read(1).unwrap();
    hides(&reader);
}

#[test]
fn debug_of_a_follower_and_its_source_shows_no_user() {
    let world = World::new("follower");
    let path = world.0.join("rollout.toml");
    let mut file = File::new(&path);
    hides(&file.fetch().unwrap());
    // Twice: the first fetch finds the names of the users files.
    for _ in 0..2 {
        if let Fetched::Document(document) = file.fetch().unwrap() {
            hides(&document);
            file.applied();
        }
        hides(&file);
    }
    let options = FollowOptions::new().by_hand().last_known_good(world.0.join("kept"));
    let (gate, follower) = Follower::start(File::new(&path), options).unwrap();
    assert!(gate.is_enabled("kanari-in-a-file", "search"));
    hides(&gate);
    hides(&follower);
    hides(&follower.status());
}

#[test]
fn debug_shows_no_secret() {
    let endpoint = || {
        Endpoint::new("https://plans.example.com/kanari?kanari=1")
            .with_bearer_token("kanari")
            .with_header("x-token", "kanari")
    };
    hides(&endpoint());
    hides(&Http::new(endpoint()).unwrap());
    hides(&Webhook::new(endpoint()).unwrap());
    hides(
        &Prometheus::new(Endpoint::new("https://metrics.example.com/").with_bearer_token("kanari"))
            .unwrap(),
    );
    let etcd = Etcd::new(["https://etcd.example.com:2379"], "shop").unwrap();
    let etcd = etcd.with_user("shop", "kanari");
    hides(&etcd);
    hides(&etcd.leader_lease(std::time::Duration::from_secs(5)));
    hides(&Command::new("page").with_argument("--token=kanari"));
    let mut secret = [0; 32];
    secret[..CANARY.len()].copy_from_slice(CANARY.as_bytes());
    let key = SigningKey::new("ana", &secret);
    let hexadecimal = &key.to_secret_text()["ed25519-secret:".len()..][..CANARY.len() * 2];
    assert_eq!(hexadecimal, "6b616e617269");
    for shown in
        [format!("{key:?}"), format!("{:#?}", RolloutOptions::new().sign_with(key.clone()))]
    {
        assert!(!shown.contains(hexadecimal), "{shown}");
    }
    hides(&key);
    hides(&RolloutOptions::new().sign_with(key));
}
