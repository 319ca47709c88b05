//! A correctness check of each peer before it is timed.

use crate::scenario::{PERCENT, Peer, Scenario, Setup, user_id};

/// Panics with the peer's name if an answer does not match the plan.
pub fn check<P: Peer>(scenario: Scenario) {
    let Setup { peer, flags, .. } = Setup::<P>::new(scenario);
    // Fewer users with many flags, where some peers take a millisecond per check.
    let users = if matches!(scenario, Scenario::One | Scenario::Listed) { 100_000 } else { 4_000 };
    let answers = || -> Vec<bool> {
        let check = |user| peer.is_enabled(&flags[user % flags.len()], &peer.user(&user_id(user)));
        (0..users).map(check).collect()
    };
    let first = answers();
    assert!(first == answers(), "{}, {scenario:?}: answers change", P::NAME);
    let on = first.iter().filter(|on| **on).count();
    let (percent, expected) = (on as f64 * 100.0 / users as f64, PERCENT as f64);
    assert!((percent - expected).abs() <= 3.0, "{}, {scenario:?}: {percent}% have it", P::NAME);
    for id in scenario.plan().listed {
        let has = flags.iter().all(|flag| peer.is_enabled(flag, &peer.user(&id)));
        assert!(has, "{}, {scenario:?}: {id} is listed and does not have it", P::NAME);
    }
}
