//! The comparison of two audiences, without evaluating any user.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::audience::{Audience, Parts, Share, lists, parts};
use super::change::AudienceChange;
use crate::eval::{Condition, Group, Position, Prerequisite, StageName};
use crate::key::Key;
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
        if before.definition.salt != after.definition.salt && before.is_split() && after.is_split()
        {
            changes.push(AudienceChange::Salt);
        }
        compare_units(before, after, &mut changes);
        compare_shares(before, after, &mut changes);
        self.compare_lists(before, after, &mut changes);
        compare_attributes(before, after, &mut changes);
        self.compare_hold_backs(before, after, &mut changes);
        compare_only(before, after, &mut changes);
        compare_requirements(before, after, &mut changes);
        changes
    }

    /// Adds changes of lists. At 100% of all users, a list makes no difference.
    fn compare_lists(
        &mut self,
        before: Audience<'d>,
        after: Audience<'d>,
        changes: &mut Vec<AudienceChange>,
    ) {
        let (old, new) = (before.groups(), after.groups());
        let (gains, loses) = (!before.admits_everybody(), !after.admits_everybody());
        for name in names(&old, &new) {
            let (of_old, of_new) = (old.get(name).copied(), new.get(name).copied());
            let difference = self.difference(of_old, of_new);
            let values_of = of_new.or(of_old).and_then(|group| group.values_of.as_deref());
            let count = |users: &[&[u8]], others: &Parts<'_>| {
                let is_listed = |user| others.values().any(|group| lists(group, user, values_of));
                users.iter().filter(|user| !is_listed(user)).count()
            };
            let added = if gains { count(&difference.added, &old) } else { 0 };
            let removed = if loses { count(&difference.removed, &new) } else { 0 };
            if added + removed > 0 {
                let (group, values_of) = (name.into(), values_of.map(Arc::from));
                changes.push(AudienceChange::Users { group, values_of, added, removed });
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
        for name in names(&old, &new) {
            let (released, releases_attributes) = self.freed(name, before, after, false);
            let (held, holds_attributes) = self.freed(name, after, before, true);
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

    /// Counts the listed users of a group that `from` holds back and `to` may admit. Also returns whether users that
    /// match conditions may be such users. `is_back`: `from` is the later audience.
    ///
    /// A hold-back of `to` only keeps users back if it has no exceptions that the hold-back of `from` lacks.
    fn freed(
        &mut self,
        name: &str,
        from: Audience<'d>,
        to: Audience<'d>,
        is_back: bool,
    ) -> (usize, bool) {
        let (mut users, mut has_others) = (BTreeSet::new(), false);
        for hold in from.holds() {
            let Some(part) = hold.group.parts().find(|part| part.name.as_str() == name) else {
                continue;
            };
            let except = parts(&hold.except);
            let kept = to.holds().filter(|other| covers(&except, &parts(&other.except)));
            let kept = parts(kept.map(|other| &other.group));
            let (same, values_of) = (kept.get(name).copied(), part.values_of.as_deref());
            let unlisted = match is_back {
                false => self.difference(Some(part), same).removed,
                true => self.difference(same, Some(part)).added,
            };
            let is_kept = |user: &[u8]| kept.values().any(|group| lists(group, user, values_of));
            let may_gain = |user: &&[u8]| !is_kept(user) && to.may_admit(user, values_of);
            let mut left = unlisted.iter().copied().filter(may_gain);
            let is_lost = !to.is_empty() && is_uncovered(part, &alternatives(&kept));
            if same.is_none() && to.held_back().contains_key(name) {
                // The group still waits, but with further exceptions. Which users these are depends on attributes.
                has_others |= is_lost || left.next().is_some();
            } else {
                has_others |= is_lost;
                users.extend(left);
            }
        }
        (users.len(), has_others)
    }

    /// Returns the difference between two lists, from the cache if the same groups were compared before.
    fn difference(&mut self, old: Option<&'d Group>, new: Option<&'d Group>) -> ListDifference<'d> {
        let address = |group: Option<&Group>| group.map_or(std::ptr::null(), std::ptr::from_ref);
        let key = (address(old), address(new));
        if key.0 == key.1 {
            return ListDifference::default();
        }
        let only = |one: Option<&'d Group>, other: Option<&Group>| {
            let users = one.into_iter().flat_map(|group| {
                group.users.iter().map(move |user| (user, group.values_of.as_deref()))
            });
            let is_new = |(user, values_of): &(&[u8], Option<&str>)| {
                !other.is_some_and(|other| lists(other, user, *values_of))
            };
            users.filter(is_new).map(|(user, _)| user).collect()
        };
        let compare = || ListDifference { added: only(new, old), removed: only(old, new) };
        self.lists.entry(key).or_insert_with(compare).clone()
    }
}

/// Adds a change of the unit. A percentage of another unit holds other users, even if it is 100%.
fn compare_units(before: Audience<'_>, after: Audience<'_>, changes: &mut Vec<AudienceChange>) {
    let (from, to) = (before.definition.unit(), after.definition.unit());
    let has_share = |it: Audience<'_>| it.percent() != Percent::NONE || !it.shares().is_empty();
    if from != to && has_share(before) && has_share(after) {
        let (from, to) = (from.map(Arc::from), to.map(Arc::from));
        changes.push(AudienceChange::Unit { from, to });
    }
}

