//! Flags that an update removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audience::Group;
use super::flag::{Flag, FlagDefinition, FlagExtras, HoldBack, Targeting};
use super::stage::StageDefinition;
use super::user_set::UserSet;
use crate::key::Key;

/// The removed flags, each with the version that removed it. A flag that comes back counts as being where it was.
///
/// Keeps no lists of users, so a flag takes a few hundred bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removed(Arc<BTreeMap<Key, (u64, Flag)>>);

/// The number of removed flags that are kept, latest first. A document has at most the same number of flags.
const MAX_REMOVED: usize = 100_000;

impl Removed {
    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.0.get(key).map(|(_, flag)| flag)
    }

    /// Returns the removed flags after a version that replaces the flags `before` by `now`. Both are in order of their
    /// keys.
    pub(super) fn after(&self, version: u64, before: &[Flag], now: &[Flag]) -> Removed {
        let is_left = |key: &Key| now.binary_search_by(|flag| flag.key().cmp(key)).is_ok();
        let gone = before.iter().filter(|flag| !is_left(flag.key()));
        let gone = gone.map(|flag| {
            let definition = Arc::new(flag.definition().without_users());
            (flag.key().clone(), (version, flag.with_definition(definition)))
        });
        let known = self.0.iter().filter(|(key, _)| !is_left(key));
        let known = known.map(|(key, removed)| (key.clone(), removed.clone()));
        let mut removed: BTreeMap<_, _> = known.chain(gone).collect();
        if removed.len() > MAX_REMOVED {
            let mut versions: Vec<u64> = removed.values().map(|(version, _)| *version).collect();
            versions.sort_unstable();
            let oldest = versions.get(removed.len() - MAX_REMOVED).copied().unwrap_or_default();
            removed.retain(|_, (version, _)| *version >= oldest);
        }
        Removed(Arc::new(removed))
    }
}

impl FlagDefinition {
    /// Returns the definition without listed users, which takes little memory and can still be compared.
    pub(crate) fn without_users(&self) -> FlagDefinition {
        let emptied = |groups: &[Arc<Group>]| -> Box<[Arc<Group>]> {
            groups.iter().map(|group| Arc::new(group.without_users())).collect()
        };
        let stage = |stage: &StageDefinition| {
            let (groups, within) = (emptied(&stage.groups), emptied(&stage.within));
            StageDefinition::new(*stage.name(), stage.percent, groups, within)
        };
        let hold = |hold: &HoldBack| {
            let (group, except) = (Arc::new(hold.group.without_users()), emptied(&hold.except));
            HoldBack { group, until: hold.until, except }
        };
        let targeting = |targeting: &Targeting| {
            let targeting = Targeting {
                unit: targeting.unit.clone(),
                only: emptied(&targeting.only),
                requires: targeting.requires.clone(),
                all_required: targeting.all_required.clone(),
            };
            FlagExtras { targeting: Some(targeting), ..FlagExtras::default() }
        };
        FlagDefinition {
            key: self.key.clone(),
            salt: self.salt,
            owner: None,
            extras: self.targeting().map(targeting).map(Box::new),
            stages: self.stages.iter().map(stage).collect(),
            hold_back: self.hold_back.iter().map(hold).collect(),
            filter: None,
        }
    }
}

impl Group {
    fn without_users(&self) -> Group {
        Group {
            name: self.name.clone(),
            users: UserSet::default(),
            values_of: self.values_of.clone(),
            alternatives: self.alternatives.clone(),
            includes: self.includes.iter().map(|group| Arc::new(group.without_users())).collect(),
            by_file: self.by_file,
        }
    }
}
