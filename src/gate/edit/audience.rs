//! Who has a flag at a position of its plan, as far as the plan says it.

use std::collections::BTreeMap;

use crate::eval::{FlagDefinition, Group, Position, Stage};
use crate::percent::Percent;

/// The audience of a flag at a position of its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Audience<'d> {
    pub(crate) definition: &'d FlagDefinition,
    pub(crate) position: Position,
}

impl<'d> Audience<'d> {
    pub(super) fn stages(self) -> &'d [Stage] {
        self.definition.stages_until(self.position)
    }

    pub(super) fn percent(self) -> Percent {
        self.definition.stage(self.position).map_or(Percent::NONE, |stage| stage.percent)
    }

    /// The groups that it admits, each once.
    pub(super) fn groups(self) -> BTreeMap<&'d str, &'d Group> {
        let groups = self.stages().iter().flat_map(|stage| &stage.groups);
        groups.map(|group| (group.name.as_str(), &**group)).collect()
    }

    /// The groups that it keeps out, each once.
    pub(super) fn held(self) -> BTreeMap<&'d str, &'d Group> {
        let holds = self.definition.hold_back.iter().filter(|hold| hold.until > self.position);
        holds.map(|hold| (hold.group.name.as_str(), &*hold.group)).collect()
    }

    /// Whether it admits a user of this key whatever their attributes, hold-backs aside.
    pub(super) fn admits(self, key: &[u8]) -> bool {
        let Some(stage) = self.definition.stage(self.position) else { return false };
        stage.threshold.admits(self.definition.salt.bucket_of(key))
            || self.groups().into_values().any(|group| group.users.contains(key))
    }

    /// The same where attributes may match as well: anybody's do.
    pub(super) fn may_admit(self, key: &[u8]) -> bool {
        self.groups().into_values().any(|group| !group.rules.is_empty()) || self.admits(key)
    }

    pub(super) fn is_empty(self) -> bool {
        self.percent() == Percent::NONE && self.groups().is_empty()
    }

    /// Number of users of a group that `after` adds whom a later stage than this one lists, and this audience does not admit.
    pub(super) fn lists_later(self, group: &Group, after: Audience<'_>) -> usize {
        let later = self.definition.stages.get(usize::from(self.position)..).unwrap_or_default();
        let later: Vec<&Group> = later.iter().flat_map(|s| &s.groups).map(|g| &**g).collect();
        if later.is_empty() {
            return 0;
        }
        let is_listed = |key: &&[u8]| later.iter().any(|group| group.users.contains(key));
        self.lacking(group, after).filter(is_listed).count()
    }

    /// Whether `after` admits a user of a group that it adds, whom this audience does not admit.
    pub(super) fn lacks_one_of(self, group: &Group, after: Audience<'_>) -> bool {
        self.lacking(group, after).next().is_some()
    }

    /// The users of a group that `after` adds whom this audience does not admit, but for those who join a list that is there
    /// already.
    pub(super) fn lacking<'g>(
        self,
        group: &'g Group,
        after: Audience<'_>,
    ) -> impl Iterator<Item = &'g [u8]> {
        let (held, known) = (after.held(), self.groups());
        let longer = after.groups().into_iter().filter(|(name, _)| known.contains_key(name));
        let longer: Vec<&Group> = longer.map(|(_, group)| group).collect();
        group.users.iter().filter(move |key| {
            let is_held = held.values().any(|group| group.users.contains(key));
            let joins = longer.iter().any(|group| group.users.contains(key));
            !is_held && !joins && !self.admits(key)
        })
    }

    /// The groups that only `after` admits.
    pub(super) fn new_groups(self, after: Audience<'d>) -> impl Iterator<Item = &'d Group> {
        let before = self.groups();
        let after = after.groups().into_iter();
        after.filter(move |(name, _)| !before.contains_key(name)).map(|(_, group)| group)
    }
}
