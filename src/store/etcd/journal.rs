//! The journal: a key a record, and the number of the last one.

use super::Etcd;
use super::gateway::Failure;
use super::wire::{Answer, Compare, Kv, Op, Range, Txn, TxnAnswer};
use crate::rollout::{Hash, StoreError};

/// What this store has seen of the journal: of that nothing may ever be gone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// The last record, 0 for none, and the revision at which it was written.
    number: u64,
    written: u64,
    /// The highest revision of the cluster.
    revision: u64,
}

/// Records that are asked for at once to begin with, and at most.
pub(super) const PAGE: u64 = 64;
const MOST: u64 = 4096;

/// Bytes of a page beyond which the next one has fewer records.
const LARGE: usize = 4 << 20;

/// What stands between the mark and a line, or the hash of a line that is kept in pieces.
const WHOLE: u8 = b' ';
const PIECES: u8 = b'#';

/// Bytes of a value at most: etcd takes a request of 1.5 MiB, by default.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;

impl Etcd {
    pub(super) fn read_records(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let from = from.max(1);
        // With the last that was seen, if it is the one before: it has to be there still.
        let begin = if from == self.seen.number.saturating_add(1) { from - 1 } else { from }.max(1);
        let (range, head) = self.page_from(begin)?;
        let mut lines = Vec::new();
        let mut next = begin;
        for kv in &range.kvs {
            let number = kv.key().and_then(|key| self.layout.number(&key));
            if number != Some(next) {
                return Err(self.lost(next));
            }
            if next == self.seen.number && kv.revision() != self.seen.written {
                return Err(self.changed(next));
            }
            if next >= from {
                lines.extend(self.line(next, kv)?);
            }
            if next > self.seen.number {
                (self.seen.number, self.seen.written) = (next, kv.revision());
            }
            next = next.saturating_add(1);
        }
        // What is known of, or said to be the last, is not there.
        let known = head.unwrap_or(0).max(self.seen.number);
        if !range.more && begin <= known && next <= known {
            return Err(self.lost(next));
        }
        if head.unwrap_or(0) < self.seen.number {
            return Err(self.changed(self.seen.number));
        }
        self.page = match lines.len() {
            few if few < LARGE / 4 && range.more => (self.page * 2).min(MOST),
            many if many > LARGE => (self.page / 2).max(1),
            _ => self.page,
        };
        Ok(lines)
    }

    /// The line of a record, or of the pieces that it names.
    fn line(&mut self, number: u64, kv: &Kv) -> Result<Vec<u8>, StoreError> {
        let value = kv.value().unwrap_or_default();
        let stored =
            value.split_at_checked(self.mark.len()).and_then(|(_, rest)| rest.split_first());
        match stored {
            Some((&WHOLE, line)) => Ok(line.to_vec()),
            Some((&PIECES, hash)) => {
                let hash = std::str::from_utf8(hash).map_err(|_| self.changed(number))?;
                match self.read_document(hash) {
                    Ok(line) if Hash::of(&line).to_string() == hash => Ok(line),
                    Err(error) if !error.is_missing() && !error.is_damaged() => Err(error),
                    _ => Err(self.changed(number)),
                }
            }
            _ => Err(self.changed(number)),
        }
    }

    /// What the key of a record holds: who has written it, so that a lost answer can be told from another's
    /// record, then the line. A line too long for a request is kept like a document, before the record that
    /// names it by its hash.
    fn stored(&mut self, line: &[u8]) -> Result<Vec<u8>, StoreError> {
        if line.len() <= MAX_VALUE_BYTES {
            return Ok([self.mark.as_bytes(), &[WHOLE], line].concat());
        }
        let hash = Hash::of(line).to_string();
        self.keep_document(&hash, line)?;
        Ok([self.mark.as_bytes(), &[PIECES], hash.as_bytes()].concat())
    }

