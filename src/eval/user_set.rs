//! Sets of listed user keys.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// A set of listed user keys.
#[derive(Default)]
pub(crate) struct UserSet(HashSet<Box<[u8]>, OneHash>);

impl UserSet {
    pub(crate) fn insert(&mut self, key: &[u8]) {
        self.0.insert(key.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.0.contains(key)
    }

    /// Iterates in arbitrary order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|key| &**key)
    }
}

type OneHash = BuildHasherDefault<OneShotXxh3>;

/// A hasher for one string.
///
/// It needs no secret key: a table holds keys of the reviewed plan, and checks only look up. So an attacker cannot fill
/// the table with colliding keys.
#[derive(Debug, Default)]
pub(crate) struct OneShotXxh3(u64);

impl Hasher for OneShotXxh3 {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    /// Ignores the end marker of a `str`, because the hasher gets one string only.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    /// Ignores the length prefix of a slice, for the same reason.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
