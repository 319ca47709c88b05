//! A fleet on a real etcd. The server dies, is paused, is wiped, loses answers and asks for a password.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod fleet;
mod guarded;
mod handover;
#[path = "../support/needs.rs"]
mod needs;
mod proxy;
mod real;
mod store;

use std::time::{Duration, Instant};

use stagegate::rollout::Rollout;

/// The timeout for events that must happen.
const LONG: Duration = Duration::from_secs(60);

const DOCUMENT: &str = r#"
schema = 1
[flags.a]
stages = [{ name = "one", percent = 1 }, { name = "two", percent = 2 }, { name = "all", percent = 100 }]
[flags.b]
stages = [{ name = "all", percent = 100 }]
"#;

/// Waits until the condition holds and returns how long that took. Panics after `LONG`.
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

/// Closes the incident, so that the flag can be promoted again.
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
fn with_require_all_missing_programs_fail_their_tests() {
    needs::are_required(&["faults::", "fleet::", "guarded::", "handover::", "store::"], 16);
}
