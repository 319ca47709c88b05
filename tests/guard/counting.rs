//! What the guard counts while an application serves requests.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use stagegate::guard::{Guard, Judgement, Missing, Outcome, Verdict};
use stagegate::model::Quantity;
use stagegate::{Gate, Plan};

const DOCUMENT: &str = r#"
schema = 1
[groups.team]
users = ["ana", "ben"]
[groups.ops]
users = ["ops", "user-0", "user-1", "user-2", "user-3", "user-4", "user-5", "user-6", "user-7"]
[metrics.orders]
unit = "count"
better = "more"
source = "application"
[flags.search]
stage = "pilot"
hold_back = { ops = "ga" }
stages = [{ name = "internal", groups = ["team"] }, { name = "pilot", percent = 50 }, { name = "ga", percent = 100 }]
triggers = [
    { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    { metric = "error_rate", above = "20%", no_data = "hold", action = "decide" },
    { metric = "latency_p90", above = "1s", no_data = "hold", action = "rollback" },
    { metric = "orders", below = 10, no_data = "hold", action = "rollback" },
]
[flags.plain]
stages = [{ name = "all", percent = 100 }]
"#;

const SECOND: Duration = Duration::from_secs(1);

/// Returns a gate and its guard, which counts from now on.
fn guarded() -> (Gate, Guard) {
    let plan = Arc::new(Plan::parse(DOCUMENT).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    assert_eq!(guard.look(Duration::ZERO).len(), 1, "flags without triggers are not judged");
    (gate, guard)
}

fn look(guard: &Guard, seconds: u32) -> Judgement {
    guard.look(SECOND * seconds).pop().unwrap()
}

fn text(judgement: &Judgement, trigger: usize) -> String {
    judgement.findings[trigger].verdict.to_string()
}

/// The guard ignores a user after the first error. Listed and held-back users are in no comparison.
#[test]
fn a_user_counts_until_the_first_error() {
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    let (with, without): (Vec<u64>, Vec<u64>) =
        (0..200).partition(|user| gate.is_enabled(*user, "search"));
    for _ in 0..50 {
        // The retries of one user count as one error, and their later requests do not count.
        search.record(with[0], Outcome::error());
        search.record(without[0], Outcome::error());
        search.record("ana", Outcome::error());
        search.record("ops", Outcome::error());
    }
    for user in with.iter().chain(&without) {
        search.record(*user, Outcome::ok());
    }
    let judgement = look(&guard, 1);
    assert!(judgement.findings.iter().all(|finding| !finding.verdict.is_breach()), "{judgement:?}");
    // Then every user sends a request. The two users with an error no longer count.
    for user in with.iter().chain(&without) {
        search.record(
            *user,
            if gate.is_enabled(*user, "search") { Outcome::error() } else { Outcome::ok() },
        );
    }
    let judgement = look(&guard, 2);
    let errors = with.len() - 1;
    let (requests, others) = (errors, without.len() - 1);
    assert!(text(&judgement, 0).starts_with(&format!(
        "100.000% ({errors} of {requests}) with the flag, 0.000% (0 of {others}) without, for 1s; "
    )), "{}", text(&judgement, 0));
    assert_eq!(judgement.breached, [0, 1]);
    assert_eq!((judgement.stage.as_str(), judgement.uneven), ("pilot", false));
    // The guard reports the breach once.
    assert_eq!(look(&guard, 3).breached, [0_usize; 0]);
}

#[test]
fn a_new_stage_resets_the_counts_and_off_is_not_judged() {
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    (0..1_000).for_each(|user| search.record(user, Outcome::error()));
    gate.set_stage("search", "ga").unwrap();
    // The guard has not looked since the stage began, so these requests do not count.
    (0..1_000).for_each(|user| search.record(user, Outcome::error()));
    let judgement = look(&guard, 1);
    assert_eq!(
        (judgement.stage.as_str(), &judgement.findings[1].verdict),
        ("ga", &Verdict::NoData)
    );
    (0..1_000).for_each(|user| search.record(user, Outcome::ok()));
    assert_eq!(look(&guard, 2).findings[1].verdict, Verdict::Pass);
    // The trigger compares with control of the stage before.
    assert_ne!(text(&look(&guard, 3), 0), "there is no control group to compare with");
    gate.roll_back("search").unwrap();
    (0..1_000).for_each(|user| search.record(user, Outcome::error()));
    assert!(guard.look(SECOND * 4).is_empty());
}

#[test]
fn a_dropped_request_is_a_success_or_after_a_panic_an_error() {
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    let with: Vec<u64> = (0..100).filter(|user| gate.is_enabled(*user, "search")).collect();
    let panics = |user: u64| {
        let caught = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let _request = search.enter(user);
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
    };
    let (bad, good) = with.split_at(with.len() / 2);
    bad.iter().for_each(|user| panics(*user));
    good.iter().for_each(|user| drop(search.enter(*user)));
    (1_000..2_000).for_each(|user| search.enter(user).discard());
    let found = text(&look(&guard, 1), 1);
    let expected = format!("({} of {}) with the flag", bad.len(), with.len());
    assert!(found.contains(&expected), "{found}: not {expected}");
}

#[test]
fn slow_requests_and_readings_breach_their_own_triggers() {
    let (_, guard) = guarded();
    let search = guard.flag("search");
    for user in 0..2_000 {
        let took = Duration::from_millis(if user % 4 == 0 { 1_500 } else { 200 });
        search.record(user, Outcome::ok().took(took));
    }
    guard.record_reading("search", "orders", Quantity::Count(9), None);
    guard.record_reading("plain", "orders", Quantity::Count(9), None);
    let judgement = look(&guard, 1);
    assert_eq!(judgement.breached, [2, 3]);
    let slow = text(&judgement, 2);
    assert!(slow.contains(" with the flag, for 1s; "), "{slow}");
    assert_eq!(text(&judgement, 3), "9");
    // Requests without a measured time do not count for the latency.
    let judgement = look(&guard, 2);
    assert_eq!(judgement.findings[0].verdict, Verdict::Pass);
}

/// If a trigger compares latencies, the guard learns from control's first requests which time counts as slow, and keeps
/// it.
#[test]
fn the_latency_limit_is_learned_from_control() {
    let document = DOCUMENT
        .replace("latency_p90\", above = \"1s\"", "latency_p90\", worse_than_control_by = \"50%\"");
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    guard.look(Duration::ZERO);
    let search = guard.flag("search");
    let serve = |users: std::ops::Range<u64>, factor: u64| {
        for user in users {
            let base = 100 + user % 100;
            let times = if gate.is_enabled(user, "search") { factor } else { 1 };
            search.record(user, Outcome::ok().took(Duration::from_millis(base * times)));
        }
    };
    serve(0..5_000, 1);
    assert_eq!(
        look(&guard, 1).findings[2].verdict,
        Verdict::NoData,
        "the guard has not learned the limit yet"
    );
    serve(5_000..10_000, 1);
    assert_eq!(look(&guard, 2).findings[2].verdict, Verdict::Pass);
    serve(10_000..12_000, 2);
    assert_eq!(look(&guard, 3).breached, [2]);
}

/// Many threads record requests: no request is lost or counted twice.
#[test]
fn counts_of_many_threads_are_exact() {
    const THREADS: u64 = 4;
    const USERS: u64 = 1_000;
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    // Leave out users who share their 16 bits with another user: the guard does not tell them apart.
    let mut bits = HashSet::new();
    let users: Vec<u64> = (0..)
        .filter(|user| {
            let bucket = gate.evaluate(*user, "search").bucket.unwrap();
            bits.insert(bucket % (1 << 16))
        })
        .take((THREADS * USERS) as usize)
        .collect();
    let errors = |user: &u64| !user.is_multiple_of(10);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // Each thread serves all users, so the threads share the users with errors.
                for user in &users {
                    search
                        .record(*user, if errors(user) { Outcome::error() } else { Outcome::ok() });
                }
            });
        }
    });
    let with: Vec<&u64> = users.iter().filter(|user| gate.is_enabled(**user, "search")).collect();
    let (bad, good) = (
        with.iter().filter(|user| errors(user)).count() as u64,
        with.iter().filter(|user| !errors(user)).count() as u64,
    );
    let found = text(&look(&guard, 1), 1);
    let expected = format!("({bad} of {}) with the flag", bad + good * THREADS);
    assert!(found.contains(&expected), "{found}: not {expected}");
}

