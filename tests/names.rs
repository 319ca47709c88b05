//! Further names of flags (`asked_as`): every API finds the flag by them, before and after updates.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use stagegate::{Document, Evaluation, Gate, Plan};

/// A name that checks of one flag ask by.
const NAME: &str = "team/service/flag1";

fn with_names(names: &str) -> Document {
    Document::new(format!("schema = 1\n[flags.flag1]\nstage = \"pilot\"\nasked_as = {names}"))
}

/// Returns the answer of every API that takes the name of a flag, with the name of the API.
fn every_answer(gate: &Gate, user: u64, name: &str) -> Vec<(&'static str, Evaluation)> {
    let (handle, pinned, full) = (gate.flag(name), gate.pin(), gate.evaluate(user, name));
    // Fields that an API does not return are taken from the full answer.
    let with = |change: &dyn Fn(&mut Evaluation)| {
        let mut answer = full;
        change(&mut answer);
        answer
    };
    let only_enabled = |enabled: bool| with(&|answer| answer.enabled = enabled);
    let only_cohort = |cohort| with(&|answer| answer.cohort = cohort);
    let clone = handle.clone();
    vec![
        ("Gate::evaluate", full),
        // Twice: the first check fills the cache by name, and the second one reads it.
        ("Gate::is_enabled", only_enabled(gate.is_enabled(user, name))),
        ("Gate::is_enabled, again", only_enabled(gate.is_enabled(user, name))),
        ("Gate::cohort", only_cohort(gate.cohort(user, name))),
        ("FlagHandle::evaluate", handle.evaluate(user)),
        ("FlagHandle::is_enabled", only_enabled(handle.is_enabled(user))),
        ("FlagHandle::clone", only_enabled(clone.is_enabled(user))),
        ("FlagHandle::evaluate_in", handle.evaluate_in(&pinned, user)),
        ("FlagHandle::is_enabled_in", only_enabled(handle.is_enabled_in(&pinned, user))),
        ("Pinned::evaluate", pinned.evaluate(user, name)),
        ("Pinned::is_enabled", only_enabled(pinned.is_enabled(user, name))),
        ("Pinned::cohort", only_cohort(pinned.cohort(user, name))),
    ]
}

/// Flags with random names, as JSON. The names overlap between documents, but not within one.
fn flags() -> impl Strategy<Value = Vec<(String, &'static str, Vec<String>)>> {
    let texts = ["a/b", "a:b c", "Überweisung", "_internal", "\u{1f680}", "-", "k"];
    let long = ["x".repeat(23), "x".repeat(24), "y".repeat(128), "y".repeat(129), "z".repeat(256)];
    let names: Vec<String> = texts.iter().map(|text| (*text).to_owned()).chain(long).collect();
    let stage = prop::sample::select(vec!["off", "internal", "pilot", "expanded", "ga"]);
    let owner = 0..5_usize;
    (prop::collection::vec(owner, names.len()), prop::collection::vec(stage, 4)).prop_map(
        move |(owners, stages)| {
            let flags = stages.into_iter().enumerate().map(|(index, stage)| {
                let own = names.iter().zip(&owners).filter(|(_, owner)| **owner == index);
                // The last owner is no flag, so a name may be unknown.
                (format!("f{index}"), stage, own.map(|(name, _)| name.clone()).collect())
            });
            flags.collect()
        },
    )
}

