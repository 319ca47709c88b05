//! The store's side: one at a time, as slow as the disk.

use std::sync::Arc;

use super::Shared;
use super::state::State;
use crate::clock::Moment;
use crate::eval::StageName;
use crate::plan::{Document, Plan};
use crate::rollout::error::Kind;
use crate::rollout::journal::{self, MAX_LINE_BYTES, truncated};
use crate::rollout::{Fact, Hash, Journal, Record, RolloutError, Store, StoreError};

/// What only the holder of its lock may use.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) store: Box<dyn Store>,
    pub(super) journal: Journal,
}

/// How often a decision is made anew because another rollout was first.
pub(super) const ATTEMPTS: usize = 16;

impl Back {
    pub(super) fn new(store: Box<dyn Store>) -> Back {
        Back { store, journal: Journal::new() }
    }

    pub(super) fn failed(&self, error: StoreError) -> RolloutError {
        Kind::Store { store: self.store.label(), error }.into()
    }

    /// The plan of a document that the store keeps.
    pub(super) fn plan(&mut self, hash: Hash) -> Result<Arc<Plan>, RolloutError> {
        let packed = self.store.document(&hash.to_string()).map_err(|e| self.failed(e))?;
        let broken = |what: String| StoreError::damaged(format!("document {hash}: {what}"));
        if Hash::of(&packed) != hash {
            return Err(self.failed(broken("it is not what was kept".to_owned())));
        }
        let document = Document::unpack(&packed).map_err(|what| self.failed(broken(what)))?;
        let plan = Plan::parse(document).map_err(|error| Kind::Document { error })?;
        Ok(Arc::new(plan))
    }

    /// Reads what the journal has beyond what is known, a record at a time. `each` says whether to
    /// go on.
    pub(super) fn read_on(
        &mut self,
        mut each: impl FnMut(&mut Back, Record) -> Result<bool, RolloutError>,
    ) -> Result<(), RolloutError> {
        loop {
            let lines = self.store.read(self.journal.head().0 + 1).map_err(|e| self.failed(e))?;
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

    /// Whether the store answers at all: asks it for what comes after the last line that is known.
    pub(super) fn can_be_read(&mut self) -> Result<(), RolloutError> {
        let read = self.store.read(self.journal.head().0 + 1);
        read.map(drop).map_err(|error| self.failed(error))
    }

    /// Has a state go on by what the journal has beyond it.
    pub(super) fn fold(
        &mut self,
        state: Option<State>,
        mut until: impl FnMut(&Record) -> bool,
    ) -> Result<Option<State>, RolloutError> {
        let mut state = state;
        self.read_on(|back, record| {
            if !until(&record) {
                return Ok(false);
            }
            let known = state.as_ref().filter(|state| state.document == record.document);
            let plan = match known {
                Some(state) => Arc::clone(&state.plan),
                None => back.plan(record.document)?,
            };
            let state = state.get_or_insert_with(|| State::new(Arc::clone(&plan), record.document));
            state.apply(&record, &plan).map_err(|what| back.misfit(&record, &what))?;
            Ok(true)
        })?;
        Ok(state)
    }

    fn misfit(&self, record: &Record, what: &str) -> RolloutError {
        let what = format!("line {} does not fit what is before it: {what}", record.seq);
        self.failed(StoreError::damaged(what))
    }

    /// Writes the record that follows; durable when this returns.
    pub(super) fn append(&mut self, record: Record) -> Result<Record, StoreError> {
        let (record, line) = self.journal.write(record);
        if line.len() > MAX_LINE_BYTES {
            let message = format!("a record of {} bytes is too long to be read again", line.len());
            return Err(StoreError::refused(message));
        }
        self.store.append(record.seq, &line)?;
        self.journal.wrote(&record, &line);
        Ok(record)
    }
}

/// The same reading to the millisecond, as records keep it.
pub(super) fn to_millis(moment: &Moment) -> Moment {
    let uptime = u64::try_from(moment.uptime.as_millis()).unwrap_or(u64::MAX);
    let uptime = std::time::Duration::from_millis(uptime);
    Moment::new(truncated(moment.wall), uptime, moment.boot.clone())
}

/// What is recorded of a flag.
pub(super) struct Happened<'h> {
    pub(super) by: &'h str,
    pub(super) flag: Option<&'h str>,
    pub(super) from: Option<StageName>,
    pub(super) to: Option<StageName>,
    pub(super) document: Hash,
}

impl Shared {
    pub(super) fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.front().stage(flag, name)
    }

    /// The reading of this moment.
    pub(super) fn moment(&self) -> Moment {
        to_millis(&self.clock.now())
    }

    /// Writes a record and has the state go on by it.
    pub(super) fn write(
        &self,
        back: &mut Back,
        happened: &Happened<'_>,
        fact: Fact,
    ) -> Result<Record, RolloutError> {
        let plan = Arc::clone(&self.front().state.plan);
        self.write_under(back, happened, fact, &plan)
    }

    /// The same with the plan that is in force then.
    pub(super) fn write_under(
        &self,
        back: &mut Back,
        happened: &Happened<'_>,
        fact: Fact,
        plan: &Arc<Plan>,
    ) -> Result<Record, RolloutError> {
        let moment = self.moment();
        let time = self.front().now(&moment).stamp().time;
        let (wall, uptime, boot) = (moment.wall, moment.uptime, moment.boot);
        let record = Record {
            seq: 0,
            at: wall,
            boot,
            uptime,
            time,
            by: happened.by.into(),
            document: happened.document,
            flag: happened.flag.map(Into::into),
            from: happened.from,
            to: happened.to,
            fact,
            hash: happened.document,
        };
        {
            // A rollback that comes while this is written is of the plan that comes with it, too.
            let mut front = self.front();
            front.coming = (!Arc::ptr_eq(plan, &front.state.plan)).then(|| Arc::clone(plan));
        }
        let written = back.append(record).map_err(|error| back.failed(error));
        let mut front = self.front();
        front.coming = None;
        front.failures.written(&written);
        let record = written?;
        front.state.apply(&record, plan).map_err(|what| back.misfit(&record, &what))?;
        front.follow(&self.gate, &record);
        Ok(record)
    }

    /// Follows what others have written to the same journal, and says what that was. All of it or nothing: what was
    /// read before the store failed is read again.
    pub(super) fn catch_up(&self, back: &mut Back) -> Result<Vec<Record>, RolloutError> {
        let state = self.front().state.clone();
        let (known, mut records) = (back.journal.clone(), Vec::new());
        let note = |record: &Record| {
            records.push(record.clone());
            true
        };
        let folded = back.fold(Some(state), note);
        let mut front = self.front();
        front.failures.read(&folded);
        let state = match folded {
            Ok(Some(state)) if !records.is_empty() => state,
            Ok(_) => return Ok(records),
            Err(error) => {
                back.journal = known;
                return Err(error);
            }
        };
        let moment = self.moment();
        front.notice_calls(&self.gate, &moment);
        front.state = state;
        front.note_time(&moment);
        front.follow_all(&self.gate, &moment);
        Ok(records)
    }
}
