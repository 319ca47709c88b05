//! Updates of the document during a rollout.

use stagegate::rollout::Progress;

use super::{DAY, DOCUMENT, HOUR, assert_same_after_reopen, count, in_pilot, percent, unmet};

fn changed(from: &str, to: &str) -> String {
    assert!(DOCUMENT.contains(from), "{from}");
    DOCUMENT.replacen(from, to, 1)
}

#[test]
fn an_update_keeps_the_state_and_lists_what_it_resets() {
    let (rollout, clock, store) = in_pilot();
    let ana = rollout.by("ana");
    clock.advance(DAY);
    ana.measure("search", "error_rate", percent("0.1%"), None).unwrap();
    ana.measure("search", "complaints", count("0"), None).unwrap();
    ana.sign("search", "feedback", None).unwrap();
    let reset = |document: String| {
        let changes = ana.update(document).unwrap();
        assert_same_after_reopen(&rollout, &store, &clock);
        assert_eq!(rollout.report("search").unwrap().state.stage, "pilot");
        changes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(reset(DOCUMENT.to_owned()).is_empty());
    assert_eq!(
        reset(changed("It was read", "Everything was read")),
        ["search starts over: item feedback"]
    );
    assert_eq!(reset(changed("\"< 1%\"", "\"< 0.5%\"")), ["search starts over: metric error_rate"],);
    // A smaller percentage is another population, so the evidence of the 10% does not count for the 5%.
    assert_eq!(
        reset(changed("percent = 10", "percent = 5")),
        ["search: 10% -> 5%; starts over: time, metric complaints"]
    );
    assert_eq!(rollout.report("search").unwrap().time_in_stage, std::time::Duration::ZERO);
}

#[test]
fn an_update_moves_no_flag_up() {
    let (rollout, _, _) = in_pilot();
    let ana = rollout.by("ana");
    let error = ana.update(changed("percent = 10", "percent = 50")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "update of `search` is refused: 1 condition is not met\n  \
         stage `pilot` admits 50% of users: the plan in force allows at most 10%, at its stage \"pilot\"\n      \
         do not exceed that percentage, or give a `skip_reason` beside `stage`"
    );
    let error = ana.update(changed("name = \"pilot\"", "name = \"beta\"")).unwrap_err();
    assert_eq!(unmet::<()>(Err(error)), ["stage"]);
    let error = ana.update("schema = 1").unwrap_err();
    assert!(error.is_invalid_document() && !error.plan_error().unwrap().problems().is_empty());
    assert!(!rollout.gate().is_enabled("user-2", "search"));
    // The document's `stage` is only where a new flag starts.
    let moved = changed("[flags.search]\n", "[flags.search]\nstage = \"ga\"\n");
    ana.update(moved).unwrap();
    let report = rollout.report("search").unwrap();
    assert_eq!((&*report.state.stage, &*report.declared), ("pilot", "ga"));
}

#[test]
fn an_incident_survives_updates_that_add_and_remove_flags() {
    let (rollout, clock, store) = in_pilot();
    let ana = rollout.by("ana");
    ana.roll_back("search", "x").unwrap();
    let more = changed(
        "[flags.other]",
        "[flags.more]\nstage = \"all\"\nstages = [{ name = \"all\", percent = 100 }]\n[flags.others]",
    );
    let changes = ana.update(more).unwrap();
    let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["more is new, at all", "other is gone", "others is new, at off"]);
    assert!(rollout.gate().is_enabled("anybody", "more"));
    assert!(ana.promote("other").unwrap_err().is_not_found());
    assert_eq!(rollout.report("search").unwrap().progress, Progress::RolledBack);
    clock.advance(HOUR);
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn the_store_keeps_users_files_with_the_document() {
    let directory = std::env::temp_dir().join(format!("stagegate-users-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("team.txt"), "ana\n").unwrap();
    let document = changed("users = [\"ana\"]", "users_file = \"team.txt\"");
    std::fs::write(directory.join("plan.toml"), document).unwrap();
    let document = stagegate::Document::read(directory.join("plan.toml")).unwrap();
    std::fs::remove_dir_all(&directory).unwrap_or_default();
    // The rollout reads the users file at the start, and the file is gone.
    let (store, clock) = (stagegate::store::Memory::new(), super::start_rollout().1);
    let error = stagegate::rollout::Rollout::start(store.clone(), clock.clone(), &document, "ana");
    assert!(error.unwrap_err().is_invalid_document());

    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("team.txt"), "ana\n").unwrap();
    let rollout =
        stagegate::rollout::Rollout::start(store.clone(), clock.clone(), &document, "ana").unwrap();
    rollout.by("ana").promote("search").unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let again = stagegate::rollout::Rollout::open(store, clock).unwrap();
    assert!(again.gate().is_enabled("ana", "search"));
}

/// Returns a plan with a flag whose first stage has 1% and the group `beta`.
fn one_percent(beta: &str, more: &str) -> String {
    format!(
        "schema = 1\n[groups.beta]\n{beta}\n[flags.a]\n{more}\nstages = [{{ name = \"pilot\", percent = 1, groups = [\"beta\"], min_duration = \"7d\" }}, {{ name = \"ga\", percent = 100 }}]\n[flags.b]\n"
    )
}

fn users(count: usize) -> String {
    format!("users = {:?}", (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>())
}

fn started(document: String) -> stagegate::rollout::Rollout {
    let (store, clock) = (stagegate::store::Memory::new(), super::start_rollout().1);
    let rollout = stagegate::rollout::Rollout::start(store, clock, document, "ana").unwrap();
    rollout.by("ana").promote("a").unwrap();
    rollout
}

#[test]
fn a_longer_list_is_reported_and_a_wider_group_or_new_salt_needs_a_reason() {
    let rollout = started(one_percent(&users(6), ""));
    let ana = rollout.by("ana");
    let changes = ana.update(one_percent(&users(1000), "")).unwrap();
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a: beta: +994 users"]
    );
    let record = rollout.records(1).unwrap().pop().unwrap();
    assert!(record.to_string().ends_with("ana: document updated: a: beta: +994 users"), "{record}");

    let error = ana.update(one_percent(&users(1000), "salt = \"other\"")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "update of `a` is refused: 1 condition is not met\n  \
         stage `pilot` admits other users than the plan in force, as the salt changed\n      \
         keep the salt, or give a `skip_reason` beside `stage`"
    );
    assert_eq!(unmet::<()>(Err(error)), ["salt"]);
    let everybody = "where = { plan = [\"free\", \"pro\"] }";
    let wider = one_percent(&format!("{}\n{everybody}", users(1000)), "");
    assert_eq!(unmet(ana.update(&*wider)), ["group"]);
    let reasoned = wider.replace("[flags.a]", "[flags.a]\nskip_reason = \"agreed\"");
    let changes = ana.update(reasoned).unwrap();
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a: beta: matches more users; starts over: time (agreed)"]
    );
}

#[test]
fn a_removed_flag_comes_back_with_its_stage_and_its_incident() {
    let (store, clock) = (stagegate::store::Memory::new(), super::start_rollout().1);
    let document = one_percent(&users(1), "");
    let rollout =
        stagegate::rollout::Rollout::start(store.clone(), clock.clone(), &*document, "ana")
            .unwrap();
    let ana = rollout.by("ana");
    ana.promote("a").unwrap();
    ana.roll_back("a", "data loss").unwrap();
    ana.update("schema = 1\n[flags.b]\n").unwrap();
    let at_ga = one_percent(&users(1), "stage = \"ga\"");
    for document in [at_ga.clone(), at_ga.replace("[flags.a]", "[flags.a]\nskip_reason = \"now\"")]
    {
        let refused = unmet(ana.update(document));
        assert_eq!(refused[..2], ["removed", "incident"]);
    }
    assert!(!rollout.gate().is_enabled("u", "a"));
    let changes = ana.update(&*document).unwrap();
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a is back, at off"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    let report = rollout.report("a").unwrap();
    assert_eq!(report.progress, Progress::RolledBack);
    assert!(report.unmet.iter().any(|unmet| unmet.kind == "incident"));
}

#[test]
fn an_update_that_takes_flags_from_most_users_needs_a_reason() {
    let rollout = started(one_percent(&users(1000), ""));
    let ana = rollout.by("ana");
    assert_eq!(unmet(ana.update(one_percent(&users(100), ""))), ["per_update"]);
    let reasoned = one_percent(&users(100), "skip_reason = \"the beta is over\"");
    let changes = ana.update(reasoned).unwrap();
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a: beta: -900 users (the beta is over)"]
    );
    // A flag that is off loses no users, so the limit does not apply.
    ana.roll_back("a", "x").unwrap();
    ana.update(one_percent(&users(1), "")).unwrap();
}