#[test]
fn a_request_that_outlives_its_stage_is_not_counted() {
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    let requests: Vec<_> = (0..1_000_u64).map(|user| search.enter(user)).collect();
    gate.set_stage("search", "ga").unwrap();
    look(&guard, 1);
    requests.into_iter().for_each(|request| request.finish(Outcome::error()));
    assert_eq!(look(&guard, 2).findings[1].verdict, Verdict::NoData);
}

/// Threads count while the flag moves between nearly no user and all users. Only requests without the flag fail. So
/// each error in the last stage was counted in the wrong stage, which may happen once per thread.
#[test]
fn each_thread_counts_at_most_one_request_of_an_ended_stage() {
    const THREADS: usize = 2;
    let document = r#"
        schema = 1
        [flags.search]
        stage = "ga"
        stages = [
            { name = "canary", percent = 0.0001, metrics = { error_rate = { target = "< 1%" } } },
            { name = "ga", percent = 100, metrics = { error_rate = { target = "< 1%" } } },
        ]
    "#;
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    let (search, stop) = (guard.flag("search"), AtomicBool::new(false));
    guard.look(Duration::ZERO);
    let count = |first: u64| {
        for user in (first..).step_by(THREADS).take_while(|_| !stop.load(Ordering::Relaxed)) {
            let request = search.enter(user % 60_000);
            let outcome = if request.is_enabled() { Outcome::ok() } else { Outcome::error() };
            request.finish(outcome);
        }
    };
    let measured = thread::scope(|scope| {
        (0..THREADS as u64).for_each(|first| drop(scope.spawn(move || count(first))));
        let mut seconds = 0;
        let mut look = || {
            seconds += 10;
            guard.look(SECOND * seconds)
        };
        let mut stage = || {
            gate.set_stage("search", "canary").ok()?;
            look();
            gate.set_stage("search", "ga").ok()?;
            // This look begins the stage. The next looks measure it.
            look();
            (0..1_000_000).find_map(|_| look().pop()?.measured.pop())
        };
        let all: Vec<_> = (0..300).map(|_| stage()).collect();
        // Stop the threads before an assertion can fail.
        stop.store(true, Ordering::Relaxed);
        all
    });
    for measured in measured {
        let measured = measured.unwrap();
        let Quantity::Percent(rate) = measured.value else { panic!("{measured:?}") };
        let errors = u64::from(rate.ppm()) * measured.samples / 1_000_000;
        assert!(errors <= THREADS as u64, "{errors} of {}", measured.samples);
    }
}

