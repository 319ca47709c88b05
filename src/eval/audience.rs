//! Named sets of users: listed by key, or matched by attributes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

use super::user::AsUser;
use crate::key::Key;

/// A group of the plan. A user is in it when listed, or when every rule matches.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Key,
    pub(crate) users: UserSet,
    /// Empty: nobody matches by attributes.
    pub(crate) rules: Box<[AttributeRule]>,
    /// Number of users that its `users_file` lists; `None` for a group without one.
    pub(crate) by_file: Option<usize>,
}

impl Group {
    /// `key` is the user's own, already read once.
    pub(crate) fn contains(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.users.contains(key)
            || (!self.rules.is_empty() && self.rules.iter().all(|rule| rule.matches(user)))
    }
}

/// One attribute and the values that match; spelled exactly, upper and lower case differ.
#[derive(Clone)]
pub(crate) struct AttributeRule {
    pub(crate) name: Box<str>,
    pub(crate) values: Box<[Box<str>]>,
}

impl AttributeRule {
    /// Whether every user who matches this rule matches the other one, too.
    pub(crate) fn implies(&self, other: &AttributeRule) -> bool {
        self.name == other.name && self.values.iter().all(|value| other.values.contains(value))
    }

    fn matches(&self, user: &impl AsUser) -> bool {
        user.attribute(&self.name)
            .is_some_and(|found| self.values.iter().any(|value| **value == *found))
    }
}

/// Listed user keys.
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

    /// In no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|key| &**key)
    }
}

type OneHash = BuildHasherDefault<OneShotXxh3>;

/// Hashes one string in one call.
///
/// Unkeyed on purpose: what stands in a table comes from the reviewed plan, and a question only
/// looks up, so nobody outside can make a table's chains long.
#[derive(Debug, Default)]
pub(crate) struct OneShotXxh3(u64);

impl Hasher for OneShotXxh3 {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    /// The end marker of a `str`: one string is all there is, so it tells nothing.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    /// The length prefix of a slice: as above.
    #[inline]
    fn write_usize(&mut self, _: usize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
