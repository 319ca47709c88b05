//! Edits of a document neither skip a stage nor take a flag from many users by accident. Each test tries one such edit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use stagegate::{Document, Gate, Plan, Update, UpdateError, User};

const THREE: &str = r#"{ name = "internal", groups = ["team"] }, { name = "pilot", percent = 10 }, { name = "ga", percent = 100 }"#;

/// Returns a document with a flag at this stage, with these stages, and the group `team`.
fn document(stage: &str, stages: &str) -> String {
    format!(
        "schema = 1\ngroups.team.users = [\"ana\"]\n[flags.a]\nstage = \"{stage}\"\nstages = [{stages}]\n"
    )
}

fn gate(stage: &str) -> Gate {
    Gate::from_document(document(stage, THREE)).unwrap()
}

fn users_with(gate: &Gate, flag: &str) -> usize {
    (0..10_000_u32).filter(|user| gate.is_enabled(*user, flag)).count()
}

/// Returns the message and the hint of the only problem.
fn words(error: &UpdateError) -> String {
    let [problem] = error.problems() else { panic!("{error}") };
    format!("{}; {}", problem.message(), problem.hint())
}

/// Collects the changes that observers of the gate see.
fn changes_seen(gate: &Gate) -> Arc<Mutex<Vec<String>>> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    gate.observe(move |update: &Update<'_>| {
        if let Update::Applied { changes, .. } = update {
            log.lock().unwrap().extend(changes.iter().map(ToString::to_string));
        }
    });
    seen
}

#[test]
fn enlarging_a_stage_is_refused_with_the_allowed_maximum() {
    let whole = r#"{ name = "internal", groups = ["team"] }, { name = "pilot", percent = 100 }"#;
    let at_internal = gate("internal");
    let error = at_internal.update(document("pilot", whole)).unwrap_err();
    assert!(error.is_skip() && !error.is_shrink());
    assert_eq!(
        words(&error),
        "found \"pilot\", which admits 100% of users: the plan in force allows at most 10%, at its next stage \"pilot\"; \
         do not exceed that percentage, or give a `skip_reason` beside `stage`"
    );
    assert_eq!(users_with(&at_internal, "a"), 0);

    // Also if the plan's next stage is for everybody, because no one has moved the flag there.
    let at_pilot = gate("pilot");
    let before = users_with(&at_pilot, "a");
    let error = at_pilot.update(document("pilot", whole)).unwrap_err();
    assert!(words(&error).contains("the plan in force allows at most 10%, at its stage \"pilot\""));
    assert_eq!(users_with(&at_pilot, "a"), before);
    let seen = changes_seen(&at_pilot);
    let reasoned =
        document("pilot", whole).replace("stage = ", "skip_reason = \"agreed\"\nstage = ");
    at_pilot.update(reasoned).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["a: pilot, 10% -> 100% (agreed)"]);
}

