//! The journal: one key for each record, and a key with the number of the last record.

use super::Etcd;
use super::gateway::Failure;
use super::wire::{Compare, Kv, Op, Range, Response, Txn, TxnResponse};
use crate::rollout::{Hash, StoreError};
use crate::store::removed_lines;

/// The newest state of the journal that this store has seen. A later read that lacks any of it is an error.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LastSeen {
    /// The number of the last record, or 0.
    number: u64,
    /// The revision at which that record was written.
    written: u64,
    /// The highest revision of the cluster.
    revision: u64,
}

/// The number of records in the first read, and the most in any read.
pub(super) const PAGE: u64 = 64;
const MAX_PAGE: u64 = 4096;

/// The size of a read beyond which the next one asks for fewer records.
const LARGE_PAGE_BYTES: usize = 4 << 20;

/// The byte after the mark: `WHOLE` before a line, `PIECES` before the hash of a line that is kept in pieces.
const WHOLE: u8 = b' ';
const PIECES: u8 = b'#';

/// The largest value. By default, etcd accepts requests up to 1.5 MiB.
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;

impl Etcd {
    pub(super) fn read_records(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let from = from.max(1);
        // Include the last record that was seen, if it is the previous one, to check that it is still there.
        let begin = if from == self.seen.number.saturating_add(1) { from - 1 } else { from }.max(1);
        let (range, head, first) = self.page_from(begin)?;
        if from < first {
            return Err(removed_lines(first));
        }
        let mut lines = Vec::new();
        let begin = begin.max(first);
        let mut next = begin;
        for kv in &range.kvs {
            let number = kv.key().and_then(|key| self.layout.number(&key));
            if number != Some(next) {
                return Err(self.missing_record(next));
            }
            if next == self.seen.number && kv.revision() != self.seen.written {
                return Err(self.changed_record(next));
            }
            if next >= from {
                lines.extend(self.line(next, kv)?);
            }
            if next > self.seen.number {
                (self.seen.number, self.seen.written) = (next, kv.revision());
            }
            next = next.saturating_add(1);
        }
        // A record is missing that was seen before, or that the head names.
        let known = head.unwrap_or(0).max(self.seen.number);
        if !range.more && begin <= known && next <= known {
            return Err(self.missing_record(next));
        }
        if head.unwrap_or(0) < self.seen.number {
            return Err(self.changed_record(self.seen.number));
        }
        self.page = match lines.len() {
            few if few < LARGE_PAGE_BYTES / 4 && range.more => (self.page * 2).min(MAX_PAGE),
            many if many > LARGE_PAGE_BYTES => (self.page / 2).max(1),
            _ => self.page,
        };
        Ok(lines)
    }

    /// Returns the line of a record, joined from its pieces if necessary.
    fn line(&mut self, number: u64, kv: &Kv) -> Result<Vec<u8>, StoreError> {
        let value = kv.value().unwrap_or_default();
        let stored =
            value.split_at_checked(self.mark.len()).and_then(|(_, rest)| rest.split_first());
        match stored {
            Some((&WHOLE, line)) => Ok(line.to_vec()),
            Some((&PIECES, hash)) => {
                let hash = std::str::from_utf8(hash).map_err(|_| self.changed_record(number))?;
                match self.read_document(hash) {
                    Ok(line) if Hash::of(&line).to_string() == hash => Ok(line),
                    Err(error) if !error.is_missing() && !error.is_damaged() => Err(error),
                    _ => Err(self.changed_record(number)),
                }
            }
            _ => Err(self.changed_record(number)),
        }
    }

    /// Returns the value of a record's key: the mark of its writer, then the line.
    ///
    /// After a lost answer, the mark tells this handle's record from another's. A line that is too long for a request
    /// is first kept like a document, and the record has its hash.
    fn encode_value(&mut self, line: &[u8]) -> Result<Vec<u8>, StoreError> {
        if line.len() <= MAX_VALUE_BYTES {
            return Ok([self.mark.as_bytes(), &[WHOLE], line].concat());
        }
        let hash = Hash::of(line).to_string();
        self.keep_document(&hash, line)?;
        Ok([self.mark.as_bytes(), &[PIECES], hash.as_bytes()].concat())
    }

    /// Reads a page of records, and the numbers of the last record and of the first one that is left, at one revision.
    ///
    /// The page may have one more record than `self.page`, because the caller may start with the previous record.
    fn page_from(&mut self, begin: u64) -> Result<(Range, Option<u64>, u64), StoreError> {
        let page_of = |store: &mut Etcd, page| -> Result<TxnResponse, Failure> {
            let end = store.layout.records_end();
            let records = Op::range(&store.layout.record(begin), &end, page + 1);
            let (head, first) = (store.layout.head(), store.layout.first());
            let success = vec![records, Op::get(&head), Op::get(&first)];
            store.gateway.request("/v3/kv/txn", &Txn { success, ..Txn::default() })
        };
        let page = self.page;
        let answer = page_of(self, page);
        let mut answer = match answer {
            // The answer may be too large, because some records are a thousand times longer than usual.
            Err(_) if page > PAGE => {
                self.page = 1;
                page_of(self, 1)?
            }
            answer => answer?,
        };
        self.check_revision(&answer)?;
        let mut ranges = answer.ranges();
        let records = ranges.next().unwrap_or_default();
        let mut numbers = ranges.map(|range| range.kvs.first().and_then(Kv::number));
        let (head, first) = (numbers.next().flatten(), numbers.next().flatten());
        Ok((records, head, first.unwrap_or(1)))
    }