    /// A page of records and the one that may stand before it, and the number of the last there is, both at one revision.
    fn page_from(&mut self, begin: u64) -> Result<(Range, Option<u64>), StoreError> {
        let page_of = |store: &mut Etcd, page| -> Result<TxnAnswer, Failure> {
            let end = store.layout.records_end();
            let records = Op::range(&store.layout.record(begin), &end, page + 1);
            let success = vec![records, Op::get(&store.layout.head())];
            store.gateway.ask("/v3/kv/txn", &Txn { success, ..Txn::default() })
        };
        let page = self.page;
        let answer = page_of(self, page);
        let mut answer = match answer {
            // Records may be a thousand times as long as they mostly are.
            Err(_) if page > PAGE => {
                self.page = 1;
                page_of(self, 1)?
            }
            answer => answer?,
        };
        self.is_later(&answer)?;
        let mut ranges = answer.ranges();
        let (records, head) =
            (ranges.next().unwrap_or_default(), ranges.next().unwrap_or_default());
        Ok((records, head.kvs.first().and_then(Kv::number)))
    }

    pub(super) fn append_record(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let Some(before) = number.checked_sub(1) else {
            return Err(StoreError::conflict("no record has number 0".to_owned()));
        };
        let value = self.stored(line)?;
        let (key, head) = (self.layout.record(number), self.layout.head());
        let mut compare = vec![Compare::absent(&key)];
        compare.push(match before {
            0 => Compare::absent(&head),
            before if before == self.seen.number => {
                Compare::written_at(&self.layout.record(before), self.seen.written)
            }
            before => Compare::present(&self.layout.record(before)),
        });
        let success = vec![Op::put(&key, &value), Op::put(&head, number.to_string().as_bytes())];
        let failure = vec![Op::get(&key)];
        let txn = Txn { compare, success, failure };
        let done: Result<TxnAnswer, Failure> = self.gateway.ask("/v3/kv/txn", &txn);
        let mut answer = match done {
            // It may be written. The same once more writes nothing then, and finds it.
            Err(Failure::Unknown(_)) => self.gateway.ask("/v3/kv/txn", &txn).map_err(unknown)?,
            done => done?,
        };
        self.is_later(&answer)?;
        let written = if answer.succeeded { Some(answer.header().revision()) } else { None };
        let found = answer.ranges().flat_map(|range| range.kvs).next();
        let ours = found.as_ref().filter(|kv| kv.value().as_ref() == Some(&value));
        match (written.or(ours.map(Kv::revision)), found) {
            (Some(written), _) => {
                if number > self.seen.number {
                    (self.seen.number, self.seen.written) = (number, written);
                }
                Ok(())
            }
            (None, Some(_)) => {
                Err(StoreError::conflict(format!("there is a record {number} already")))
            }
            (None, None) if before == self.seen.number => Err(self.changed(before)),
            (None, None) => Err(self.lost(before)),
        }
    }

    /// That the cluster has not gone back behind what was seen.
    fn is_later(&mut self, answer: &TxnAnswer) -> Result<(), StoreError> {
        let revision = answer.header().revision();
        if revision < self.seen.revision {
            let known = self.seen.revision;
            return Err(StoreError::damaged(format!(
                "the cluster is at revision {revision} and was at {known}: {HOW}"
            )));
        }
        self.seen.revision = revision;
        Ok(())
    }

    fn lost(&self, number: u64) -> StoreError {
        let prefix = &self.layout.0;
        StoreError::damaged(format!("record {number} under `{prefix}` is not there: {HOW}"))
    }

    fn changed(&self, number: u64) -> StoreError {
        let prefix = &self.layout.0;
        StoreError::damaged(format!("record {number} under `{prefix}` is not what it was: {HOW}"))
    }
}

/// What has become of what is not there, and what to do.
const HOW: &str = "the cluster was wiped or restored from a backup, or keys were deleted by hand; nothing is begun \
                   anew by itself";

fn unknown(failure: Failure) -> StoreError {
    match failure {
        Failure::Unknown(error) => {
            StoreError::io(format!("{error}; whether the record was written is not known"))
        }
        Failure::Refused(error) => error,
    }
}
