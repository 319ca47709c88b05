//! Approvals by role, forced promotions by several people, and four eyes.

use std::time::Duration;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Rollout, RolloutError};
use stagegate::store::Memory;

use super::{assert_same_after_reopen, monday, unmet};

const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana"]
[groups.eu]
where = { region = ["eu"] }
[plans.shop]
approvals = { pilot = ["release owner", "client CTO"], force = 2 }
[[plans.shop.stages]]
name = "team"
groups = ["team"]
[[plans.shop.stages]]
name = "pilot"
percent = 10
groups = ["eu"]
[[plans.shop.stages]]
name = "ga"
percent = 100
[flags.a]
plan = "shop"
"#;

const FOUR_EYES: &str = r#"
schema = 1
[flags.a]
four_eyes = true
[[flags.a.stages]]
name = "pilot"
percent = 10
checklist = [{ id = "looked", text = "The team looked" }]
[[flags.a.stages]]
name = "ga"
percent = 100
"#;

const OWNER: &str = "approval: release owner";
const CTO: &str = "approval: client CTO";

fn start(document: &str) -> (Rollout, ManualClock, Memory) {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana").unwrap();
    (rollout, clock, store)
}

fn sign(rollout: &Rollout, by: &str, item: &str) -> Result<(), RolloutError> {
    rollout.by(by).sign("a", item, None).map(drop)
}

fn signed(rollout: &Rollout) -> Vec<String> {
    let state = rollout.report("a").unwrap().state;
    state.signatures.keys().map(ToString::to_string).collect()
}

/// Returns the rollout in `team`, with both approvals for `pilot`.
fn approved() -> (Rollout, ManualClock, Memory) {
    let (rollout, clock, store) = start(DOCUMENT);
    rollout.by("ana").promote("a").unwrap();
    sign(&rollout, "ana", OWNER).unwrap();
    sign(&rollout, "ben", CTO).unwrap();
    (rollout, clock, store)
}

