//! Starting and opening a rollout, and reading its past.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::backend::{Backend, truncate_moment};
use super::intents::{Intents, LoadedIntents};
use super::journal_state::JournalState;
use super::live_state::LiveState;
use super::status::PastState;
use super::{Rollout, RolloutOptions, Shared};
use crate::clock::Clock;
use crate::eval::StageName;
use crate::plan::{Document, Plan};
use crate::rollout::error::Kind;
use crate::rollout::journal::{self, FORMAT, moment_of_millis};
use crate::rollout::machine;
use crate::rollout::{Fact, Hash, InitialStage, Record, RolloutError, Store, StoreError};

pub(super) fn start(
    store: Box<dyn Store>,
    clock: Box<dyn Clock>,
    document: Document,
    by: &str,
    options: &RolloutOptions,
) -> Result<Rollout, RolloutError> {
    let (plan, packed) = parse_and_pack(document)?;
    let hash = Hash::of(&packed);
    let mut backend = Backend::new(store, options);
    backend.go_to_segment_of(1)?;
    let begin = backend.journal.head().0.saturating_add(1);
    if !backend.store.read(begin).map_err(|error| backend.failed(error))?.is_empty() {
        return Err(Kind::AlreadyStarted { store: backend.store.label() }.into());
    }
    backend.store.keep(&hash.to_string(), &packed).map_err(|error| backend.failed(error))?;
    let flags = plan.flags().filter_map(|key| plan.flag(key));
    let flags =
        flags.map(|flag| InitialStage { flag: flag.key().into(), stage: flag.stage() }).collect();
    let moment = truncate_moment(&clock.now());
    let record = Record {
        seq: 0,
        at: moment.wall,
        boot: moment.boot,
        uptime: moment.uptime,
        time: Duration::ZERO,
        by: machine::truncated(by).into(),
        document: hash,
        flag: None,
        from: None,
        to: None,
        fact: Fact::Opened { journal: FORMAT, flags },
        signature: None,
        hash,
    };
    let record = backend.append(record).map_err(|error| match error.is_conflict() {
        // Another process has started it meanwhile.
        true => Kind::AlreadyStarted { store: backend.store.label() }.into(),
        false => backend.failed(error),
    })?;
    let mut state = JournalState::new(Arc::clone(&plan), &record);
    // A first record contradicts nothing.
    let _ = state.apply(&record, &plan);
    let found = options.intents.as_deref().map(|path| (path, LoadedIntents::read(path)));
    Ok(assemble(backend, clock, state, found))
}

pub(super) fn open(
    store: Box<dyn Store>,
    clock: Box<dyn Clock>,
    options: &RolloutOptions,
) -> Result<Rollout, RolloutError> {
    let mut backend = Backend::new(store, options);
    let mut found = options.intents.as_deref().map(|path| (path, LoadedIntents::read(path)));
    // The records that may fulfil an intent come after it, perhaps in an earlier segment than the last.
    let needed = found.as_ref().and_then(|(_, found)| found.first_head());
    let needed = if options.reads_all_segments { Some(1) } else { needed };
    let mut attempts = 0;
    let state = loop {
        backend.go_to_segment_of(needed.unwrap_or(u64::MAX))?;
        let replayed = backend.replay(None, |record| {
            if let Some((_, found)) = &mut found {
                found.remove_recorded(record);
            }
            true
        });
        attempts += 1;
        match replayed {
            // Another process has moved the segment to an archive meanwhile.
            Err(error)
                if attempts < 3 && error.store_error().is_some_and(StoreError::is_missing) => {}
            replayed => break replayed?,
        }
    };
    let begin = backend.journal.head().0.saturating_add(1);
    if state.is_none() && begin > 1 {
        let what = format!("the segment that begins with line {begin} is empty");
        return Err(backend.failed(StoreError::damaged(what)));
    }
    let state = state.ok_or_else(|| Kind::NotStarted { store: backend.store.label() })?;
    Ok(assemble(backend, clock, state, found))
}

/// Applies the rollbacks from the file of intents before the gate exists.
fn assemble(
    backend: Backend,
    clock: Box<dyn Clock>,
    state: JournalState,
    found: Option<(&Path, LoadedIntents)>,
) -> Rollout {
    let (mut intents, mut pending, mut notices) = (None, Vec::new(), Vec::new());
    if let Some((path, found)) = found {
        let (file, restored, problems) =
            Intents::open(path, found, state.first.0, &truncate_moment(&clock.now()));
        (intents, pending, notices) = (file, restored, problems);
    }
    let mut live = LiveState::new(state, pending);
    live.store_notices = backend.store.notices();
    Rollout::assemble(backend, clock, live, intents, notices)
}

/// Parses a plan, and packs its document with all files that it names, as a store keeps it.
pub(super) fn parse_and_pack(document: Document) -> Result<(Arc<Plan>, Vec<u8>), RolloutError> {
    let plan = Plan::parse(document.keeping_files()).map_err(|error| Kind::Document { error })?;
    // The text of a plan and of its files is UTF-8, so packing cannot fail.
    let packed = plan.document().pack().unwrap_or_default();
    Ok((Arc::new(plan), packed))
}