/// Adds changes of percentages of groups.
fn compare_shares<'d>(
    before: Audience<'d>,
    after: Audience<'d>,
    changes: &mut Vec<AudienceChange>,
) {
    let (old, new) = (before.shares(), after.shares());
    let names = |share: &Share<'d>| share.within.keys().copied().collect::<Vec<_>>();
    let all: BTreeSet<Vec<&str>> = old.iter().chain(&new).map(names).collect();
    for groups in all {
        let of = |shares: &[Share<'d>]| {
            let mine = shares.iter().filter(|share| names(share) == groups);
            mine.map(|share| share.percent).max().unwrap_or(Percent::NONE)
        };
        let uncovered = |mine: &[Share<'d>], others: &[Share<'d>], of_all: Percent| {
            let mut mine = mine.iter().filter(|share| names(share) == groups);
            mine.any(|share| {
                let is_covered = |other: &Share<'d>| {
                    other.percent >= share.percent && covers(&other.within, &share.within)
                };
                of_all < share.percent && !others.iter().any(is_covered)
            })
        };
        let wider = uncovered(&new, &old, before.percent());
        let narrower = uncovered(&old, &new, after.percent());
        let (from, to) = (of(&old), of(&new));
        if from != to || wider || narrower {
            let groups = groups.iter().map(|name| Arc::from(*name)).collect();
            changes.push(AudienceChange::Within { groups, from, to, wider, narrower });
        }
    }
}

/// Adds a change of `only`.
fn compare_only(before: Audience<'_>, after: Audience<'_>, changes: &mut Vec<AudienceChange>) {
    let (old, new) = (before.definition.only(), after.definition.only());
    let covers = |wide: &[Arc<Group>], narrow: &[Arc<Group>]| {
        wide.is_empty() || !narrow.is_empty() && covers(&parts(wide), &parts(narrow))
    };
    let wider = !after.is_empty() && !covers(old, new);
    let narrower = !before.is_empty() && !covers(new, old);
    if wider || narrower {
        changes.push(AudienceChange::Only { wider, narrower });
    }
}

/// Adds changes of `requires`. A requirement with another stage counts as lower unless its position is higher.
fn compare_requirements(
    before: Audience<'_>,
    after: Audience<'_>,
    changes: &mut Vec<AudienceChange>,
) {
    let (old, new) = (before.definition.requires(), after.definition.requires());
    let flags: BTreeSet<_> = old.iter().chain(new).map(|required| &required.flag).collect();
    let of = |all: &[Prerequisite], flag: &Key| -> Option<(StageName, Position)> {
        let required = all.iter().find(|required| required.flag == *flag)?;
        Some((required.stage, required.position))
    };
    for flag in flags {
        let (from, to) = (of(old, flag), of(new, flag));
        let stage = |required: Option<(StageName, Position)>| required.map(|(stage, _)| stage);
        if stage(from) == stage(to) {
            continue;
        }
        let position =
            |required: Option<(StageName, Position)>| required.map_or(0, |(_, position)| position);
        let wider = position(to) <= position(from);
        if if wider { !after.is_empty() } else { !before.is_empty() } {
            let (from, to) = (stage(from), stage(to));
            changes.push(AudienceChange::Requires { flag: flag.shared(), from, to, wider });
        }
    }
}

/// Adds changes of groups with attributes.
fn compare_attributes<'d>(
    before: Audience<'d>,
    after: Audience<'d>,
    changes: &mut Vec<AudienceChange>,
) {
    let (old, new) = (before.groups(), after.groups());
    let (old_rules, new_rules) = (alternatives(&old), alternatives(&new));
    let is_lost = |group: Option<&&Group>, others: &[&[Condition]]| {
        group.is_some_and(|group| is_uncovered(group, others))
    };
    for name in names(&old, &new) {
        let wider = !before.admits_everybody() && is_lost(new.get(name), &old_rules);
        let narrower = !after.admits_everybody() && is_lost(old.get(name), &new_rules);
        if wider || narrower {
            changes.push(AudienceChange::Attributes { group: name.into(), wider, narrower });
        }
    }
}

fn names<'d>(old: &Parts<'d>, new: &Parts<'d>) -> BTreeSet<&'d str> {
    old.keys().chain(new.keys()).copied().collect()
}

/// Returns the lists of conditions of all groups. A user who matches one of them is in a group.
fn alternatives<'d>(groups: &Parts<'d>) -> Vec<&'d [Condition]> {
    groups.values().flat_map(|group| &group.alternatives).map(|conditions| &**conditions).collect()
}

/// Returns whether a user may match a condition of the group but none of the others. Compares with one other at a time:
/// conditions that only several others cover together count as uncovered.
fn is_uncovered(group: &Group, others: &[&[Condition]]) -> bool {
    let implies = |narrow: &[Condition], wide: &[Condition]| {
        wide.iter().all(|wide| narrow.iter().any(|narrow| narrow.implies(wide)))
    };
    group.alternatives.iter().any(|mine| !others.iter().any(|other| implies(mine, other)))
}

/// Returns whether every user of the narrow groups is in the wide groups. A list may grow: it names each user.
fn covers(wide: &Parts<'_>, narrow: &Parts<'_>) -> bool {
    let others = alternatives(wide);
    narrow.iter().all(|(name, group)| {
        let lists_nobody = group.users.len() == 0;
        let has_list = wide.get(name).is_some_and(|it| it.values_of == group.values_of);
        !is_uncovered(group, &others) && (lists_nobody || has_list)
    })
}
