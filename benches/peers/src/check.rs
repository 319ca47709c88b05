//! Whether a peer does the work at all, before it is timed.

use crate::work::{Asking, PERCENT, Peer, Work, user_id};

/// Panics with the peer's name where an answer is not as the plan says.
pub fn check<P: Peer>(work: Work) {
    let Asking { peer, flags, .. } = Asking::<P>::new(work);
    // With many flags a check may take a peer a millisecond.
    let users = if matches!(work, Work::One | Work::Listed) { 100_000 } else { 4_000 };
    let answers = || -> Vec<bool> {
        let ask = |user| peer.is_enabled(&flags[user % flags.len()], &peer.user(&user_id(user)));
        (0..users).map(ask).collect()
    };
    let first = answers();
    assert!(first == answers(), "{}, {work:?}: answers change", P::NAME);
    let on = first.iter().filter(|on| **on).count();
    let (percent, wanted) = (on as f64 * 100.0 / users as f64, PERCENT as f64);
    assert!((percent - wanted).abs() <= 3.0, "{}, {work:?}: {percent}% have it", P::NAME);
    for id in work.plan().listed {
        let has = flags.iter().all(|flag| peer.is_enabled(flag, &peer.user(&id)));
        assert!(has, "{}, {work:?}: {id} is listed and does not have it", P::NAME);
    }
}
