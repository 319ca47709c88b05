//! The comparison of two audiences, without evaluating any user.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::audience::Audience;
use super::change::AudienceChange;
use crate::eval::{AttributeRule, Group};
use crate::percent::Percent;

/// Compares audiences. Compares each pair of lists once, even if several flags share the groups.
#[derive(Default)]
pub(crate) struct AudienceComparison<'d> {
    lists: HashMap<(*const Group, *const Group), ListDifference<'d>>,
}

/// The users that only one of two groups lists.
#[derive(Clone, Default)]
struct ListDifference<'d> {
    added: Arc<[&'d [u8]]>,
    removed: Arc<[&'d [u8]]>,
}

impl<'d> AudienceComparison<'d> {
    /// Returns the changes from one audience to another; empty if both hold the same users.
    pub(crate) fn changes(
        &mut self,
        before: Audience<'d>,
        after: Audience<'d>,
    ) -> Vec<AudienceChange> {
        let mut changes = Vec::new();
        let (from, to) = (before.percent(), after.percent());
        if from != to {
            changes.push(AudienceChange::Percent { from, to });
        }
        let is_partial = |percent| percent != Percent::NONE && percent != Percent::ALL;
        if before.definition.salt != after.definition.salt && is_partial(from) && is_partial(to) {
            changes.push(AudienceChange::Salt);
        }
        self.compare_lists(before, after, &mut changes);
        compare_attributes(before, after, &mut changes);
        self.compare_hold_backs(before, after, &mut changes);
        changes
    }

    /// Adds changes of lists. At 100%, a list makes no difference.
    fn compare_lists(
        &mut self,
        before: Audience<'d>,
        after: Audience<'d>,
        changes: &mut Vec<AudienceChange>,
    ) {
        let (old, new) = (before.groups(), after.groups());
        let lists = |groups: &BTreeMap<&str, &Group>, user: &[u8]| {
            groups.values().any(|group| group.users.contains(user))
        };
        let (gains, loses) = (before.percent() != Percent::ALL, after.percent() != Percent::ALL);
        for name in names(&old, &new) {
            let difference = self.difference(old.get(name).copied(), new.get(name).copied());
            let count =
                |users: &[&[u8]], others| users.iter().filter(|user| !lists(others, user)).count();
            let added = if gains { count(&difference.added, &old) } else { 0 };
            let removed = if loses { count(&difference.removed, &new) } else { 0 };
            if added + removed > 0 {
                let group = name.into();
                changes.push(AudienceChange::Users { group, added, removed });
            }
        }
    }

    /// Adds changes of `hold_back`.
    fn compare_hold_backs(
        &mut self,
        before: Audience<'d>,
        after: Audience<'d>,
        changes: &mut Vec<AudienceChange>,
    ) {
        let (old, new) = (before.held_back(), after.held_back());
        let (old_rules, new_rules) = (rules(&old), rules(&new));
        let keeps = |groups: &BTreeMap<&str, &Group>, user: &[u8]| {
            groups.values().any(|group| group.users.contains(user))
        };
        for name in names(&old, &new) {
            let (of_old, of_new) = (old.get(name).copied(), new.get(name).copied());
            let difference = self.difference(of_old, of_new);
            let released = difference.removed.iter();
            let released = released.filter(|user| !keeps(&new, user) && after.may_admit(user));
            let held = difference.added.iter();
            let held = held.filter(|user| !keeps(&old, user) && before.may_admit(user));
            let (released, held) = (released.count(), held.count());
            let is_lost =
                |group: Option<&Group>, others: &[&'d [AttributeRule]], of: Audience<'_>| {
                    !of.is_empty() && group.is_some_and(|group| is_uncovered(&group.rules, others))
                };
            let releases_attributes = is_lost(of_old, &new_rules, after);
            let holds_attributes = is_lost(of_new, &old_rules, before);
            if released + held > 0 || releases_attributes || holds_attributes {
                changes.push(AudienceChange::HoldBack {
                    group: name.into(),
                    released,
                    held,
                    releases_attributes,
                    holds_attributes,
                });
            }
        }
    }

    /// Returns the difference between two lists, from the cache if the same groups were compared before.
    fn difference(&mut self, old: Option<&'d Group>, new: Option<&'d Group>) -> ListDifference<'d> {
        let address = |group: Option<&Group>| group.map_or(std::ptr::null(), std::ptr::from_ref);
        let key = (address(old), address(new));
        if key.0 == key.1 {
            return ListDifference::default();
        }
        let only = |one: Option<&'d Group>, other: Option<&Group>| {
            let users = one.into_iter().flat_map(|group| group.users.iter());
            users.filter(|user| !other.is_some_and(|other| other.users.contains(user))).collect()
        };
        let compare = || ListDifference { added: only(new, old), removed: only(old, new) };
        self.lists.entry(key).or_insert_with(compare).clone()
    }
}

/// Adds changes of groups with attributes.
fn compare_attributes<'d>(
    before: Audience<'d>,
    after: Audience<'d>,
    changes: &mut Vec<AudienceChange>,
) {
    let (old, new) = (before.groups(), after.groups());
    let (old_rules, new_rules) = (rules(&old), rules(&new));
    let is_lost = |group: Option<&&Group>, others: &[&[AttributeRule]]| {
        group.is_some_and(|group| is_uncovered(&group.rules, others))
    };
    for name in names(&old, &new) {
        let wider = before.percent() != Percent::ALL && is_lost(new.get(name), &old_rules);
        let narrower = after.percent() != Percent::ALL && is_lost(old.get(name), &new_rules);
        if wider || narrower {
            changes.push(AudienceChange::Attributes { group: name.into(), wider, narrower });
        }
    }
}

fn names<'d>(
    old: &BTreeMap<&'d str, &'d Group>,
    new: &BTreeMap<&'d str, &'d Group>,
) -> Vec<&'d str> {
    let mut names: Vec<&str> = old.keys().chain(new.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn rules<'d>(groups: &BTreeMap<&'d str, &'d Group>) -> Vec<&'d [AttributeRule]> {
    groups.values().map(|group| &*group.rules).filter(|rules| !rules.is_empty()).collect()
}

/// Returns whether a user may match these rules but none of the others. Compares with one other at a time: rules that
/// only several others cover together count as uncovered.
fn is_uncovered(rules: &[AttributeRule], others: &[&[AttributeRule]]) -> bool {
    let implies = |narrow: &[AttributeRule], wide: &[AttributeRule]| {
        wide.iter().all(|wide| narrow.iter().any(|narrow| narrow.implies(wide)))
    };
    !rules.is_empty() && !others.iter().any(|other| implies(rules, other))
}
