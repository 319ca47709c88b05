//! The last stage: everybody has the flag, so the guard compares with control of the stage before.

use std::sync::Arc;
use std::time::Duration;

use stagegate::guard::{Guard, GuardedFlag, Judgement, Missing, Outcome, Verdict};
use stagegate::{Gate, Plan};

use crate::world::{Random, Users};

fn guarded(metric: &str, worse_by: &str) -> (Gate, Guard, GuardedFlag) {
    let document = format!(
        r#"
        schema = 1
        [groups.team]
        users = ["ana"]
        [flags.search]
        stage = "half"
        stages = [
            {{ name = "internal", groups = ["team"] }},
            {{ name = "half", percent = 50 }},
            {{ name = "ga", percent = 100 }},
            {{ name = "ga-looked-at", percent = 100, min_duration = "1d" }},
        ]
        triggers = [
            {{ metric = "{metric}", worse_than_control_by = "{worse_by}", no_data = "hold", action = "rollback" }},
        ]
        "#
    );
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    let search = guard.flag("search");
    guard.look(Duration::ZERO);
    (gate, guard, search)
}

/// Takes a look after each 1,000 requests, one second apart.
struct Clock(u32);

impl Clock {
    fn look(&mut self, guard: &Guard) -> Judgement {
        self.0 += 1;
        guard.look(Duration::from_secs(1) * self.0).pop().unwrap()
    }

    /// Serves one request per user. Returns the first judgement with a breach, or the last judgement.
    fn serve(
        &mut self,
        guard: &Guard,
        users: std::ops::Range<u64>,
        request: impl Fn(u64),
    ) -> Judgement {
        for user in users.clone() {
            request(user);
            if user % 1_000 == 999 {
                let judgement = self.look(guard);
                if !judgement.breached.is_empty() {
                    return judgement;
                }
            }
        }
        self.look(guard)
    }
}

/// One user in a hundred has an error and is ignored from then on. In the new stage these users count again.
#[test]
fn users_with_errors_in_the_stage_before_are_no_evidence_in_the_last_stage() {
    let (gate, guard, search) = guarded("error_rate", "50%");
    let mut clock = Clock(0);
    let serve = |user: u64, one_of: u64| {
        let outcome = if user.is_multiple_of(one_of) { Outcome::error() } else { Outcome::ok() };
        search.record(user, outcome);
    };
    for _ in 0..30 {
        let judgement = clock.serve(&guard, 0..10_000, |user| serve(user, 100));
        assert!(judgement.breached.is_empty(), "{:?}", judgement.findings);
    }
    gate.set_stage("search", "ga").unwrap();
    clock.look(&guard);
    for _ in 0..3 {
        let judgement = clock.serve(&guard, 0..10_000, |user| serve(user, 100));
        assert_eq!(judgement.findings[0].verdict, Verdict::Pass);
    }
    // Three times as many errors are a breach.
    assert_eq!(clock.serve(&guard, 10_000..40_000, |user| serve(user, 33)).breached, [0]);
}

/// A pause at 100% follows another stage without control. It compares with the same control as that stage.
#[test]
fn a_pause_at_100_percent_compares_with_the_last_control() {
    let (gate, guard, search) = guarded("error_rate", "50%");
    let mut clock = Clock(0);
    let serve = |user: u64, one_of: u64| {
        let outcome = if user.is_multiple_of(one_of) { Outcome::error() } else { Outcome::ok() };
        search.record(user, outcome);
    };
    clock.serve(&guard, 0..30_000, |user| serve(user, 100));
    for stage in ["ga", "ga-looked-at"] {
        gate.set_stage("search", stage).unwrap();
        clock.look(&guard);
        let judgement = clock.serve(&guard, 0..10_000, |user| serve(user, 100));
        assert_eq!(judgement.findings[0].verdict, Verdict::Pass, "{stage}");
    }
    assert_eq!(clock.serve(&guard, 10_000..40_000, |user| serve(user, 33)).breached, [0]);
}