    pub(super) fn find_segment(&mut self, number: u64) -> Result<u64, StoreError> {
        let layout = &self.layout;
        let segments = Op::range(&layout.segment(0), &layout.segments_end(), 0);
        let success = vec![segments, Op::get(&layout.first())];
        let mut answer = self.request(&Txn { success, ..Txn::default() })?;
        self.check_revision(&answer)?;
        let mut ranges = answer.ranges();
        let segments = ranges.next().unwrap_or_default();
        let first = ranges.flat_map(|range| range.kvs).next().and_then(|kv| kv.number());
        let begins = segments.kvs.iter().filter_map(Kv::number);
        let begin = begins.filter(|begin| *begin <= number).max();
        Ok(begin.max(first).unwrap_or(1))
    }

    pub(super) fn delete_records_before(&mut self, number: u64) -> Result<(), StoreError> {
        let (layout, segment) = (&self.layout, self.layout.segment(number));
        let success = vec![
            Op::delete(&layout.record(0), &layout.record(number)),
            Op::delete(&layout.segment(0), &segment),
            Op::put(&layout.first(), number.to_string().as_bytes()),
        ];
        let compare = vec![Compare::present(&segment)];
        match self.request(&Txn { compare, success, ..Txn::default() })?.succeeded {
            true => Ok(()),
            false => Err(StoreError::refused(format!("line {number} begins no segment"))),
        }
    }

    pub(super) fn append_record(
        &mut self,
        number: u64,
        line: &[u8],
        begins_segment: bool,
    ) -> Result<(), StoreError> {
        let Some(before) = number.checked_sub(1) else {
            return Err(StoreError::conflict("record numbers start at 1".to_owned()));
        };
        let value = self.encode_value(line)?;
        let (key, head) = (self.layout.record(number), self.layout.head());
        let mut compare = vec![Compare::absent(&key)];
        compare.push(match before {
            0 => Compare::absent(&head),
            _ if begins_segment && self.seen.number == 0 => Compare::absent(&head),
            before if before == self.seen.number => {
                Compare::written_at(&self.layout.record(before), self.seen.written)
            }
            before => Compare::present(&self.layout.record(before)),
        });
        let number_text = number.to_string();
        let mut success = vec![Op::put(&key, &value), Op::put(&head, number_text.as_bytes())];
        if begins_segment {
            success.push(Op::put(&self.layout.segment(number), number_text.as_bytes()));
        }
        if begins_segment && self.seen.number == 0 {
            // The store was empty.
            success.push(Op::put(&self.layout.first(), number_text.as_bytes()));
        }
        let failure = vec![Op::get(&key)];
        let txn = Txn { compare, success, failure };
        let done: Result<TxnResponse, Failure> = self.gateway.request("/v3/kv/txn", &txn);
        let mut answer = match done {
            // The record may have been written. If so, the same request finds it and writes nothing.
            Err(Failure::Unknown(_)) => {
                self.gateway.request("/v3/kv/txn", &txn).map_err(outcome_unknown)?
            }
            done => done?,
        };
        self.check_revision(&answer)?;
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
            (None, Some(_)) => Err(StoreError::conflict(format!("record {number} already exists"))),
            (None, None) if begins_segment && self.seen.number == 0 => {
                Err(StoreError::conflict("the journal is not empty"))
            }
            (None, None) if before == self.seen.number => Err(self.changed_record(before)),
            (None, None) => Err(self.missing_record(before)),
        }
    }

    /// Fails if the cluster's revision is lower than one that was seen.
    fn check_revision(&mut self, answer: &TxnResponse) -> Result<(), StoreError> {
        let revision = answer.header().revision();
        if revision < self.seen.revision {
            let known = self.seen.revision;
            return Err(StoreError::damaged(format!(
                "the cluster is at revision {revision}, but was at {known} before: {CAUSES}"
            )));
        }
        self.seen.revision = revision;
        Ok(())
    }

    fn missing_record(&self, number: u64) -> StoreError {
        let prefix = &self.layout.0;
        StoreError::damaged(format!("record {number} under `{prefix}` is missing: {CAUSES}"))
    }

    fn changed_record(&self, number: u64) -> StoreError {
        let prefix = &self.layout.0;
        StoreError::damaged(format!("record {number} under `{prefix}` has changed: {CAUSES}"))
    }
}

/// The possible causes of a lost or changed record.
const CAUSES: &str = "the cluster was wiped or restored from a backup, or keys were deleted by hand. The state in \
                      force stays; `docs/fleet.md` describes how to start over";

fn outcome_unknown(failure: Failure) -> StoreError {
    match failure {
        Failure::Unknown(error) => {
            StoreError::io(format!("{error}; whether the record was written is not known"))
        }
        Failure::Refused(error) => error,
    }
}