fn json(flags: &[(String, &'static str, Vec<String>)], reason: usize) -> String {
    let flags: serde_json::Map<_, _> = flags
        .iter()
        .map(|(key, stage, names)| {
            let flag = serde_json::json!({
                "stage": stage, "asked_as": names, "skip_reason": reason.to_string(),
            });
            (key.clone(), flag)
        })
        .collect();
    serde_json::json!({ "schema": 1, "limits": { "per_update": 100 }, "flags": flags }).to_string()
}

proptest! {
    /// Also handles from before an update, and names that an update gives to another flag.
    #[test]
    fn every_api_answers_by_a_further_name_as_by_the_key(
        documents in prop::collection::vec(flags(), 1..4), user in any::<u64>()
    ) {
        let gate = Gate::from_document(json(&documents[0], 0)).unwrap();
        let all: Vec<String> =
            documents[0].iter().flat_map(|(_, _, names)| names.clone()).collect();
        let handles: Vec<_> = all.iter().map(|name| (name, gate.flag(name))).collect();
        for (document, reason) in documents.iter().zip(0..) {
            gate.update(json(document, reason)).unwrap();
            for (key, _, names) in document {
                let expected = gate.evaluate(user, key);
                prop_assert!(expected.stage.is_some());
                for name in names {
                    for (api, answer) in every_answer(&gate, user, name) {
                        prop_assert_eq!(answer, expected, "{} of {}", api, name);
                    }
                }
            }
            for (name, handle) in &handles {
                prop_assert_eq!(handle.evaluate(user), gate.evaluate(user, name), "{}", name);
                prop_assert_eq!(handle.is_enabled(user), gate.is_enabled(user, name), "{}", name);
            }
            let keys: Vec<_> = gate.evaluate_all(user).into_iter().map(|(key, _)| key.to_string()).collect();
            prop_assert_eq!(keys, ["f0", "f1", "f2", "f3"]);
        }
    }
}

/// An update that changes only the names shares nothing of the old index, nor do the caches.
#[test]
fn an_update_may_add_move_and_remove_names() {
    let two = |of_a: &str, of_b: &str| {
        format!(
            "schema = 1\n[flags.a]\nstage = \"ga\"\nasked_as = {of_a}\n[flags.b]\nasked_as = {of_b}"
        )
    };
    let gate = Gate::from_document(two("[]", "[]")).unwrap();
    let early = gate.flag(NAME);
    let is_on = || [gate.is_enabled(1, NAME), early.is_enabled(1), gate.flag(NAME).is_enabled(1)];
    let name = format!("\"{NAME}\"");
    for (of_a, of_b, expected) in [
        ("[]", "[]", false),
        (&*name, "[]", true),
        ("[]", &*name, false),
        ("\"x\"", "\"y\"", false),
        (&*name, "\"y\"", true),
        ("[]", "[]", false),
    ] {
        gate.update(two(of_a, of_b)).unwrap();
        for _ in 0..2 {
            assert_eq!(is_on(), [expected; 3], "{of_a} {of_b}");
        }
    }
}

/// The name of a flag that an update renames may stay as a further name. That is no way around a stage.
#[test]
fn a_key_that_becomes_a_further_name_is_a_removed_flag() {
    let gate = Gate::from_document("schema = 1\n[flags.old]\nstage = \"ga\"").unwrap();
    let renamed = "schema = 1\nlimits.per_update = 100\n[flags.new]\nasked_as = \"old\"";
    gate.update(renamed).unwrap();
    assert!(!gate.is_enabled(1, "old"));
    assert_eq!(gate.status().flags.len(), 1);
    // The flag `old` counts as being where it was, and not where the flag was that answered to its name.
    gate.update("schema = 1\n[flags.new]\n[flags.old]\nstage = \"ga\"").unwrap();
    assert!(gate.is_enabled(1, "old"));
}

#[test]
fn calls_accept_a_further_name_and_report_the_key() {
    let gate = Gate::from_document(with_names(&format!("\"{NAME}\""))).unwrap();
    let error = gate.set_stage(NAME, "ga").unwrap_err();
    assert!(error.to_string().starts_with("flag `flag1` is at `pilot`"), "{error}");
    gate.roll_back(NAME).unwrap();
    assert_eq!(gate.status().flags[0].stage, "off");
    let error = gate.roll_back("team/service/flag2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no flag `team/service/flag2`: did you mean `team/service/flag1`?"
    );
}

/// The salt stays the key.
#[test]
fn a_further_name_moves_no_user() {
    let named = Gate::from_document(with_names(&format!("[\"{NAME}\"]"))).unwrap();
    let plain = Gate::from_document("schema = 1\n[flags.flag1]\nstage = \"pilot\"").unwrap();
    for user in 0..1_000 {
        assert_eq!(named.evaluate(user, NAME), plain.evaluate(user, "flag1"));
    }
}

/// The cache compares 128 bytes of a name, and the lowest bits of its length.
#[test]
fn a_name_beyond_the_cache_does_not_match_a_shorter_one() {
    let key = "k".repeat(128);
    let gate = Gate::from_document(format!("schema = 1\n[flags.{key}]\nstage = \"ga\"")).unwrap();
    for length in [129, 128 + 256, 128 + 512, 1 << 16] {
        for _ in 0..2 {
            assert!(gate.is_enabled(1, &key));
            assert!(!gate.is_enabled(1, &"k".repeat(length)), "{length}");
        }
    }
}

#[test]
fn a_plan_knows_the_key_of_a_further_name() {
    let plan = Plan::parse(with_names("[\"x\", \"y\"]")).unwrap();
    assert_eq!((plan.key_of("y"), plan.key_of("flag1")), (Some("flag1"), Some("flag1")));
    assert!(plan.flag("y").is_none(), "`Plan::flag` takes keys");
}
