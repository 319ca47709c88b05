//! Beginning a rollout, going on with one, and looking back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::back::{Back, to_millis};
use super::front::Front;
use super::intents::{Found, Intents};
use super::state::State;
use super::status::PastState;
use super::{Rollout, RolloutOptions, Shared};
use crate::clock::Clock;
use crate::plan::{Document, Plan};
use crate::rollout::error::Kind;
use crate::rollout::journal::FORMAT;
use crate::rollout::machine;
use crate::rollout::{Fact, Hash, Placed, Record, RolloutError, Store};

pub(super) fn start(
    store: Box<dyn Store>,
    clock: Box<dyn Clock>,
    document: Document,
    by: &str,
    options: &RolloutOptions,
) -> Result<Rollout, RolloutError> {
    let (plan, packed) = packed(document)?;
    let hash = Hash::of(&packed);
    let mut back = Back::new(store);
    if !back.store.read(1).map_err(|error| back.failed(error))?.is_empty() {
        return Err(Kind::AlreadyStarted { store: back.store.label() }.into());
    }
    back.store.keep(&hash.to_string(), &packed).map_err(|error| back.failed(error))?;
    let flags = plan.flags().filter_map(|key| plan.flag(key));
    let flags = flags.map(|flag| Placed { flag: flag.key().into(), stage: flag.stage() }).collect();
    let moment = to_millis(&clock.now());
    let record = Record {
        seq: 0,
        at: moment.wall,
        boot: moment.boot,
        uptime: moment.uptime,
        time: Duration::ZERO,
        by: machine::cut(by).into(),
        document: hash,
        flag: None,
        from: None,
        to: None,
        fact: Fact::Opened { journal: FORMAT, flags },
        hash,
    };
    let record = back.append(record).map_err(|error| back.failed(error))?;
    let mut state = State::new(Arc::clone(&plan), hash);
    // The first record fits whatever is before it.
    let _ = state.apply(&record, &plan);
    let found = options.intents.as_deref().map(|path| (path, Found::read(path)));
    Ok(assemble(back, clock, state, found, record.hash))
}

pub(super) fn open(
    store: Box<dyn Store>,
    clock: Box<dyn Clock>,
    options: &RolloutOptions,
) -> Result<Rollout, RolloutError> {
    let mut back = Back::new(store);
    let mut found = options.intents.as_deref().map(|path| (path, Found::read(path)));
    let mut first = None;
    let state = back.fold(None, |record| {
        first.get_or_insert(record.hash);
        if let Some((_, found)) = &mut found {
            found.see(record);
        }
        true
    })?;
    let begun = state.zip(first);
    let (state, first) = begun.ok_or_else(|| Kind::NotStarted { store: back.store.label() })?;
    Ok(assemble(back, clock, state, found, first))
}

/// What was rolled back is in force before the gate is there to be asked.
fn assemble(
    back: Back,
    clock: Box<dyn Clock>,
    state: State,
    found: Option<(&Path, Found)>,
    first: Hash,
) -> Rollout {
    let mut notices = back.store.notices();
    let (mut intents, mut pending) = (None, Vec::new());
    if let Some((path, found)) = found {
        let (file, kept, said) = Intents::open(path, found, first, &to_millis(&clock.now()));
        (intents, pending) = (file, kept);
        notices.extend(said);
    }
    Rollout::assemble(back, clock, Front::new(state, pending), intents, notices)
}

/// A plan, and its document with all the files it names, as a store keeps it.
pub(super) fn packed(document: Document) -> Result<(Arc<Plan>, Vec<u8>), RolloutError> {
    let plan = Plan::parse(document.keeping_files()).map_err(|error| Kind::Document { error })?;
    // A plan's text is UTF-8, and so are the files it read.
    let packed = plan.document().pack().unwrap_or_default();
    Ok((Arc::new(plan), packed))
}

impl Shared {
    pub(super) fn records(&self, from: u64) -> Result<Vec<Record>, RolloutError> {
        let mut back = self.back();
        let known = std::mem::take(&mut back.journal);
        let mut records = Vec::new();
        let read = back.read_on(|_, record| {
            if record.seq >= from {
                records.push(record);
            }
            Ok(true)
        });
        back.journal = known;
        drop(back);
        self.record_waiting();
        read.map(|()| records)
    }

    pub(super) fn last(&self) -> Result<PastState, RolloutError> {
        let head = self.front().state.head.0;
        let record = self.records(head)?.into_iter().next();
        let record = record.ok_or_else(|| Kind::NotStarted { store: self.label.clone() })?;
        let state = self.front().state.clone();
        let flags = state.flags().to_vec();
        Ok(PastState { plan: state.plan, flags, moment: record.at, record })
    }

    pub(super) fn at(&self, moment: SystemTime) -> Result<PastState, RolloutError> {
        let records = self.records(1)?;
        let last = records.iter().rev().find(|record| record.at <= moment);
        let Some(last) = last else {
            return Err(Kind::NotStarted { store: self.label.clone() }.into());
        };
        let mut back = self.back();
        let known = std::mem::take(&mut back.journal);
        let state = back.fold(None, |record| record.seq <= last.seq);
        back.journal = known;
        drop(back);
        self.record_waiting();
        let Some(state) = state? else {
            return Err(Kind::NotStarted { store: self.label.clone() }.into());
        };
        let mut flags = state.flags().to_vec();
        for record in records.iter().skip_while(|record| record.seq <= last.seq) {
            let Some((flag, to)) = record.flag.as_deref().zip(record.to) else { continue };
            let place = flags.binary_search_by(|(known, _)| (**known).cmp(flag)).ok();
            // Taken back by then, though the record was written later.
            if is_in_force(&record.fact, moment)
                && let Some((_, state)) = place.and_then(|place| flags.get_mut(place))
            {
                state.stage = to;
            }
        }
        Ok(PastState { plan: state.plan, flags, record: last.clone(), moment })
    }
}

/// Whether a roll-back whose record was written late was in force by a moment.
fn is_in_force(fact: &Fact, moment: SystemTime) -> bool {
    let Fact::RolledBack { effective_ms: Some(millis), .. } = fact else { return false };
    SystemTime::UNIX_EPOCH + Duration::from_millis(*millis) <= moment
}
