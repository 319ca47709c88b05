//! The users who have a flag at a position of its plan.

use std::collections::BTreeMap;

use crate::eval::{FlagDefinition, Group, Position, StageDefinition};
use crate::percent::Percent;

/// The audience of a flag at a position of its plan: percentage, groups and hold-backs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'d> {
    pub(crate) definition: &'d FlagDefinition,
    pub(crate) position: Position,
}

impl<'d> Audience<'d> {
    pub(super) fn stages(self) -> &'d [StageDefinition] {
        self.definition.stages_until(self.position)
    }

    pub(super) fn percent(self) -> Percent {
        self.definition.stage(self.position).map_or(Percent::NONE, |stage| stage.percent)
    }

    /// Returns the groups that the audience admits, by name.
    pub(super) fn groups(self) -> BTreeMap<&'d str, &'d Group> {
        let groups = self.stages().iter().flat_map(|stage| &stage.groups);
        groups.map(|group| (group.name.as_str(), &**group)).collect()
    }

    /// Returns the groups that `hold_back` keeps out, by name.
    pub(super) fn held_back(self) -> BTreeMap<&'d str, &'d Group> {
        let holds = self.definition.hold_back.iter().filter(|hold| hold.until > self.position);
        holds.map(|hold| (hold.group.name.as_str(), &*hold.group)).collect()
    }

    /// Returns whether the percentage or a list admits the user. Ignores attributes and hold-backs.
    pub(super) fn admits(self, key: &[u8]) -> bool {
        let Some(stage) = self.definition.stage(self.position) else { return false };
        stage.threshold.admits(self.definition.salt.bucket_of(key))
            || self.groups().into_values().any(|group| group.users.contains(key))
    }

    /// Like [`admits`](Self::admits), but assumes that the user matches every group with attributes.
    pub(super) fn may_admit(self, key: &[u8]) -> bool {
        self.groups().into_values().any(|group| !group.rules.is_empty()) || self.admits(key)
    }

    pub(super) fn is_empty(self) -> bool {
        self.percent() == Percent::NONE && self.groups().is_empty()
    }

    /// Counts the users of an added group that a later stage of this plan lists, and this audience lacks.
    pub(super) fn count_listed_later(self, group: &Group, after: Audience<'_>) -> usize {
        let later = self.definition.stages.get(usize::from(self.position)..).unwrap_or_default();
        let later: Vec<&Group> = later.iter().flat_map(|s| &s.groups).map(|g| &**g).collect();
        if later.is_empty() {
            return 0;
        }
        let is_listed = |key: &&[u8]| later.iter().any(|group| group.users.contains(key));
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
        let kept = after.groups().into_iter().filter(|(name, _)| known.contains_key(name));
        let kept: Vec<&Group> = kept.map(|(_, group)| group).collect();
        group.users.iter().filter(move |key| {
            let is_held_back = held_back.values().any(|group| group.users.contains(key));
            let joins = kept.iter().any(|group| group.users.contains(key));
            !is_held_back && !joins && !self.admits(key)
        })
    }

    /// Returns the groups that `after` admits and this audience does not.
    pub(super) fn added_groups(self, after: Audience<'d>) -> impl Iterator<Item = &'d Group> {
        let before = self.groups();
        let after = after.groups().into_iter();
        after.filter(move |(name, _)| !before.contains_key(name)).map(|(_, group)| group)
    }
}
