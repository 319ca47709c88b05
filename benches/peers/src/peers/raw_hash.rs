//! The lower bound: a hash of the user's id. It is not a gate, so its answers are not checked.

use xxhash_rust::xxh3::xxh3_64;

use crate::scenario::{PERCENT, Peer, Plan};

pub struct RawHash;

impl Peer for RawHash {
    const NAME: &'static str = "raw `xxh3_64`";
    type Flag = ();
    type User = String;

    fn new(_: &Plan) -> RawHash {
        RawHash
    }

    fn flag(&self, _: &str) {}

    fn user(&self, id: &str) -> String {
        id.to_owned()
    }

    fn is_enabled(&self, (): &(), user: &String) -> bool {
        xxh3_64(user.as_bytes()) < u64::MAX / 100 * PERCENT
    }
}