#[test]
fn a_plan_with_one_stage_does_not_jump_from_off_to_everybody() {
    let gate = gate("off");
    let error = gate.update(document("ga", r#"{ name = "ga", percent = 100 }"#)).unwrap_err();
    assert_eq!(
        words(&error),
        "found \"ga\", which admits 100% of users: the plan in force allows at most 0%, at its next stage \"internal\"; \
         do not exceed that percentage, or give a `skip_reason` beside `stage`"
    );
    assert_eq!(users_with(&gate, "a"), 0);
}

#[test]
fn an_inserted_first_stage_with_an_attribute_group_is_refused() {
    let gate = gate("internal");
    let inserted =
        document("internal", &format!("{{ name = \"x\", groups = [\"all\"] }}, {THREE}"));
    let inserted = inserted
        .replace("[flags.a]", "[groups.all]\nwhere = { plan = [\"free\", \"pro\"] }\n[flags.a]");
    let error = gate.update(inserted).unwrap_err();
    assert_eq!(
        words(&error),
        "found \"internal\", which admits users by the attributes of group \"all\" whom the plan in force does not admit yet; \
         let them in at a later stage, or give a `skip_reason` beside `stage`"
    );
    assert!(!gate.is_enabled(User::new("zoe").attribute("plan", "free"), "a"));
}

/// Returns a document with a flag at its first stage, which has the group `g`.
fn grouped(group: &str, more: &str) -> String {
    format!(
        "schema = 1\n[groups.g]\n{group}\n[flags.a]\nstage = \"pilot\"\n{more}\n\
         stages = [{{ name = \"pilot\", percent = 1, groups = [\"g\"] }}, {{ name = \"most\", percent = 50 }}, {{ name = \"ga\", percent = 100 }}]\n"
    )
}

fn listed(users: std::ops::Range<u32>) -> String {
    format!("users = {:?}", users.map(|n| format!("u{n}")).collect::<Vec<_>>())
}

#[test]
fn a_wider_attribute_group_needs_a_reason_and_a_longer_list_is_reported() {
    let eu = r#"where = { region = ["eu"], plan = ["pro"] }"#;
    let gate = Gate::from_document(grouped(eu, "")).unwrap();
    for wider in
        [r#"where = { region = ["eu", "us"], plan = ["pro"] }"#, r#"where = { region = ["eu"] }"#]
    {
        assert!(gate.update(grouped(wider, "")).unwrap_err().is_skip(), "{wider}");
    }
    let seen = changes_seen(&gate);
    gate.update(grouped(r#"where = { region = ["eu"] }"#, "skip_reason = \"all of them\""))
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), ["a: pilot, g: matches more users (all of them)"]);

    let gate = Gate::from_document(grouped(&listed(0..6), "")).unwrap();
    let seen = changes_seen(&gate);
    gate.update(grouped(&listed(0..1000), "")).unwrap();
    gate.update(grouped(&listed(3..1001), "")).unwrap();
    assert_eq!(*seen.lock().unwrap(), ["a: pilot, g: +994 users", "a: pilot, g: +1 -3 users"]);
}

#[test]
fn a_group_of_a_later_stage_does_not_move_forward() {
    let stages = |first: &str, last: &str| {
        format!(
            "schema = 1\ngroups.team.users = [\"ana\"]\ngroups.beta.users = [\"ben\", \"cleo\"]\n[flags.a]\nstage = \"internal\"\n\
             stages = [{{ name = \"internal\", groups = [{first}] }}, {{ name = \"pilot\", percent = 10 }}, \
             {{ name = \"expanded\", percent = 25, groups = [{last}] }}, {{ name = \"ga\", percent = 100 }}]\n"
        )
    };
    let gate = Gate::from_document(stages("\"team\"", "\"beta\"")).unwrap();
    let error = gate.update(stages("\"team\", \"beta\"", "")).unwrap_err();
    assert!(
        words(&error).starts_with(
            "found \"internal\", which admits 2 users of group \"beta\", whom the plan in force lists for a later stage; "
        ),
        "{error}"
    );
    // Users whom no stage lists may be added.
    let renamed = stages("\"team\", \"guests\"", "\"beta\"")
        .replace("groups.beta", "groups.guests.users = [\"dan\"]\ngroups.beta");
    gate.update(renamed).unwrap();
    assert!(gate.is_enabled("dan", "a") && !gate.is_enabled("ben", "a"));
}

#[test]
fn a_changed_salt_needs_a_reason_even_before_a_stage_for_everybody() {
    for (stage, next) in [("pilot", "\"most\""), ("most", "\"ga\"")] {
        let at = |more: &str| {
            grouped(&listed(0..1), more)
                .replace("stage = \"pilot\"", &format!("stage = \"{stage}\""))
        };
        let gate = Gate::from_document(at("")).unwrap();
        let before: Vec<bool> = (0..1000).map(|user| gate.is_enabled(user, "a")).collect();
        let error = gate.update(at("salt = \"other\"")).unwrap_err();
        assert!(
            words(&error)
                .contains("admits other users than the plan in force, as the salt changed"),
            "{stage}, then {next}: {error}"
        );
        assert_eq!((0..1000).map(|user| gate.is_enabled(user, "a")).collect::<Vec<_>>(), before);
        gate.update(at("salt = \"other\"\nskip_reason = \"a new sample\"")).unwrap();
    }
}

#[test]
fn lifting_a_hold_back_early_is_refused() {
    let held = |holds: &str| {
        format!(
            "schema = 1\ngroups.ops.users = [\"o1\", \"o2\"]\ngroups.eu.where = {{ region = [\"eu\"] }}\n[flags.a]\nstage = \"expanded\"\n\
             hold_back = {{ {holds} }}\nstages = [{{ name = \"expanded\", percent = 99 }}, {{ name = \"more\", percent = 99.5 }}, {{ name = \"ga\", percent = 100 }}]\n"
        )
    };
    let gate = Gate::from_document(held("ops = \"ga\", eu = \"ga\"")).unwrap();
    for (holds, group) in
        [("ops = \"ga\"", "eu"), ("eu = \"ga\"", "ops"), ("eu = \"ga\", ops = \"expanded\"", "ops")]
    {
        let error = gate.update(held(holds)).unwrap_err();
        let expected =
            format!("admits users of group \"{group}\" whom the plan in force holds back");
        assert!(words(&error).contains(&expected), "{error}");
    }
    gate.update(held("ops = \"more\", eu = \"ga\"")).unwrap();
}

#[test]
fn a_flag_that_is_removed_and_added_again_keeps_its_stage() {
    let with = |stage: &str| format!("{}[flags.b]\n", document(stage, THREE));
    let without = "schema = 1\n[flags.b]\n";
    let gate = Gate::from_document(with("internal")).unwrap();
    gate.update(without).unwrap();
    gate.update("schema = 1\n[flags.b]\n[flags.c]\n").unwrap();
    let error = gate.update(with("ga")).unwrap_err();
    assert!(
        words(&error).starts_with("found \"ga\", which skips pilot: the flag is at \"internal\""),
        "{error}"
    );
    gate.update(with("pilot")).unwrap();
    gate.roll_back("a").unwrap();
    gate.update(without).unwrap();
    gate.update(with("pilot")).unwrap();
    assert_eq!(users_with(&gate, "a"), 0, "a rollback outlives the flag's absence");
}

#[test]
fn no_update_takes_a_flag_from_most_of_its_users_by_accident() {
    let gate = Gate::from_document(grouped(&listed(0..1000), "")).unwrap();
    let seen = changes_seen(&gate);
    // First a third of the users leave, then a few, then most.
    gate.update(grouped(&listed(0..667), "")).unwrap();
    gate.update(grouped(&listed(0..660), "")).unwrap();
    let error = gate.update(grouped(&listed(0..66), "")).unwrap_err();
    assert!(error.is_shrink() && !error.is_skip());
    assert_eq!(
        words(&error),
        "found \"pilot\", which takes the flag from 594 users, 90% of group \"g\", at once: `limits.per_update` allows 50%; \
         raise `limits.per_update` if that is meant, or give a `skip_reason` beside `stage`"
    );
    gate.update(grouped(&listed(0..66), "skip_reason = \"the beta is over\"")).unwrap();
    let raised = grouped(&listed(0..1), "skip_reason = \"the beta is over\"").replacen(
        "schema = 1",
        "schema = 1\n[limits]\nper_update = 99",
        1,
    );
    gate.update(raised).unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "a: pilot, g: -333 users",
            "a: pilot, g: -7 users",
            "a: pilot, g: -594 users (the beta is over)",
            "a: pilot, g: -65 users"
        ]
    );

    let share = |percent: u32| document("ga", &format!("{{ name = \"ga\", percent = {percent} }}"));
    let gate = Gate::from_document(share(100)).unwrap();
    let error = gate.update(share(40)).unwrap_err();
    assert!(
        words(&error).starts_with("found \"ga\", which takes the flag from 60% of users at once: "),
        "{error}"
    );
    gate.update(share(50)).unwrap();

    let region = |values: &str| grouped(&format!("where = {{ region = [{values}] }}"), "");
    let gate = Gate::from_document(region("\"eu\", \"us\", \"asia\"")).unwrap();
    assert!(gate.update(region("\"eu\"")).unwrap_err().is_shrink());
    gate.update(region("\"eu\", \"us\"")).unwrap();
}

#[test]
fn moving_a_flag_down_is_never_refused_however_many_users_lose_it() {
    let limited = |stage: &str| {
        document(stage, THREE).replacen("schema = 1", "schema = 1\nlimits.per_update = 0", 1)
    };
    for to in ["off", "internal", "pilot"] {
        let gate = Gate::from_document(limited("ga")).unwrap();
        gate.update(limited(to)).unwrap();
        assert_eq!(gate.status().flags[0].stage, to);
    }
}

#[test]
fn a_file_of_flags_that_loses_most_of_them_is_refused() {
    let flags = |count: usize| {
        let flags = (0..count).map(|n| format!("[flags.f{n}]\nstage = \"ga\"\n"));
        format!("schema = 1\n{}", flags.collect::<String>())
    };
    let gate = Gate::from_document(flags(10)).unwrap();
    let error = gate.update(flags(1)).unwrap_err();
    assert!(error.is_shrink());
    assert_eq!(
        words(&error),
        "found 1 of the 10 flags that are on: `limits.per_update` allows 50% to go at once; \
         keep the flags, or set `limits.per_update` to 100 if all of them may go"
    );
    gate.update(flags(5)).unwrap();
    gate.update(
        flags(5)
            .replace("schema = 1", "schema = 1\n[limits]\nper_update = 100")
            .replace("[flags.f4]\nstage = \"ga\"\n", ""),
    )
    .unwrap();
    // A document may always drop one flag, even its only flag that is on.
    let gate = Gate::from_document(flags(1)).unwrap();
    gate.update("schema = 1\n[flags.other]").unwrap();
}

/// A directory with a users file. It is removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Directory {
        let path =
            std::env::temp_dir().join(format!("stagegate-edits-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn document(&self, users: &str, more: &str) -> Document {
        std::fs::write(self.0.join("beta.txt"), users).unwrap();
        let text = format!(
            "schema = 1\n[groups.beta]\nusers_file = \"beta.txt\"\n{more}\n[flags.a]\nstage = \"beta\"\n\
             stages = [{{ name = \"beta\", groups = [\"beta\"] }}, {{ name = \"ga\", percent = 100 }}]\n"
        );
        Document::new(text).name("rollout.toml").directory(&self.0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_users_file_that_becomes_empty_is_refused() {
    let directory = Directory::new("empty");
    let gate = Gate::from_document(directory.document("ana\nben\n", "")).unwrap();
    let empty = directory.document("", "");
    let plan = Plan::parse(&empty).unwrap();
    let warning = &plan.warnings()[0];
    assert_eq!(
        warning.to_string(),
        "rollout.toml:3:14: groups.beta.users_file: found \"beta.txt\", a file that lists no users\n      \
         write `may_be_empty = true` beside it if that is meant"
    );
    let error = gate.update(empty).unwrap_err();
    assert!(error.is_shrink());
    assert_eq!(
        error.to_string(),
        "rollout document `rollout.toml` has 1 problem\n  \
         rollout.toml:3:14: groups.beta.users_file: found a file that lists no users, where the one in force lists 2\n      \
         export the list again, or write `may_be_empty = true` if that is meant"
    );
    assert!(gate.is_enabled("ana", "a"));
    gate.update(directory.document("\n", "may_be_empty = true")).unwrap();
    assert!(!gate.is_enabled("ana", "a"));
    // The list in force is empty now, so an empty list takes the flag from no one.
    gate.update(directory.document("", "")).unwrap();
}