impl Shared {
    pub(super) fn records(&self, from: u64) -> Result<Vec<Record>, RolloutError> {
        let mut records = Vec::new();
        self.for_each_record(from, &mut |record| {
            records.push(record);
            ControlFlow::Continue(())
        })?;
        Ok(records)
    }

    /// Does not hold the lock of the store while it handles records, so that other threads can act.
    pub(super) fn for_each_record(
        &self,
        from: u64,
        each: &mut dyn FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RolloutError> {
        let from = from.max(1);
        let mut journal = self.with_past(|backend| {
            backend.go_to_segment_of(from)?;
            if backend.journal.head().0 >= from {
                // The store says where the earlier lines are.
                backend.store.read(from).map_err(|error| backend.failed(error))?;
            }
            Ok(backend.journal.clone())
        })?;
        loop {
            let next = journal.head().0.saturating_add(1);
            let lines = self.with_past(|backend| {
                backend.store.read(next).map_err(|error| backend.failed(error))
            })?;
            if lines.is_empty() {
                return Ok(());
            }
            for line in journal::lines(&lines) {
                let record = journal.read(line);
                let store = || self.label.clone();
                let record = record.map_err(|damage| Kind::Damaged { store: store(), damage })?;
                if record.seq >= from && each(record).is_break() {
                    return Ok(());
                }
            }
        }
    }

    pub(super) fn first_record(&self) -> Result<u64, RolloutError> {
        self.with_past(|backend| {
            backend.go_to_segment_of(1)?;
            Ok(backend.journal.head().0.saturating_add(1))
        })
    }

    /// Runs an action that reads earlier records, and then returns to the present position in the journal.
    fn with_past<T>(
        &self,
        action: impl FnOnce(&mut Backend) -> Result<T, RolloutError>,
    ) -> Result<T, RolloutError> {
        let mut backend = self.lock_backend();
        let known = backend.journal.clone();
        let done = action(&mut backend);
        backend.journal = known;
        drop(backend);
        self.flush_and_notify();
        done
    }

    pub(super) fn last(&self) -> Result<PastState, RolloutError> {
        let head = self.lock_live().state.head.0;
        let record = self.records(head)?.into_iter().next();
        let record = record.ok_or_else(|| Kind::NotStarted { store: self.label.clone() })?;
        let state = self.lock_live().state.clone();
        let flags = state.flags().to_vec();
        Ok(PastState { plan: state.plan, flags, moment: record.at, record })
    }

    pub(super) fn at(&self, moment: SystemTime) -> Result<PastState, RolloutError> {
        let past = self.with_past(|backend| {
            // Wall clocks may go back, so look for the last record up to then, segment by segment from the end.
            let (mut number, mut later) = (u64::MAX, Vec::new());
            loop {
                backend.go_to_segment_of(number)?;
                let begin = backend.journal.head().0.saturating_add(1);
                if begin > number {
                    // Either the rollout began later, or the store says where the earlier lines are.
                    let read = backend.store.read(number.max(1)).map_err(|e| backend.failed(e));
                    return read.map(|_| None);
                }
                let mut records = Vec::new();
                backend.read_new(|_, record| {
                    let is_in_segment = record.seq <= number;
                    records.extend(is_in_segment.then_some(record));
                    Ok(is_in_segment)
                })?;
                let split = records.iter().rposition(|record| record.at <= moment);
                later.splice(..0, records.drain(split.map_or(0, |last| last + 1)..));
                number = begin - 1;
                if let Some(last) = records.pop() {
                    backend.go_to_segment_of(last.seq)?;
                    let state = backend.replay(None, |record| record.seq <= last.seq)?;
                    return Ok(state.map(|state| (state, last, later)));
                }
            }
        })?;
        let Some((state, last, later)) = past else {
            return Err(Kind::NotStarted { store: self.label.clone() }.into());
        };
        let mut flags = state.flags().to_vec();
        for record in &later {
            // The rollback was in force by then, although its record was written later.
            if !is_in_force(&record.fact, moment) {
                continue;
            }
            for (flag, to) in rolled_back(record) {
                let index = flags.binary_search_by(|(known, _)| (**known).cmp(flag)).ok();
                if let Some((_, state)) = index.and_then(|index| flags.get_mut(index)) {
                    state.stage = to;
                }
            }
        }
        Ok(PastState { plan: state.plan, flags, record: last, moment })
    }
}

/// Returns whether a rollback that was recorded late was in force at a moment.
fn is_in_force(fact: &Fact, moment: SystemTime) -> bool {
    match fact {
        Fact::RolledBack { effective_ms: Some(millis), .. }
        | Fact::RolledBackAll { effective_ms: Some(millis), .. } => {
            moment_of_millis(*millis) <= moment
        }
        _ => false,
    }
}

/// Returns the flags that a record rolls back, with their stages after it.
fn rolled_back(record: &Record) -> Vec<(&str, StageName)> {
    match &record.fact {
        Fact::RolledBackAll { flags, .. } => {
            flags.iter().map(|back| (&*back.flag, back.to)).collect()
        }
        _ => record.flag.as_deref().zip(record.to).into_iter().collect(),
    }
}