#[test]
fn a_guarded_request_gets_the_answer_of_the_gate() {
    let (gate, guard) = guarded();
    let search = guard.flag("search");
    for stage in ["off", "internal", "pilot", "ga"] {
        gate.force_stage("search", stage, "to see").unwrap();
        let keys = (0..500).map(|user| format!("user-{user}"));
        for user in keys.chain(["ana", "ben", "ops"].map(str::to_owned)) {
            let request = search.enter(&*user);
            assert_eq!(
                request.is_enabled(),
                gate.is_enabled(&*user, "search"),
                "{user} at {stage}"
            );
            request.discard();
        }
    }
}

/// Listed users are in no comparison, even if their bucket would give them the flag.
#[test]
fn listed_users_are_in_no_comparison() {
    let team: Vec<String> = (0..100).map(|user| format!("\"member-{user}\"")).collect();
    let document =
        DOCUMENT.replace("users = [\"ana\", \"ben\"]", &format!("users = [{}]", team.join(", ")));
    let plan = Arc::new(Plan::parse(document).unwrap());
    let gate = Gate::from_plan(&plan);
    let guard = Guard::new(&gate, plan);
    guard.look(Duration::ZERO);
    (0..100)
        .for_each(|user| guard.flag("search").record(&*format!("member-{user}"), Outcome::error()));
    let judgement = look(&guard, 1);
    assert_eq!(judgement.findings[0].verdict, Verdict::Insufficient(Missing::Control));
    assert!(text(&judgement, 1).starts_with("100.000% (100 of 100) with the flag"));
}

#[test]
fn memory_is_bounded() {
    let (_, guard) = guarded();
    assert!(guard.bytes() < 80 << 10, "{}", guard.bytes());
    let search = guard.flag("search");
    search.record(0, Outcome::ok());
    let count = allocation_counter::measure(|| {
        (0..100_000).for_each(|user| search.record(user, Outcome::error().took(SECOND * 2)));
    });
    assert_eq!(count.count_total, 0);
}
