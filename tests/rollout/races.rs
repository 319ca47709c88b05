//! Many threads, and several rollouts on one journal.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use stagegate::clock::ManualClock;
use stagegate::rollout::{Fact, Rollout};
use stagegate::store::Memory;

use super::{assert_same_after_reopen, monday};

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1 }, { name = "two", percent = 2 }, { name = "all", percent = 100 }]
"#;

/// Closes the incident, so that the flag can be promoted again.
fn close_incident(rollout: &Rollout) {
    let ana = rollout.by("ana");
    while rollout.report("a").unwrap().state.incident.is_some() {
        let _ = ana.step("a", None);
        let _ = ana.close("a", "next round");
    }
}

#[test]
fn a_rollback_wins_every_race_and_the_journal_has_one_order() {
    const ROUNDS: usize = 2_000;
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        for promoter in 0..2 {
            let (rollout, barrier) = (&rollout, &barrier);
            scope.spawn(move || {
                let who = format!("promoter-{promoter}");
                for _ in 0..ROUNDS {
                    barrier.wait();
                    let _ = rollout.by(&who).promote("a");
                    let _ = rollout.by(&who).force("a", "race");
                    barrier.wait();
                }
            });
        }
        for round in 0..ROUNDS {
            rollout.by("ana").promote("a").unwrap();
            barrier.wait();
            if round % 3 == 0 {
                rollout.gate().roll_back("a").unwrap();
            } else {
                rollout.by("ben").roll_back("a", "race").unwrap();
            }
            assert!(!rollout.gate().is_enabled("anybody", "a"));
            barrier.wait();
            rollout.tick();
            assert!(!rollout.gate().is_enabled("anybody", "a"), "round {round}");
            assert_eq!(rollout.report("a").unwrap().state.stage, "off");
            close_incident(&rollout);
        }
    });
    // Each record starts at the stage where the one before ended.
    let mut stage = None;
    for record in rollout.records(2).unwrap() {
        assert!(stage.is_none() || stage == record.from, "{record}");
        stage = record.to;
    }
    assert_same_after_reopen(&rollout, &store, &clock);
}

#[test]
fn two_rollouts_on_one_journal_never_promote_to_one_stage_twice() {
    const ROUNDS: usize = 300;
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let first = Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana").unwrap();
    let second = Rollout::open(store.clone(), clock.clone()).unwrap();
    let barrier = Barrier::new(2);
    let promote = |rollout: &Rollout, who: &str| {
        barrier.wait();
        rollout.by(who).promote("a").is_ok()
    };
    for _ in 0..ROUNDS {
        let (a, b) = thread::scope(|scope| {
            let other = scope.spawn(|| promote(&second, "b"));
            (promote(&first, "a"), other.join().unwrap())
        });
        assert!(a || b);
        // Both may have promoted, one after the other, but never to the same stage.
        let up = usize::from(a) + usize::from(b);
        let records = first.records(1).unwrap();
        let last =
            records.iter().rev().take(up).filter(|it| matches!(it.fact, Fact::Promoted { .. }));
        assert_eq!(last.count(), up);
        first.by("a").hold("a", "look").ok();
        let _ = second.by("b").resume("a", None);
        first.by("a").hold("a", "look again").ok();
        first.by("a").roll_back("a", "next round").unwrap();
        close_incident(&first);
    }
    let mut stage = None;
    for record in first.records(2).unwrap() {
        assert!(stage.is_none() || stage == record.from, "{record}");
        stage = record.to;
    }
    assert_same_after_reopen(&first, &store, &clock);
}

#[test]
fn readers_never_see_a_promotion_that_is_not_in_the_journal() {
    let (store, clock) = (Memory::new(), ManualClock::at(monday()));
    let rollout = Rollout::start(store.clone(), clock, DOCUMENT, "ana").unwrap();
    let gate = rollout.gate().clone();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut store = store.clone();
            while !done.load(Ordering::SeqCst) {
                let seen = gate.evaluate("user-1", "a").stage.unwrap();
                let journal = stagegate::rollout::Store::read(&mut store, 1).unwrap();
                let journal = String::from_utf8(journal).unwrap();
                // The journal is read after the gate, so it can only be newer.
                let to = format!("\"to\":\"{seen}\"");
                assert!(seen == "off" || journal.contains(&to), "{seen} is not in the journal");
            }
        });
        for _ in 0..200 {
            for _ in 0..3 {
                rollout.by("ana").promote("a").unwrap();
            }
            rollout.by("ana").roll_back("a", "again").unwrap();
            close_incident(&rollout);
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn of_two_processes_that_start_a_rollout_at_once_one_learns_that_there_is_one() {
    for _ in 0..500 {
        let (store, clock) = (Memory::new(), ManualClock::at(monday()));
        let barrier = Barrier::new(2);
        let start = || {
            barrier.wait();
            Rollout::start(store.clone(), clock.clone(), DOCUMENT, "ana")
        };
        let (one, other) = thread::scope(|scope| {
            let (one, other) = (scope.spawn(start), scope.spawn(start));
            (one.join().unwrap(), other.join().unwrap())
        });
        let error = match (one, other) {
            (Ok(_), Err(error)) | (Err(error), Ok(_)) => error.to_string(),
            both => panic!("{both:?}"),
        };
        assert_eq!(
            error,
            "(memory): there is a rollout already; give it another document with `update`"
        );
    }
}
