//! The store and its journal: access by one thread at a time, at the speed of the disk.

use std::sync::Arc;

use super::journal_state::JournalState;
use super::tick::AUTOMATIC;
use super::{RolloutOptions, Shared};
use crate::clock::Moment;
use crate::eval::StageName;
use crate::plan::{Document, Plan};
use crate::rollout::error::Kind;
use crate::rollout::journal::{self, MAX_LINE_BYTES, truncate_to_millis};
use crate::rollout::{Fact, Hash, Journal, Record, RolloutError, Signer, Store, StoreError};

/// A store, and the position up to which its journal was read. Used only under its lock.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) store: Box<dyn Store>,
    pub(super) journal: Journal,
    /// The segment size beyond which this process begins another segment.
    segment_bytes: u64,
    /// The size of the segment when beginning another one failed.
    failed_at: Option<u64>,
    /// Each signs the records of its name.
    signers: Vec<Arc<dyn Signer>>,
}

/// How often a decision is retried because another process wrote first.
pub(super) const ATTEMPTS: usize = 16;

impl Backend {
    pub(super) fn new(store: Box<dyn Store>, options: &RolloutOptions) -> Backend {
        let (segment_bytes, signers) = (options.segment_bytes, options.signers.clone());
        Backend { store, journal: Journal::new(), segment_bytes, failed_at: None, signers }
    }

    /// Moves to the first line of the segment that holds this line.
    pub(super) fn go_to_segment_of(&mut self, number: u64) -> Result<(), RolloutError> {
        let begin = self.store.segment_of(number).map_err(|error| self.failed(error))?;
        self.journal = Journal::starting_at(begin);
        Ok(())
    }

    /// Returns whether the segment is long enough to begin another one. It is at least eight times as long as the state
    /// at its beginning.
    fn is_segment_full(&self) -> bool {
        let (bytes, state) = self.journal.segment_bytes();
        let least = self.failed_at.map_or(0, |bytes| bytes.saturating_add(bytes / 2));
        bytes > self.segment_bytes.max(least) && bytes / 8 > state
    }

    pub(super) fn failed(&self, error: StoreError) -> RolloutError {
        Kind::Store { store: self.store.label(), error }.into()
    }

    /// Loads a document from the store and parses its plan.
    pub(super) fn load_plan(&mut self, hash: Hash) -> Result<Arc<Plan>, RolloutError> {
        let packed = self.store.document(&hash.to_string()).map_err(|e| self.failed(e))?;
        let broken = |what: String| StoreError::damaged(format!("document {hash}: {what}"));
        if Hash::of(&packed) != hash {
            return Err(self.failed(broken("its content does not match its hash".to_owned())));
        }
        let document = Document::unpack(&packed).map_err(|what| self.failed(broken(what)))?;
        let plan = Plan::parse(document).map_err(|error| Kind::Document { error })?;
        Ok(Arc::new(plan))
    }

    /// Reads the new records of the journal and passes each to `each`, until `each` returns `false`.
    pub(super) fn read_new(
        &mut self,
        mut each: impl FnMut(&mut Backend, Record) -> Result<bool, RolloutError>,
    ) -> Result<(), RolloutError> {
        loop {
            let next = self.journal.head().0.saturating_add(1);
            let lines = self.store.read(next).map_err(|e| self.failed(e))?;
            if lines.is_empty() {
                return Ok(());
            }
            for line in journal::lines(&lines) {
                let store = || self.store.label();
                let before = self.journal.clone();
                let record = self.journal.read(line);
                let record = record.map_err(|damage| Kind::Damaged { store: store(), damage })?;
                if !each(self, record)? {
                    self.journal = before;
                    return Ok(());
                }
            }
        }
    }

    /// Checks that the store answers, by reading after the last known line.
    pub(super) fn check_readable(&mut self) -> Result<(), RolloutError> {
        let read = self.store.read(self.journal.head().0.saturating_add(1));
        read.map(drop).map_err(|error| self.failed(error))
    }

    /// Applies the new records of the journal to a state, as long as `accept` returns `true`.
    pub(super) fn replay(
        &mut self,
        state: Option<JournalState>,
        mut accept: impl FnMut(&Record) -> bool,
    ) -> Result<Option<JournalState>, RolloutError> {
        let mut state = state;
        self.read_new(|backend, record| {
            if !accept(&record) {
                return Ok(false);
            }
            let known = state.as_ref().filter(|state| state.document == record.document);
            let plan = match known {
                Some(state) => Arc::clone(&state.plan),
                None => backend.load_plan(record.document)?,
            };
            let state = match (&mut state, &record.fact) {
                (Some(state), _) => state,
                (none, Fact::Continued { state: saved, .. }) => {
                    let load = |document| backend.load_plan(document);
                    none.insert(JournalState::restore(saved, Arc::clone(&plan), &record, load)?)
                }
                (none, _) => none.insert(JournalState::new(Arc::clone(&plan), &record)),
            };
            state.apply(&record, &plan).map_err(|what| backend.contradiction(&record, &what))?;
            Ok(true)
        })?;
        Ok(state)
    }

    fn contradiction(&self, record: &Record, what: &str) -> RolloutError {
        let what = format!("line {} contradicts the lines before it: {what}", record.seq);
        self.failed(StoreError::damaged(what))
    }

