//! What the journal comes to: every flag's state, the plan, the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::clock::{Boot, Moment};
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::machine::{self, Removed};
use crate::rollout::timeline::Timeline;
use crate::rollout::{Context, Fact, FlagState, Hash, Now, Record, Stamp};

/// The fold of the records so far.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The plan in force.
    pub(super) plan: Arc<Plan>,
    pub(super) document: Hash,
    /// In order of their keys.
    flags: Vec<(Box<str>, FlagState)>,
    /// Flags that a document removed: one that is added again goes on from there.
    removed: Arc<BTreeMap<Box<str>, Removed>>,
    /// For flags that have been moved, the record that did so last.
    moves: BTreeMap<Box<str>, u64>,
    pub(super) timeline: Timeline,
    /// The number and hash of the last record.
    pub(super) head: (u64, Hash),
    /// When the last record was written.
    pub(super) written: Option<SystemTime>,
    /// The boot of the first record.
    pub(super) began: Option<Boot>,
}

impl State {
    /// Before the first record.
    pub(super) fn new(plan: Arc<Plan>, document: Hash) -> State {
        State {
            plan,
            document,
            flags: Vec::new(),
            removed: Arc::default(),
            moves: BTreeMap::new(),
            timeline: Timeline::default(),
            head: (0, document),
            written: None,
            began: None,
        }
    }

    pub(super) fn flags(&self) -> &[(Box<str>, FlagState)] {
        &self.flags
    }

    pub(super) fn flag(&self, key: &str) -> Option<&FlagState> {
        self.place(key).ok().and_then(|place| self.flags.get(place)).map(|(_, state)| state)
    }

    /// The flag of that key as it was when a document removed it.
    pub(super) fn removed(&self, key: &str) -> Option<&Removed> {
        self.removed.get(key)
    }

    /// Where the flag lets users in; off where there is no such flag.
    pub(super) fn stage(&self, key: &str) -> StageName {
        self.flag(key).map_or(StageName::OFF, |state| state.stage)
    }

    /// The number of the record that has moved the flag last, 0 for none.
    pub(super) fn moved(&self, key: &str) -> u64 {
        self.moves.get(key).copied().unwrap_or(0)
    }

    fn place(&self, key: &str) -> Result<usize, usize> {
        self.flags.binary_search_by(|(known, _)| (**known).cmp(key))
    }

    /// Goes on by a record. `plan` is the one of the record's document. What is wrong, where the
    /// record does not fit.
    pub(super) fn apply(&mut self, record: &Record, plan: &Arc<Plan>) -> Result<(), String> {
        let moment = Moment::new(record.at, record.uptime, record.boot.clone());
        let now = self.timeline.resume(record.seq, &moment, record.time);
        match &record.fact {
            Fact::Opened { flags, .. } => {
                let placed = flags.iter();
                self.flags = placed
                    .map(|placed| (placed.flag.clone(), FlagState::new(placed.stage, now)))
                    .collect();
                self.flags.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            }
            Fact::Updated { flags } => self.update(flags, now),
            Fact::Seen {} => {}
            fact => self.happen(record, fact, plan, now)?,
        }
        self.plan = Arc::clone(plan);
        self.document = record.document;
        self.head = (record.seq, record.hash);
        self.written = Some(record.at);
        self.began.get_or_insert_with(|| record.boot.clone());
        Ok(())
    }

    fn update(&mut self, changes: &[crate::rollout::Changed], now: Stamp) {
        for change in changes {
            match (self.place(&change.flag), change.stage) {
                (Err(place), Some(stage)) => {
                    let removed = Arc::make_mut(&mut self.removed).remove(&change.flag);
                    let state = match removed.filter(|_| change.back) {
                        Some(removed) => machine::restored(&removed.state, stage, now),
                        None => FlagState::new(stage, now),
                    };
                    self.flags.insert(place, (change.flag.clone(), state));
                }
                (Ok(place), None) => {
                    let (flag, state) = self.flags.remove(place);
                    if let Some(plan) = self.plan.flag(&flag) {
                        let definition = Arc::new(plan.definition().without_users());
                        let removed = Removed { definition, state };
                        Arc::make_mut(&mut self.removed).insert(flag, removed);
                    }
                }
                (Ok(place), Some(_)) => {
                    if let Some((_, state)) = self.flags.get_mut(place) {
                        machine::reset(state, &change.reset, now);
                    }
                }
                (Err(_), None) => {}
            }
        }
    }

    fn happen(
        &mut self,
        record: &Record,
        fact: &Fact,
        plan: &Plan,
        now: Stamp,
    ) -> Result<(), String> {
        let key = record.flag.as_deref().ok_or("it is of no flag")?;
        let place = self.place(key).ok().and_then(|place| self.flags.get_mut(place));
        let (Some((_, state)), Some(flag)) = (place, plan.flag(key)) else {
            return Err(format!("it is of flag `{}`, which there is not", key.escape_debug()));
        };
        let to = record.to.ok_or("it does not say in which stage the flag is since")?;
        if record.from != Some(state.stage) {
            let stage = state.stage;
            return Err(format!("it is of flag `{key}` in another stage than `{stage}`"));
        }
        let now = Now { stamp: now, timeline: Some(&self.timeline), looks: &[] };
        let context = Context { now, by: &record.by, serving: to, next: record.seq };
        machine::apply(&flag, state, fact, to, &context);
        if record.from != record.to {
            self.moves.insert(key.into(), record.seq);
        }
        Ok(())
    }
}
