//! The kinds of incidents that can be reported.

use stagegate::StageName;
use stagegate::clock::ManualClock;
use stagegate::rollout::{Journal, Progress, Rollout, Store};
use stagegate::store::Memory;

use super::{in_pilot, monday, start_rollout, unmet};

#[test]
fn an_incident_of_a_misspelt_kind_is_refused_and_does_not_leave_the_flag_on() {
    let (rollout, _, _) = in_pilot();
    let scanner = rollout.by("scanner");
    for wrong in ["securty", "Security", "security ", "slow", ""] {
        let head = rollout.status().head;
        let error = scanner.report("search", wrong, Some("a token in a log")).unwrap_err();
        let hint = error.refusals()[0].unmet[0].hint.clone();
        assert!(hint.ends_with("write one of: security, data_integrity, critical_bug"), "{hint}");
        assert_eq!(hint.starts_with("did you mean `security`? "), wrong.contains("ecur"), "{hint}");
        assert_eq!(unmet(Err::<(), _>(error)), ["report"]);
        assert_eq!(rollout.status().head, head, "nothing is recorded");
    }
    scanner.report("search", "security", Some("a token in a log")).unwrap();
    assert_eq!(rollout.report("search").unwrap().progress, Progress::RolledBack);
}

#[test]
fn every_standard_kind_can_be_reported_without_a_trigger() {
    for kind in ["security", "data_integrity", "critical_bug"] {
        let (rollout, _, _) = start_rollout();
        let outcome = rollout.by("ana").report("other", kind, None).unwrap();
        assert_eq!(*outcome.state.incident.unwrap().about, format!("incident {kind}"));
    }
}

#[test]
fn only_the_kinds_of_the_flags_own_plan_can_be_reported() {
    let document = r#"
        schema = 1
        [flags.a]
        stage = "all"
        stages = [{ name = "all", percent = 100 }]
        triggers = [{ incident = "outage", action = "rollback" }]
        [flags.b]
        stages = [{ name = "all", percent = 100 }]
    "#;
    let clock = ManualClock::at(monday());
    let rollout = Rollout::start(Memory::new(), clock, document, "ana").unwrap();
    let error = rollout.by("ana").report("b", "outage", None).unwrap_err();
    assert_eq!(unmet(Err::<(), _>(error)), ["report"]);
    let error = rollout.by("ana").report("a", "outtage", None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "report of `a` is refused: 1 condition is not met\n  \
         `outtage` is not a known kind of incident\n      \
         did you mean `outage`? write one of: security, data_integrity, critical_bug, outage",
    );
    rollout.by("ana").report("a", "outage", None).unwrap();
    assert_eq!(rollout.report("a").unwrap().progress, Progress::RolledBack);
}

#[test]
fn an_old_journal_with_an_unknown_kind_of_incident_still_opens() {
    let (rollout, clock, mut store) = start_rollout();
    drop(rollout);
    let mut journal = Journal::new();
    let first = store.read(1).unwrap();
    let first = journal.read(first.strip_suffix(b"\n").unwrap()).unwrap();
    let mut record = first.clone();
    record.fact = serde_json::from_str(r#"{"reported":{"kind":"complaint"}}"#).unwrap();
    record.flag = Some("other".into());
    (record.from, record.to) = (Some(StageName::OFF), Some(StageName::OFF));
    let (record, line) = journal.encode(record);
    store.append(record.seq, &line).unwrap();
    let rollout = Rollout::open(store, clock).unwrap();
    let incident = rollout.report("other").unwrap().state.incident.unwrap();
    assert_eq!(&*incident.about, "incident complaint");
    rollout.by("ana").close("other", "it was answered").unwrap();
}