    /// Appends the next record. It is durable when this returns. The first record of a segment begins the segment.
    pub(super) fn append(&mut self, record: Record) -> Result<Record, StoreError> {
        let signer = self.signers.iter().rfind(|signer| signer.name() == &*record.by);
        let (record, line) = self.journal.encode_signed(record, signer.map(|signer| &**signer));
        if line.len() > MAX_LINE_BYTES {
            let message =
                format!("a record of {} bytes is too long: at most {MAX_LINE_BYTES}", line.len());
            return Err(StoreError::refused(message));
        }
        match record.fact {
            Fact::Continued { .. } => self.store.begin_segment(record.seq, &line)?,
            _ => self.store.append(record.seq, &line)?,
        }
        self.journal.advance(&record, &line);
        Ok(record)
    }
}

/// Truncates a moment to milliseconds, the precision of records.
pub(super) fn truncate_moment(moment: &Moment) -> Moment {
    let uptime = u64::try_from(moment.uptime.as_millis()).unwrap_or(u64::MAX);
    let uptime = std::time::Duration::from_millis(uptime);
    Moment::new(truncate_to_millis(moment.wall), uptime, moment.boot.clone())
}

/// Everything in a record except the time and the fact.
pub(super) struct RecordHeader<'h> {
    pub(super) by: &'h str,
    pub(super) flag: Option<&'h str>,
    pub(super) from: Option<StageName>,
    pub(super) to: Option<StageName>,
    pub(super) document: Hash,
}

impl Shared {
    pub(super) fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.lock_live().stage(flag, name)
    }

    /// Returns the current moment, truncated to milliseconds.
    pub(super) fn moment(&self) -> Moment {
        truncate_moment(&self.clock.now())
    }

    /// Writes a record and applies it to the state.
    pub(super) fn write(
        &self,
        backend: &mut Backend,
        header: &RecordHeader<'_>,
        fact: Fact,
    ) -> Result<Record, RolloutError> {
        let plan = Arc::clone(&self.lock_live().state.plan);
        self.write_with_plan(backend, header, fact, &plan)
    }

    /// Writes a record that puts `plan` in force, and applies it to the state.
    pub(super) fn write_with_plan(
        &self,
        backend: &mut Backend,
        header: &RecordHeader<'_>,
        fact: Fact,
        plan: &Arc<Plan>,
    ) -> Result<Record, RolloutError> {
        let moment = self.moment();
        let time = self.lock_live().now(&moment).stamp().time;
        let (wall, uptime, boot) = (moment.wall, moment.uptime, moment.boot);
        let record = Record {
            seq: 0,
            at: wall,
            boot,
            uptime,
            time,
            by: header.by.into(),
            document: header.document,
            flag: header.flag.map(Into::into),
            from: header.from,
            to: header.to,
            fact,
            signature: None,
            hash: header.document,
        };
        {
            // A rollback may come while this record is being written. It must also find the flags that the new plan
            // adds.
            let mut live = self.lock_live();
            live.incoming_plan = (!Arc::ptr_eq(plan, &live.state.plan)).then(|| Arc::clone(plan));
        }
        let written = backend.append(record).map_err(|error| backend.failed(error));
        let mut live = self.lock_live();
        live.incoming_plan = None;
        live.failures.note_written(&written);
        live.store_notices = backend.store.notices();
        let record = written?;
        live.state.apply(&record, plan).map_err(|what| backend.contradiction(&record, &what))?;
        live.apply_to_gate(&self.gate, &record);
        drop(live);
        if backend.is_segment_full() {
            // The record itself is written. After a failure, the segment first grows by half.
            let (fact, document) = {
                let live = self.lock_live();
                (live.state.next_segment(live.state.format), live.state.document)
            };
            let header = RecordHeader { by: AUTOMATIC, flag: None, from: None, to: None, document };
            let begun = self.write(backend, &header, fact);
            let (bytes, _) = backend.journal.segment_bytes();
            backend.failed_at = begun.is_err().then_some(bytes);
        }
        Ok(record)
    }

    /// Reads the records that other processes have written, applies them and returns them.
    ///
    /// If the store fails in between, applies none: the next call reads them again.
    pub(super) fn catch_up(&self, backend: &mut Backend) -> Result<Vec<Record>, RolloutError> {
        let state = self.lock_live().state.clone();
        let (known, mut records) = (backend.journal.clone(), Vec::new());
        let note = |records: &mut Vec<Record>, record: &Record| {
            records.push(record.clone());
            true
        };
        let mut replayed = backend.replay(Some(state), |record| note(&mut records, record));
        if replayed
            .as_ref()
            .is_err_and(|error| error.store_error().is_some_and(StoreError::is_missing))
        {
            // The next records were moved to an archive, so continue from the state in the last segment.
            records.clear();
            let gone = backend.go_to_segment_of(u64::MAX);
            replayed =
                gone.and_then(|()| backend.replay(None, |record| note(&mut records, record)));
        }
        let mut live = self.lock_live();
        live.failures.note_read(&replayed);
        let state = match replayed {
            Ok(Some(state)) if !records.is_empty() => state,
            Ok(_) => return Ok(records),
            Err(error) => {
                backend.journal = known;
                return Err(error);
            }
        };
        let moment = self.moment();
        live.collect_gate_calls(&self.gate, &moment);
        live.state = state;
        live.note_time(&moment);
        live.sync_gate(&self.gate, &moment);
        Ok(records)
    }
}
