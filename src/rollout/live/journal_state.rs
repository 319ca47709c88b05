//! The state that follows from the journal: every flag's state, the plan, the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::clock::{Boot, Moment};
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::journal::saved_state::SavedRemovedFlag;
use crate::rollout::journal::{FORMAT, moment_of_millis};
use crate::rollout::machine::{self, RemovedFlag};
use crate::rollout::uptime_history::UptimeHistory;
use crate::rollout::{
    EventContext, Fact, FlagRollback, FlagState, Freeze, Hash, Now, Record, SavedState, Stamp,
};

/// The state after the records so far.
#[derive(Clone, Debug)]
pub(super) struct JournalState {
    /// The plan in force.
    pub(super) plan: Arc<Plan>,
    pub(super) document: Hash,
    /// In order of their keys.
    flags: Vec<(Box<str>, FlagState)>,
    /// Flags that a document removed. A flag that is added again continues with its hold and its incident.
    removed: Arc<BTreeMap<Box<str>, RemovedFlag>>,
    /// For each flag that has moved, the number of the record that moved it last.
    moves: BTreeMap<Box<str>, u64>,
    /// The last freeze of all flags. It may be over.
    pub(super) freeze: Option<Freeze>,
    pub(super) uptimes: UptimeHistory,
    /// The number and hash of the last record.
    pub(super) head: (u64, Hash),
    /// When the last record was written.
    pub(super) written_at: Option<SystemTime>,
    /// The version of the format of the last segment.
    pub(super) format: u32,
    /// The hash and boot of the journal's first record. The hash identifies the rollout.
    pub(super) first: (Hash, Boot),
}

impl JournalState {
    /// Returns the state before the first record, with the record's plan.
    pub(super) fn new(plan: Arc<Plan>, record: &Record) -> JournalState {
        let document = record.document;
        JournalState {
            plan,
            document,
            flags: Vec::new(),
            removed: Arc::default(),
            moves: BTreeMap::new(),
            freeze: None,
            uptimes: UptimeHistory::default(),
            head: (0, document),
            written_at: None,
            format: FORMAT,
            first: (record.hash, record.boot.clone()),
        }
    }

    /// Returns the state that the first record of a segment holds, before that record is applied. `load` returns the
    /// plan of a document.
    pub(super) fn restore<E>(
        saved: &SavedState,
        plan: Arc<Plan>,
        record: &Record,
        mut load: impl FnMut(Hash) -> Result<Arc<Plan>, E>,
    ) -> Result<JournalState, E> {
        let mut removed = BTreeMap::new();
        for (key, SavedRemovedFlag { document, state }) in &saved.removed {
            let plan = load(*document)?;
            if let Some(flag) = plan.flag(key) {
                removed.insert(key.clone(), RemovedFlag::new(&flag, *document, state.clone()));
            }
        }
        Ok(JournalState {
            flags: saved.flags.clone().into_iter().collect(),
            removed: Arc::new(removed),
            freeze: saved.freeze.clone(),
            moves: saved.moves.clone(),
            uptimes: saved.uptimes.clone(),
            first: (saved.first, saved.boot.clone()),
            ..JournalState::new(plan, record)
        })
    }

    /// Returns the first fact of a new segment in this version of the format.
    pub(super) fn next_segment(&self, format: u32) -> Fact {
        let (_, after) = self.head;
        Fact::Continued { journal: format, after, state: Box::new(self.save()) }
    }

    fn save(&self) -> SavedState {
        let (first, boot) = self.first.clone();
        let removed = self.removed.iter().map(|(key, removed)| {
            let (document, state) = (removed.document, removed.state.clone());
            (key.clone(), SavedRemovedFlag { document, state })
        });
        SavedState {
            first,
            boot,
            flags: self.flags.iter().cloned().collect(),
            removed: removed.collect(),
            freeze: self.freeze.clone(),
            moves: self.moves.clone(),
            uptimes: self.uptimes.clone(),
        }
    }

    pub(super) fn flags(&self) -> &[(Box<str>, FlagState)] {
        &self.flags
    }

    pub(super) fn flag(&self, key: &str) -> Option<&FlagState> {
        self.index_of(key).ok().and_then(|index| self.flags.get(index)).map(|(_, state)| state)
    }

    /// Returns a removed flag, with its last state.
    pub(super) fn removed(&self, key: &str) -> Option<&RemovedFlag> {
        self.removed.get(key)
    }

    /// Returns the flag's stage, or `off` if there is no such flag.
    pub(super) fn stage(&self, key: &str) -> StageName {
        self.flag(key).map_or(StageName::OFF, |state| state.stage)
    }