/// The service became faster while half of its users had the flag. The learned latency limit does not change.
#[test]
fn the_last_stage_keeps_the_learned_latency_limit() {
    let (gate, guard, search) = guarded("latency_p95", "50%");
    let mut clock = Clock(0);
    let serve = |user: u64, milliseconds: u64| {
        // One user in twenty waits five times as long.
        let times = if user % 20 == 7 { 5 } else { 1 };
        let took = Duration::from_millis((milliseconds + user % 50) * times);
        search.record(user, Outcome::ok().took(took));
    };
    clock.serve(&guard, 0..3_000, |user| serve(user, 1_000));
    for _ in 0..5 {
        let judgement = clock.serve(&guard, 10_000..40_000, |user| serve(user, 100));
        assert!(judgement.breached.is_empty(), "{:?}", judgement.findings);
    }
    gate.set_stage("search", "ga").unwrap();
    clock.look(&guard);
    let judgement = clock.serve(&guard, 10_000..40_000, |user| serve(user, 100));
    assert_eq!(judgement.findings[0].verdict, Verdict::Pass);
    assert_eq!(clock.serve(&guard, 40_000..60_000, |user| serve(user, 8_000)).breached, [0]);
}

/// Users differ much in activity, and some have an error in every other request. The flag does no harm and keeps its
/// stage, although the limit is 1%. With control's counts of the whole stage before, 32 of 200 runs would end in a
/// rollback.
#[test]
fn false_alarms_are_rare_in_the_last_stage() {
    let runs = 200;
    let taken_back = (0..runs).filter(|seed| {
        let (gate, guard, search) = guarded("error_rate", "1%");
        let mut random = Random::new(*seed);
        let users = Users::new(1.2, &mut random);
        let mut clock = Clock(0);
        let mut stage = |looks: usize| {
            (0..looks).any(|_| {
                for _ in 0..1_000 {
                    let user = users.of_a_request(&mut random) as u64;
                    let fails = random.share() < if user.is_multiple_of(50) { 0.5 } else { 0.002 };
                    search.record(user, if fails { Outcome::error() } else { Outcome::ok() });
                }
                !clock.look(&guard).breached.is_empty()
            })
        };
        let early = stage(100);
        gate.set_stage("search", "ga").unwrap();
        guard.look(Duration::from_secs(100));
        early || stage(60)
    });
    let taken_back = taken_back.count();
    // With a true share of 1%, one test in a thousand would find more.
    assert!(taken_back <= 7, "{taken_back} of {runs}");
    println!("rolled back in the last stage: {taken_back} of {runs}");
}

#[test]
fn a_stage_with_only_listed_users_has_no_control() {
    let (gate, guard, search) = guarded("error_rate", "50%");
    gate.set_stage("search", "internal").unwrap();
    guard.look(Duration::from_secs(1));
    search.record("ana", Outcome::error());
    for user in 0..1_000 {
        search.record(user, Outcome::ok());
    }
    let judgement = guard.look(Duration::from_secs(2)).pop().unwrap();
    assert_eq!(judgement.findings[0].verdict, Verdict::Insufficient(Missing::Control));
}

/// Errors of 600,000 users fill the guard's set of users with errors. Then all users count again, and the guard still
/// finds a fault.
#[test]
fn users_count_again_after_too_many_had_errors() {
    let (gate, guard, search) = guarded("error_rate", "50%");
    let mut clock = Clock(0);
    let judgement = clock.serve(&guard, 0..600_000, |user| search.record(user, Outcome::error()));
    assert!(judgement.breached.is_empty(), "{:?}", judgement.findings);
    let serve = |user: u64| {
        let fails = user.is_multiple_of(100) || (gate.is_enabled(user, "search") && user % 10 == 3);
        search.record(user, if fails { Outcome::error() } else { Outcome::ok() });
    };
    assert_eq!(clock.serve(&guard, 600_000..630_000, serve).breached, [0]);
}
