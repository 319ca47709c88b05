//! A simple gate that a team could write in forty lines: a map behind an atomic swap or a lock, and one seeded hash. It has
//! no document, no stages and no reasons.

use std::collections::{HashMap, HashSet};
use std::sync::RwLock;

use arc_swap::ArcSwap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::scenario::{PERCENT, Peer, Plan};

struct Flag {
    seed: u64,
    threshold: u64,
    listed: HashSet<String>,
}

impl Flag {
    fn is_enabled(&self, user: &str) -> bool {
        // `HashSet::contains` does not hash if the set is empty.
        self.listed.contains(user) || xxh3_64_with_seed(user.as_bytes(), self.seed) < self.threshold
    }
}

fn flags(plan: &Plan) -> HashMap<String, Flag> {
    let flag = |name: &String| Flag {
        seed: xxh3_64(name.as_bytes()),
        threshold: u64::MAX / 100 * PERCENT,
        listed: plan.listed.iter().cloned().collect(),
    };
    plan.flags.iter().map(|name| (name.clone(), flag(name))).collect()
}

pub struct WithArcSwap(ArcSwap<HashMap<String, Flag>>);

impl Peer for WithArcSwap {
    const NAME: &'static str = "forty lines, `ArcSwap`";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> WithArcSwap {
        WithArcSwap(ArcSwap::from_pointee(flags(plan)))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        self.0.load().get(flag).is_some_and(|flag| flag.is_enabled(user))
    }
}

pub struct WithRwLock(RwLock<HashMap<String, Flag>>);

impl Peer for WithRwLock {
    const NAME: &'static str = "forty lines, `RwLock`";
    type Flag = String;
    type User = String;

    fn new(plan: &Plan) -> WithRwLock {
        WithRwLock(RwLock::new(flags(plan)))
    }

    fn flag(&self, name: &str) -> String {
        name.to_owned()
    }

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, flag: &String, user: &String) -> bool {
        let flags = self.0.read().expect("no writer panics");
        flags.get(flag).is_some_and(|flag| flag.is_enabled(user))
    }
}
