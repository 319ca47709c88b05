//! Groups: named sets of users, listed by key or matched by attributes.

use std::sync::Arc;

use super::condition::Condition;
use super::user::AsUser;
use super::user_set::UserSet;
use crate::key::Key;

/// A group of the plan.
///
/// A user is in the group if the group lists the user, if one of its alternatives matches, or if the user is in an
/// included group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: Key,
    /// The listed user keys or, with `values_of`, the listed values of that attribute.
    pub(crate) users: UserSet,
    pub(crate) values_of: Option<Box<str>>,
    /// Each a list of conditions, of which all must match.
    pub(crate) alternatives: Box<[Box<[Condition]>]>,
    /// The groups that this one includes, also through others, each once. So a check never looks at one twice.
    pub(crate) includes: Box<[Arc<Group>]>,
    /// Number of users in the group's `users_file`, if it has one.
    pub(crate) by_file: Option<usize>,
}

impl Group {
    /// `key` is the user's key, which the caller has read already.
    pub(crate) fn contains(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.parts().any(|group| group.has(key, user))
    }

    fn has(&self, key: &[u8], user: &impl AsUser) -> bool {
        self.lists(key, user)
            || self.alternatives.iter().any(|all| all.iter().all(|one| one.matches(user)))
    }

    /// Returns whether the group itself lists the user, or a value of the user's attribute.
    pub(crate) fn lists(&self, key: &[u8], user: &impl AsUser) -> bool {
        match &self.values_of {
            None => self.users.contains(key),
            Some(attribute) => user.any_value(attribute, &mut |value| {
                value.with_text(|text| self.users.contains(text.as_bytes()))
            }),
        }
    }

    /// Returns the group and the groups that it includes.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(self).chain(self.includes.iter().map(|group| &**group))
    }

    /// Returns whether the group and the groups that it includes only list user keys.
    pub(crate) fn only_lists_users(&self) -> bool {
        self.parts().all(|group| group.values_of.is_none() && group.alternatives.is_empty())
    }

    /// Returns the lists of user keys of the group and the groups that it includes.
    pub(crate) fn user_lists(&self) -> impl Iterator<Item = &UserSet> {
        self.parts().filter(|group| group.values_of.is_none()).map(|group| &group.users)
    }
}
