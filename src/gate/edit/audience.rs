//! The users who have a flag at a position of its plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::eval::{FlagDefinition, Group, HoldBack, Position, StageDefinition};
use crate::percent::Percent;

/// The audience of a flag at a position of its plan: percentages, groups and hold-backs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'d> {
    pub(crate) definition: &'d FlagDefinition,
    pub(crate) position: Position,
}

/// Groups by name. A group that includes others is there with each of them, so that each stands for itself alone.
pub(super) type Parts<'d> = BTreeMap<&'d str, &'d Group>;

pub(super) fn parts<'d>(groups: impl IntoIterator<Item = &'d Arc<Group>>) -> Parts<'d> {
    let parts = groups.into_iter().flat_map(|group| group.parts());
    parts.map(|group| (group.name.as_str(), group)).collect()
}

/// A percentage of the users of some groups.
pub(super) struct Share<'d> {
    pub(super) within: Parts<'d>,
    pub(super) percent: Percent,
}

impl<'d> Audience<'d> {
    pub(super) fn stages(self) -> &'d [StageDefinition] {
        self.definition.stages_until(self.position)
    }

    /// Returns the percentage of all users.
    pub(super) fn percent(self) -> Percent {
        let of_all = self.stages().iter().filter(|stage| stage.within.is_empty());
        of_all.map(|stage| stage.percent).max().unwrap_or(Percent::NONE)
    }

    /// Returns whether a percentage admits every user. Even 100% leaves out users without a unit (`by`).
    pub(super) fn admits_everybody(self) -> bool {
        self.percent() == Percent::ALL && self.definition.unit().is_none()
    }

    /// Returns the percentages of groups.
    pub(super) fn shares(self) -> Vec<Share<'d>> {
        let shares = self.stages().iter().filter(|stage| !stage.within.is_empty());
        shares.map(|s| Share { within: parts(&s.within), percent: s.percent }).collect()
    }

    /// Returns whether a percentage admits some users and not others.
    pub(super) fn is_split(self) -> bool {
        let is_partial = |percent: Percent| percent != Percent::NONE && percent != Percent::ALL;
        self.stages().iter().any(|stage| is_partial(stage.percent))
            && self.percent() != Percent::ALL
    }

    /// Returns the groups that the audience admits, by name.
    pub(super) fn groups(self) -> Parts<'d> {
        parts(self.stages().iter().flat_map(|stage| &stage.groups))
    }

    /// Returns the hold-backs that wait for a later stage.
    pub(super) fn holds(self) -> impl Iterator<Item = &'d HoldBack> {
        self.definition.hold_back.iter().filter(move |hold| hold.until > self.position)
    }

    /// Returns the groups that `hold_back` keeps out, by name.
    pub(super) fn held_back(self) -> Parts<'d> {
        parts(self.holds().map(|hold| &hold.group))
    }

    /// Returns whether the percentage or a list admits the user or, with an attribute, its value. Ignores conditions
    /// and hold-backs.
    pub(super) fn admits(self, key: &[u8], values_of: Option<&str>) -> bool {
        let stages = self.stages().iter().filter(|stage| stage.within.is_empty());
        let bucket = self.definition.salt.bucket_of(key);
        (self.definition.unit() == values_of
            && stages.map(|stage| stage.threshold).any(|threshold| threshold.admits(bucket)))
            || self.groups().into_values().any(|group| lists(group, key, values_of))
    }

    /// Like [`admits`](Self::admits), but assumes that the user matches every group with attributes.
    pub(super) fn may_admit(self, key: &[u8], values_of: Option<&str>) -> bool {
        let looks_at_attributes = |group: &Group| !group.only_lists_users();
        !self.shares().is_empty()
            || (self.definition.unit() != values_of && self.percent() != Percent::NONE)
            || self.groups().into_values().any(looks_at_attributes)
            || self.admits(key, values_of)
    }

    pub(super) fn is_empty(self) -> bool {
        self.percent() == Percent::NONE && self.shares().is_empty() && self.groups().is_empty()
    }

    /// Counts the users of an added group that a later stage of this plan lists, and this audience lacks.
    pub(super) fn count_listed_later(self, group: &Group, after: Audience<'_>) -> usize {
        let later = self.definition.stages.get(usize::from(self.position)..).unwrap_or_default();
        let later = parts(later.iter().flat_map(|stage| &stage.groups));
        if later.is_empty() {
            return 0;
        }
        let values_of = group.values_of.as_deref();
        let is_listed = |key: &&[u8]| later.values().any(|group| lists(group, key, values_of));
        self.missing_users(group, after).filter(is_listed).count()
    }

    /// Returns whether `after` admits a user of an added group that this audience lacks.
    pub(super) fn lacks_user_of(self, group: &Group, after: Audience<'_>) -> bool {
        self.missing_users(group, after).next().is_some()
    }

    /// Returns the users of an added group that `after` admits and this audience lacks. Leaves out users who also join
    /// a list that this audience already has.
    pub(super) fn missing_users<'g>(
        self,
        group: &'g Group,
        after: Audience<'_>,
    ) -> impl Iterator<Item = &'g [u8]> {
        let (held_back, known) = (after.held_back(), self.groups());
        let kept = after.groups().into_iter().filter(|(_, group)| is_known(&known, group));
        let kept: Vec<&Group> = kept.map(|(_, group)| group).collect();
        let values_of = group.values_of.as_deref();
        group.users.iter().filter(move |key| {
            let is_held_back = held_back.values().any(|group| lists(group, key, values_of));
            let joins = kept.iter().any(|group| lists(group, key, values_of));
            !is_held_back && !joins && !self.admits(key, values_of)
        })
    }

    /// Returns the groups that `after` admits and this audience does not. A group that lists values of another
    /// attribute is another group.
    pub(super) fn added_groups(self, after: Audience<'d>) -> impl Iterator<Item = &'d Group> {
        let before = self.groups();
        after.groups().into_values().filter(move |group| !is_known(&before, group))
    }
}

/// Returns whether one of the groups has the same name, and lists values of the same attribute.
fn is_known(groups: &Parts<'_>, group: &Group) -> bool {
    groups.get(group.name.as_str()).is_some_and(|known| known.values_of == group.values_of)
}

/// Returns whether the group itself lists the user or, with an attribute, its value.
pub(super) fn lists(group: &Group, key: &[u8], values_of: Option<&str>) -> bool {
    group.values_of.as_deref() == values_of && group.users.contains(key)
}
