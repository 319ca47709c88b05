//! Flags that an update removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audience::{Group, UserSet};
use super::flag::{Flag, FlagDefinition, HoldBack};
use super::stage::Stage;
use crate::key::Key;

/// The flags that earlier versions had, each with the version that removed it: a flag that is added again goes on from there.
///
/// Their lists of users are forgotten, so a flag takes some hundred bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removed(Arc<BTreeMap<Key, (u64, Flag)>>);

/// Flags that are remembered: the latest ones, as many as a document may have.
const MOST: usize = 100_000;

impl Removed {
    pub(crate) fn flag(&self, key: &str) -> Option<&Flag> {
        self.0.get(key).map(|(_, flag)| flag)
    }

    /// What is removed once these flags are replaced by `now`, both in order of their keys.
    pub(super) fn after(&self, version: u64, before: &[Flag], now: &[Flag]) -> Removed {
        let is_left = |key: &Key| now.binary_search_by(|flag| flag.key().cmp(key)).is_ok();
        let gone = before.iter().filter(|flag| !is_left(flag.key()));
        let gone = gone.map(|flag| {
            let definition = Arc::new(flag.definition().without_users());
            (flag.key().clone(), (version, flag.under(definition)))
        });
        let known = self.0.iter().filter(|(key, _)| !is_left(key));
        let known = known.map(|(key, removed)| (key.clone(), removed.clone()));
        let mut removed: BTreeMap<_, _> = known.chain(gone).collect();
        if removed.len() > MOST {
            let mut versions: Vec<u64> = removed.values().map(|(version, _)| *version).collect();
            versions.sort_unstable();
            let oldest = versions.get(removed.len() - MOST).copied().unwrap_or_default();
            removed.retain(|_, (version, _)| *version >= oldest);
        }
        Removed(Arc::new(removed))
    }
}

impl FlagDefinition {
    /// The same definition without listed users: for comparing later, at little cost.
    pub(crate) fn without_users(&self) -> FlagDefinition {
        let light = |group: &Arc<Group>| {
            let (name, rules, by_file) = (group.name.clone(), group.rules.clone(), group.by_file);
            Arc::new(Group { name, users: UserSet::default(), rules, by_file })
        };
        let stage = |stage: &Stage| {
            Stage::new(*stage.name(), stage.percent, stage.groups.iter().map(light).collect())
        };
        let hold = |hold: &HoldBack| HoldBack { group: light(&hold.group), until: hold.until };
        FlagDefinition {
            key: self.key.clone(),
            salt: self.salt,
            owner: None,
            remarks: None,
            stages: self.stages.iter().map(stage).collect(),
            hold_back: self.hold_back.iter().map(hold).collect(),
        }
    }
}
