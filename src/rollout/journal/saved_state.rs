//! The whole state of a rollout, as the first record of a segment holds it.

use std::collections::BTreeMap;
use std::fmt;

use serde_derive::{Deserialize, Serialize};

use super::{Hash, names};
use crate::clock::Boot;
use crate::rollout::uptime_history::UptimeHistory;
use crate::rollout::{FlagState, Freeze};

/// The state of every flag, and what else a rollout needs to open from a record instead of from the first one.
///
/// Every reader of the records before compares it with the state that follows from them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    /// The hash of the journal's first record, which identifies the rollout.
    #[serde(with = "names::hash")]
    pub(in crate::rollout) first: Hash,
    /// The boot of the first record.
    #[serde(with = "names::boot")]
    pub(in crate::rollout) boot: Boot,
    pub(in crate::rollout) flags: BTreeMap<Box<str>, FlagState>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::rollout) removed: BTreeMap<Box<str>, SavedRemovedFlag>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::rollout) freeze: Option<Freeze>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::rollout) moves: BTreeMap<Box<str>, u64>,
    pub(in crate::rollout) uptimes: UptimeHistory,
}

/// A flag that a document removed, and the last document that had it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::rollout) struct SavedRemovedFlag {
    #[serde(with = "names::hash")]
    pub(in crate::rollout) document: Hash,
    pub(in crate::rollout) state: FlagState,
}

/// Shows only counts, because the state quotes what people wrote.
impl fmt::Debug for SavedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedState").field("flags", &self.flags.len()).finish_non_exhaustive()
    }
}
