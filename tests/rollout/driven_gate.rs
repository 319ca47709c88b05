//! The gate of a rollout.

use stagegate::rollout::Progress;

use super::{assert_same_after_reopen, in_pilot, start_rollout};

#[test]
fn only_the_rollout_moves_a_driven_gate_up() {
    let (rollout, _, _) = start_rollout();
    let gate = rollout.gate();
    let error = gate.set_stage("search", "internal").unwrap_err();
    assert!(error.is_driven());
    assert_eq!(
        error.to_string(),
        "a rollout drives flag `search`, so only a promotion moves it up to `internal`: promote it in the rollout"
    );
    assert!(gate.force_stage("search", "ga", "because").unwrap_err().is_driven());
    let error = gate.update("schema = 1\n[flags.search]\nstage = \"ga\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        "a rollout drives this gate, so it takes no documents: change the plan with `Rollout::update`"
    );
    assert!(!gate.is_enabled("ana", "search"));
}

#[test]
fn a_rollback_by_the_application_is_recorded_and_opens_an_incident() {
    let (rollout, clock, store) = in_pilot();
    rollout.gate().roll_back("search").unwrap();
    assert!(!rollout.gate().is_enabled("ana", "search"));
    while !rollout.status().unrecorded.is_empty() {
        std::thread::yield_now();
    }
    rollout.tick();
    let records = rollout.records(7).unwrap();
    let told: Vec<_> = records.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "#7 2026-01-06T09:00:00Z application: search: rolled back (taken down by the application), pilot -> off",
            "#8 2026-01-06T09:00:00Z stagegate: search: incident: verify done"
        ]
    );
    assert_eq!(rollout.report("search").unwrap().progress, Progress::RolledBack);
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn a_promotion_does_not_undo_a_rollback_by_the_application() {
    let (rollout, _, _) = in_pilot();
    rollout.gate().roll_back("search").unwrap();
    let refused = rollout.by("ana").force("search", "did not see it").unwrap_err();
    assert!(refused.refusals()[0].has("incident"), "{refused}");
    assert!(!rollout.gate().is_enabled("ana", "search"));
}