    /// Returns the number of the record that moved the flag last, or 0.
    pub(super) fn last_move(&self, key: &str) -> u64 {
        self.moves.get(key).copied().unwrap_or(0)
    }

    fn index_of(&self, key: &str) -> Result<usize, usize> {
        self.flags.binary_search_by(|(known, _)| (**known).cmp(key))
    }

    /// Applies a record. `plan` is the plan of the record's document.
    ///
    /// # Errors
    ///
    /// How the record contradicts the state, as text.
    pub(super) fn apply(&mut self, record: &Record, plan: &Arc<Plan>) -> Result<(), String> {
        if let Fact::Continued { state, .. } = &record.fact
            && self.save() != **state
        {
            return Err("the state that it holds does not follow from them".to_owned());
        }
        let moment = Moment::new(record.at, record.uptime, record.boot.clone());
        let now = self.uptimes.record(record.seq, &moment, record.time);
        match &record.fact {
            Fact::Opened { flags, .. } => {
                let placed = flags.iter();
                self.flags = placed
                    .map(|placed| (placed.flag.clone(), FlagState::new(placed.stage, now)))
                    .collect();
                self.flags.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            }
            Fact::Updated { flags } => self.update(flags, now),
            Fact::Unknown { name, .. } if record.document != self.document => {
                return Err(format!(
                    "`{}` is unknown, but changes the document",
                    name.escape_debug()
                ));
            }
            Fact::Continued { .. }
            | Fact::Restored { .. }
            | Fact::Seen {}
            | Fact::Unknown { .. } => {}
            Fact::HeldAll { why, until_ms } => {
                let (by, why, until) =
                    (record.by.clone(), why.clone(), until_ms.map(moment_of_millis));
                self.freeze = Some(Freeze { by, why, since: now, until });
            }
            Fact::ResumedAll { .. } => self.freeze = None,
            Fact::RolledBackAll { cause, flags, effective_ms } => {
                let fact = Fact::RolledBack { cause: cause.clone(), effective_ms: *effective_ms };
                for FlagRollback { flag, from, to } in flags {
                    self.apply_to_flag(record, flag, (Some(*from), *to), &fact, plan, now)?;
                }
            }
            fact => {
                let key = record.flag.as_deref().ok_or("it names no flag")?;
                let to = record.to.ok_or("its `to` is missing")?;
                self.apply_to_flag(record, key, (record.from, to), fact, plan, now)?;
            }
        }
        self.plan = Arc::clone(plan);
        self.document = record.document;
        self.head = (record.seq, record.hash);
        self.format = record.fact.format().unwrap_or(self.format);
        self.written_at = Some(record.at);
        Ok(())
    }

    fn update(&mut self, changes: &[crate::rollout::FlagChange], now: Stamp) {
        for change in changes {
            match (self.index_of(&change.flag), change.stage) {
                (Err(index), Some(stage)) => {
                    let removed = Arc::make_mut(&mut self.removed).remove(&change.flag);
                    let state = match removed.filter(|_| change.back) {
                        Some(removed) => machine::readded_state(&removed.state, stage, now),
                        None => FlagState::new(stage, now),
                    };
                    self.flags.insert(index, (change.flag.clone(), state));
                }
                (Ok(index), None) => {
                    let (flag, state) = self.flags.remove(index);
                    if let Some(plan) = self.plan.flag(&flag) {
                        let removed = RemovedFlag::new(&plan, self.document, state);
                        Arc::make_mut(&mut self.removed).insert(flag, removed);
                    }
                }
                (Ok(index), Some(_)) => {
                    if let Some((_, state)) = self.flags.get_mut(index) {
                        machine::apply_resets(state, &change.reset, now);
                    }
                }
                (Err(_), None) => {}
            }
        }
    }

    fn apply_to_flag(
        &mut self,
        record: &Record,
        key: &str,
        (from, to): (Option<StageName>, StageName),
        fact: &Fact,
        plan: &Plan,
        now: Stamp,
    ) -> Result<(), String> {
        let index = self.index_of(key).ok().and_then(|index| self.flags.get_mut(index));
        let (Some((_, state)), Some(flag)) = (index, plan.flag(key)) else {
            return Err(format!("it names flag `{}`, which does not exist", key.escape_debug()));
        };
        if from != Some(state.stage) {
            let stage = state.stage;
            return Err(format!("its `from` is wrong: flag `{key}` is in stage `{stage}`"));
        }
        let now = Now { stamp: now, uptimes: Some(&self.uptimes), reads: &[] };
        let (by, record) = (&*record.by, record.seq);
        let context = EventContext { now, by, serving: to, record, missing: &[], freeze: None };
        machine::apply(&flag, state, fact, to, &context);
        if from != Some(to) {
            self.moves.insert(key.into(), record);
        }
        Ok(())
    }
}
