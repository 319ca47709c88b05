//! Groups: named sets of users, listed by key or matched by attributes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use super::user::AsUser;
use crate::key::Key;

/// A group of the plan. A user is in the group if the group lists the user, or if every rule matches.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Key,
    pub(crate) users: UserSet,
    /// If empty, no user matches by attributes.
    pub(crate) rules: Box<[AttributeRule]>,
    /// Number of users in the group's `users_file`, if it has one.
    pub(crate) by_file: Option<usize>,
}

impl Group {
    /// `key` is the user's key, which the caller has read already.
    pub(crate) fn contains(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.users.contains(key)
            || (!self.rules.is_empty() && self.rules.iter().all(|rule| rule.matches(user)))
    }
}

/// An attribute and the values that match. Comparison is case-sensitive.
#[derive(Clone)]
pub(crate) struct AttributeRule {
    pub(crate) name: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

impl AttributeRule {
    /// Returns whether every user who matches this rule also matches the other rule.
    pub(crate) fn implies(&self, other: &AttributeRule) -> bool {
        self.name == other.name && self.values.iter().all(|value| other.values.contains(value))
    }

    fn matches(&self, user: &impl AsUser) -> bool {
        user.attribute(&self.name)
            .is_some_and(|found| self.values.iter().any(|value| **value == *found))
    }
}

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