#[test]
fn a_promotion_needs_an_approval_by_another_person_for_each_role() {
    let (rollout, clock, store) = start(DOCUMENT);
    let ana = rollout.by("ana");
    // The first stage needs no approval.
    assert_eq!(ana.promote("a").unwrap().state.stage, "team");
    let refused = ana.promote("a").unwrap_err();
    assert_eq!(
        refused.refusals()[0].to_string(),
        "promote of `a` is refused: 2 conditions are not met\n  \
         `approval: release owner` is not signed: promotion to `pilot`\n      \
         have it signed, by release owner\n  \
         `approval: client CTO` is not signed: promotion to `pilot`\n      \
         have it signed, by client CTO"
    );
    assert_eq!(unmet(Err::<(), _>(refused)), ["approval", "approval"]);
    assert_eq!(unmet(sign(&rollout, "ana", "approval: nobody")), ["item"]);

    sign(&rollout, "ana", OWNER).unwrap();
    let refused = sign(&rollout, "ana", CTO).unwrap_err();
    assert_eq!(
        refused.refusals()[0].to_string(),
        "signature of `a` is refused: 1 condition is not met\n  \
         `ana` has signed `approval: release owner`, and each approval needs another person\n      \
         have `approval: client CTO` signed by another person"
    );
    assert_eq!(unmet(ana.promote("a")), ["approval"]);
    sign(&rollout, "ben", CTO).unwrap();
    assert_same_after_reopen(&rollout, &store, &clock);

    let outcome = ana.promote("a").unwrap();
    let Fact::Promoted { grounds, .. } = &outcome.records[0].fact else { panic!("{outcome:?}") };
    let grounds: Vec<&str> = grounds.iter().map(|ground| &**ground).collect();
    assert_eq!(
        grounds,
        ["approval: release owner signed by ana", "approval: client CTO signed by ben"]
    );
    assert!(signed(&rollout).is_empty(), "an approval is for one promotion");
    assert_eq!(ana.promote("a").unwrap().state.stage, "ga");
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn an_approval_can_be_withdrawn_and_given_by_another_person() {
    let (rollout, ..) = approved();
    rollout.by("ben").unsign("a", CTO, Some("not yet")).unwrap();
    assert_eq!(unmet(rollout.by("ana").promote("a")), ["approval"]);
    // Another person may take over a role, and the first one is free for another role.
    sign(&rollout, "eve", OWNER).unwrap();
    sign(&rollout, "ana", CTO).unwrap();
    rollout.by("ana").promote("a").unwrap();
}

#[test]
fn a_rollback_needs_no_approval_and_ends_those_before_it() {
    let document = format!("{DOCUMENT}four_eyes = true\nrollback = {{ target = \"previous\" }}\n");
    let (rollout, clock, store) = start(&document);
    let ana = rollout.by("ana");
    sign(&rollout, "ben", "four eyes").unwrap();
    ana.promote("a").unwrap();
    sign(&rollout, "ana", OWNER).unwrap();
    sign(&rollout, "ben", CTO).unwrap();
    ana.promote("a").unwrap();
    assert_eq!(rollout.report("a").unwrap().state.stage, "pilot");
    assert_eq!(ana.roll_back("a", "").unwrap().state.stage, "team");
    assert!(signed(&rollout).is_empty());
    for _ in 0..2 {
        let event = stagegate::rollout::Event::Step { note: None, overriding: None };
        ana.act("a", &event).unwrap();
    }
    ana.close("a", "it was an index").unwrap();
    assert_eq!(unmet(ana.promote("a")), ["four_eyes", "approval", "approval"]);
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn a_forced_promotion_needs_as_many_people_as_the_plan_says() {
    let (rollout, clock, store) = start(DOCUMENT);
    let ana = rollout.by("ana");
    let refused = ana.force_to("a", "ga", "the old code is broken").unwrap_err();
    assert_eq!(
        refused.refusals()[0].to_string(),
        "forced promotion of `a` is refused: 2 conditions are not met\n  \
         `force approval 1` is not signed: forced promotion\n      have it signed\n  \
         `force approval 2` is not signed: forced promotion\n      have it signed"
    );
    assert_eq!(unmet(Err::<(), _>(refused)), ["approval", "approval"]);
    // The person who forces is one of the people if that person signs.
    sign(&rollout, "ana", "force approval 1").unwrap();
    assert_eq!(unmet(sign(&rollout, "ana", "force approval 2")), ["approval"]);
    assert_eq!(unmet(ana.force("a", "the old code is broken")), ["approval"]);
    sign(&rollout, "ben", "force approval 2").unwrap();
    assert_eq!(unmet(sign(&rollout, "ben", "force approval 3")), ["item"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    // Two people may skip the roles' approvals, which the record names.
    let outcome = ana.force_to("a", "ga", "the old code is broken").unwrap();
    assert_eq!(outcome.state.stage, "ga");
    assert_eq!(unmet(ana.force("a", "again")), ["approval", "approval"]);
}

#[test]
fn the_record_of_a_forced_promotion_names_missing_approvals() {
    let (rollout, ..) = start(&DOCUMENT.replace(", force = 2", ""));
    rollout.by("ana").promote("a").unwrap();
    let outcome = rollout.by("ana").force("a", "nobody is there").unwrap();
    let Fact::Promoted { grounds, .. } = &outcome.records[0].fact else { panic!("{outcome:?}") };
    assert_eq!(&*grounds[1], "`approval: client CTO` is not signed: promotion to `pilot`");
}

#[test]
fn with_four_eyes_the_promoter_is_not_the_only_signer() {
    let (rollout, clock, store) = start(FOUR_EYES);
    let (ana, ben) = (rollout.by("ana"), rollout.by("ben"));
    let refused = ana.promote("a").unwrap_err();
    assert_eq!(
        refused.refusals()[0].to_string(),
        "promote of `a` is refused: 1 condition is not met\n  \
         no person but `ana` has signed an item in stage `off`\n      \
         have another person sign an item or `four eyes`"
    );
    assert_eq!(unmet(Err::<(), _>(refused)), ["four_eyes"]);
    sign(&rollout, "ana", "four eyes").unwrap();
    assert_eq!(unmet(ana.promote("a")), ["four_eyes"]);
    assert_eq!(unmet(ana.force("a", "nobody is there")), ["four_eyes"]);
    assert_same_after_reopen(&rollout, &store, &clock);
    assert_eq!(ben.promote("a").unwrap().state.stage, "pilot");

    let of_report = rollout.report("a").unwrap().unmet;
    assert_eq!(of_report[0].found, "no person has signed an item in stage `pilot`");
    // A signature under an item of the plan is enough.
    sign(&rollout, "ben", "looked").unwrap();
    assert!(rollout.report("a").unwrap().unmet.is_empty());
    assert_eq!(unmet(ben.promote("a")), ["four_eyes"]);
    ana.promote("a").unwrap();
    sign(&rollout, "ana", "four eyes").unwrap();
    assert_eq!(unmet(ana.promote("a")), ["four_eyes"], "completing needs four eyes, too");
    ben.promote("a").unwrap();
    assert_eq!(unmet(ben.promote("a")), ["complete"]);
}

/// The controller is another actor than the person who signed.
#[test]
fn an_automatic_promotion_waits_for_approvals_and_for_one_person() {
    let more = "four_eyes = true\napprovals = { ga = [\"CTO\"] }\n\
                timeline = { start = 2026-01-01, advance = \"auto\" }";
    let document = FOUR_EYES.replace("four_eyes = true", more);
    let document = document.replace("percent = 10\n", "percent = 10\nadvance = \"auto\"\n");
    let (rollout, clock, _) = start(&document);
    let stage_after_tick = || {
        clock.advance(Duration::from_secs(60));
        assert!(rollout.tick().error.is_none());
        rollout.report("a").unwrap().state.stage
    };
    assert_eq!(stage_after_tick(), "off");
    sign(&rollout, "ana", "four eyes").unwrap();
    assert_eq!(stage_after_tick(), "pilot");
    sign(&rollout, "ana", "looked").unwrap();
    assert_eq!(stage_after_tick(), "pilot");
    sign(&rollout, "ana", "approval: CTO").unwrap();
    assert_eq!(stage_after_tick(), "ga");
}

#[test]
fn an_update_of_the_permissions_is_recorded() {
    let (rollout, clock, store) = approved();
    let ana = rollout.by("ana");
    let less = DOCUMENT
        .replace(", \"client CTO\"], force = 2", "], ga = [\"CEO\"], force = 1")
        .replace("plan = \"shop\"", "plan = \"shop\"\nfour_eyes = true");
    let changes = ana.update(less.as_str()).unwrap();
    assert_eq!(
        changes[0].to_string(),
        "a: ga needs approval by CEO, pilot needs no approval by client CTO, force needs 1 approval, \
         four_eyes is on; starts over: item approval: client CTO"
    );
    assert_eq!(signed(&rollout), [OWNER]);
    let record = rollout.records(rollout.status().head.0).unwrap().remove(0);
    assert!(record.to_string().contains("pilot needs no approval by client CTO"), "{record}");
    assert_same_after_reopen(&rollout, &store, &clock);

    // A flag's own section replaces the plan's.
    let none = less.replace("four_eyes = true", "approvals = {}\nfour_eyes = false");
    let changes = ana.update(none).unwrap();
    let permissions: Vec<&str> = changes[0].permissions.iter().map(|text| &**text).collect();
    assert_eq!(
        permissions,
        [
            "ga needs no approval by CEO",
            "pilot needs no approval by release owner",
            "force needs no approval",
            "four_eyes is off"
        ]
    );
    ana.promote("a").unwrap();
}

/// People approve a promotion to certain users. Editing the document is no way around.
#[test]
fn an_update_of_a_later_audience_resets_approvals() {
    let edits = [
        ("percent = 10", "percent = 50"),
        ("[\"eu\"]\n[[", "[\"eu\", \"team\"]\n[["),
        ("region = [\"eu\"]", "region = [\"eu\", \"us\"]"),
        ("percent = 100", "percent = 90"),
    ];
    for (from, to) in edits {
        let (rollout, clock, store) = approved();
        let update = DOCUMENT.replacen(from, to, 1);
        assert_ne!(update, DOCUMENT);
        let changes = rollout.by("ana").update(update).unwrap();
        let reset: Vec<&str> = changes[0].reset.iter().map(|text| &**text).collect();
        assert_eq!(reset, ["item approval: client CTO", "item approval: release owner"], "{to}");
        assert_eq!(unmet(rollout.by("ana").promote("a")), ["approval", "approval"]);
        assert_same_after_reopen(&rollout, &store, &clock);
    }
    for (from, to) in [
        ("users = [\"ana\"]", "users = [\"ana\", \"ben\"]"),
        ("name = \"ga\"", "name = \"ga\"\ngoal = \"all\""),
    ] {
        let (rollout, ..) = approved();
        rollout.by("ana").update(DOCUMENT.replacen(from, to, 1)).unwrap();
        rollout.by("ana").promote("a").unwrap();
    }
}
