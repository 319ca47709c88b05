//! A fleet on a real etcd that dies, stands still, forgets, loses what it tells, and asks for a password.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod between;
mod faults;
mod fleet;
mod guarded;
mod handover;
#[path = "../support/needs.rs"]
mod needs;
mod real;
mod store;

use std::time::{Duration, Instant};

use stagegate::rollout::Rollout;

/// How long anything that has to happen may take.
const LONG: Duration = Duration::from_secs(60);

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1 }, { name = "two", percent = 2 }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "all", percent = 100 }]
"#;

/// Asks until it is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
    begin.elapsed()
}

fn serving(rollout: &Rollout, flag: &str) -> String {
    rollout.gate().evaluate("anybody", flag).stage.unwrap().to_string()
}

/// Has the incident closed, so that the flag may go up again.
fn settle(rollout: &Rollout, who: &str) {
    let who = rollout.by(who);
    for _ in 0..8 {
        let _ = who.step("a", None);
        let _ = who.close("a", "next round");
        if rollout.report("a").unwrap().state.incident.is_none() {
            return;
        }
    }
}

#[test]
fn what_a_machine_lacks_fails_its_tests_where_everything_is_required() {
    needs::are_required(&["faults::", "fleet::", "guarded::", "handover::", "store::"], 15);
}
