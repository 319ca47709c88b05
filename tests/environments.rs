//! Environments: what a document says differently for staging, production and so on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stagegate::{Document, Gate, Plan};

const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users_file = "no-such-file.txt"
[flags.new-checkout]
stage = "internal"
owner = "Jana"
plan = "short"
[flags.search]
stage = "off"
[plans.short]
stages = [{ name = "internal", percent = 1 }, { name = "ga", percent = 100 }]
"#;

/// Returns the document without its group, plus these environments.
fn document(environments: &str) -> Document {
    let base = DOCUMENT.replace("[groups.team]\nusers_file = \"no-such-file.txt\"\n", "");
    Document::new(base + environments).name("rollout.toml")
}

#[test]
fn an_environment_replaces_fields_and_keeps_the_others() {
    let document = document("[environments.staging.flags.new-checkout]\nstage = \"ga\"\n");
    let staging = Plan::parse(document.clone().environment("staging")).unwrap();
    let flag = staging.flag("new-checkout").unwrap();
    assert_eq!((flag.stage().as_str(), flag.owner()), ("ga", Some("Jana")));
    assert_eq!(staging.flag("search").unwrap().stage(), "off");
    let base = Plan::parse(document).unwrap();
    assert_eq!(base.flag("new-checkout").unwrap().stage(), "internal");
    assert_eq!((base.environment(), staging.environment()), (None, Some("staging")));
}

#[test]
fn stages_replace_the_plan_and_a_plan_the_stages() {
    let document = document(
        "[environments.one.flags.new-checkout]\nstage = \"all\"\n\
         stages = [{ name = \"all\", percent = 100 }]\n\
         [environments.two.flags.new-checkout]\nplan = \"staged\"\n",
    );
    let plan = |name: &str| Plan::parse(document.clone().environment(name)).unwrap();
    assert_eq!(plan("one").flag("new-checkout").unwrap().plan(), None);
    assert_eq!(plan("two").flag("new-checkout").unwrap().stages().len(), 4);
}

/// With the document's `users_file` beside its own `users`, the group would list the users of both.
#[test]
fn an_environment_replaces_a_group_whole() {
    let text = r#"
        schema = 1
        [groups.team]
        users = ["ana"]
        where = { staff = ["yes"] }
        [flags.a]
        stage = "team"
        stages = [{ name = "team", groups = ["team"] }]
        [environments.staging.groups.team]
        users = ["tess"]
    "#;
    let staging = Gate::from_document(Document::new(text).environment("staging")).unwrap();
    let staff = stagegate::User::new("joe").attribute("staff", "yes");
    assert!(staging.is_enabled("tess", "a"));
    assert!(!staging.is_enabled("ana", "a") && !staging.is_enabled(&staff, "a"));
    let base = Gate::from_document(text).unwrap();
    assert!(base.is_enabled("ana", "a") && base.is_enabled(&staff, "a"));
}

/// An error of staging is found by the process that reads the document for production.
#[test]
fn every_environment_is_checked_whichever_is_chosen() {
    let text = "[environments.staging.flags.search]\nstage = \"gaa\"\n[environments.production]\n";
    for document in [document(text), document(text).environment("production")] {
        let error = Plan::parse(document).unwrap_err();
        assert_eq!(
            error.to_string(),
            "rollout document `rollout.toml` has 1 problem\n  \
               rollout.toml:12:9: environments.staging.flags.search.stage: found \"gaa\", not a stage of this flag\n      \
                   did you mean `ga`? write one of: off, internal, pilot, expanded, ga",
        );
    }
}

#[test]
fn a_problem_of_the_document_is_reported_once() {
    let text = DOCUMENT.to_owned() + "[environments.staging]\n[environments.production]\n";
    let error = Plan::parse(Document::new(text).directory("/nowhere")).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn an_unknown_environment_is_an_error_that_lists_the_known_ones() {
    let known = document("[environments.staging]\n[environments.production]\n");
    let error = Plan::parse(known.environment("prodution")).unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!(problem.message(), "found no environment `prodution`");
    assert_eq!(problem.hint(), "did you mean `production`? write one of: staging, production");
    let error = Plan::parse(document("").environment("staging")).unwrap_err();
    assert_eq!(error.problems()[0].hint(), "there is none to choose from");
}

#[cfg(feature = "rollout")]
mod rollout {
    use std::time::SystemTime;

    use stagegate::clock::ManualClock;
    use stagegate::rollout::Rollout;
    use stagegate::store::Memory;

    use super::document;

    #[test]
    fn a_rollout_keeps_its_environment_across_updates_and_restarts() {
        let text = "[environments.staging.flags.new-checkout]\nstage = \"ga\"\n[environments.production]\n";
        let (store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
        let staging = document(text).environment("staging");
        let rollout = Rollout::start(store.clone(), clock.clone(), staging, "ana").unwrap();
        assert!(rollout.gate().is_enabled(1, "new-checkout"));
        // The update names no environment.
        let changed = document(&(text.to_owned() + "[environments.more]\n"));
        rollout.by("ana").update(changed.clone()).unwrap();
        assert_eq!(rollout.status().environment.as_deref(), Some("staging"));
        let error = rollout.by("ana").update(changed.environment("production")).unwrap_err();
        assert!(error.to_string().contains("but this rollout is for `staging`"), "{error}");
        drop(rollout);
        let rollout = Rollout::open(store, clock).unwrap();
        assert_eq!(rollout.status().environment.as_deref(), Some("staging"));
        assert!(rollout.gate().is_enabled(1, "new-checkout"));
    }
}

#[cfg(feature = "follow")]
mod follow {
    use stagegate::source::{File, FollowOptions, Follower};

    #[test]
    fn a_follower_reads_every_document_for_its_environment() {
        let directory =
            std::env::temp_dir().join(format!("stagegate-environment-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (path, last) = (directory.join("rollout.toml"), directory.join("last"));
        let write = |stage: &str| {
            let text = "schema = 1\n[flags.a]\n[environments.staging.flags.a]\nstage = ";
            std::fs::write(&path, format!("{text}\"{stage}\"\n")).unwrap();
        };
        let start = || {
            let options = FollowOptions::new().environment("staging").last_known_good(&last);
            Follower::start(File::new(&path), options.by_hand()).unwrap()
        };
        write("expanded");
        let (gate, follower) = start();
        assert_eq!(gate.status().flags[0].stage, "expanded");
        write("ga");
        follower.refresh_now().unwrap();
        assert_eq!(gate.status().flags[0].stage, "ga");
        drop(follower);
        // From the last known good.
        std::fs::remove_file(&path).unwrap();
        let (gate, _follower) = start();
        assert_eq!(gate.status().flags[0].stage, "ga");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
