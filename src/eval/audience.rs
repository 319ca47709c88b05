//! Groups: named sets of users, listed by key or matched by attributes.

use super::user::AsUser;
use super::user_set::UserSet;
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
