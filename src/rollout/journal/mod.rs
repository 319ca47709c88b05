//! The journal: lines of JSON, chained by hashes.

mod line;
mod names;
pub(super) mod record;
mod text;

use std::fmt;
use std::time::Duration;

use crate::clock::Boot;
pub(crate) use line::MAX_LINE_BYTES;
pub(in crate::rollout) use line::{FORMAT, truncated};
use record::Record;

/// A SHA-256 hash. Printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

/// A line that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the line, from 1.
    pub line: u64,
    /// The byte at which it begins.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

/// The codec: reads lines one after the other, each proved against the one before, and writes the
/// next.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The number of the last record; 0 for none.
    seq: u64,
    /// Its hash.
    hash: Hash,
    /// Its time: none that follows is earlier.
    time: Duration,
    /// The bytes of all lines so far.
    offset: u64,
    /// The boot of the last record: nearly always that of the next.
    boot: Option<Boot>,
}

/// The lines of a journal, without their line ends; at the end what comes after the last one, if
/// anything does.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    let rest = !bytes.is_empty() && !bytes.ends_with(b"\n");
    let ends = memchr::memchr_iter(b'\n', bytes).chain(rest.then_some(bytes.len()));
    ends.filter_map(move |end| {
        let line = bytes.get(begin..end);
        begin = end + 1;
        line
    })
}

impl Journal {
    /// Before the first record.
    #[must_use]
    pub fn new() -> Journal {
        Journal { seq: 0, hash: Hash::ZERO, time: Duration::ZERO, offset: 0, boot: None }
    }

    /// The number of the last record, 0 for none, and its hash.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        (self.seq, self.hash)
    }

    /// Reads the next line, without its line end.
    ///
    /// # Errors
    ///
    /// [`Damage`] when it is not the record that follows; the journal is then where it was.
    ///
    /// # Complexity
    ///
    /// Linear in the line. A million records take about a second.
    pub fn read(&mut self, line: &[u8]) -> Result<Record, Damage> {
        let record = line::read(line, self.seq + 1, &self.hash, self.boot.as_ref());
        let record = record.and_then(|record| match record.time < self.time {
            true => Err("its `time` is before that of the line before".to_owned()),
            false => Ok(record),
        });
        match record {
            Ok(record) => {
                self.offset += line.len() as u64 + 1;
                self.wrote_at(&record);
                Ok(record)
            }
            Err(what) => Err(Damage { line: self.seq + 1, offset: self.offset, what }),
        }
    }

    /// The next line with its line end, and the record with its number and hash set. The journal
    /// goes on to it only with [`wrote`](Journal::wrote).
    #[must_use]
    pub fn write(&self, record: Record) -> (Record, Vec<u8>) {
        line::write(Record { seq: self.seq + 1, ..record }, &self.hash)
    }

    /// The line that `write` made is durable.
    pub fn wrote(&mut self, record: &Record, line: &[u8]) {
        self.offset += line.len() as u64;
        self.wrote_at(record);
    }

    fn wrote_at(&mut self, record: &Record) {
        (self.seq, self.hash, self.time) = (record.seq, record.hash, record.time);
        if self.boot.as_ref() != Some(&record.boot) {
            self.boot = Some(record.boot.clone());
        }
    }
}

impl Default for Journal {
    fn default() -> Journal {
        Journal::new()
    }
}

/// The value of each lower-case hexadecimal digit. A table, as two thirds of a journal are digits: to
/// compare each with its bounds takes a tenth of the time that reading one takes.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

const NO_DIGIT: u8 = 0x80;

impl Hash {
    /// What the first record is chained to.
    const ZERO: Hash = Hash([0; 32]);

    /// The hash that follows: of the one before and these bytes.
    fn then(&self, bytes: &[u8]) -> Hash {
        use sha2::Digest;
        let mut digest = sha2::Sha256::new();
        digest.update(self.0);
        digest.update(bytes);
        Hash(digest.finalize().into())
    }

    /// The hash that stands in hexadecimal digits, lower case.
    fn parse(digits: &[u8]) -> Option<Hash> {
        let (mut bytes, mut seen) = ([0; 32], 0);
        let (pairs, []) = digits.as_chunks::<2>() else { return None };
        if pairs.len() != bytes.len() {
            return None;
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
            seen |= high | low;
            *byte = high << 4 | (low & 0xf);
        }
        (seen & NO_DIGIT == 0).then_some(Hash(bytes))
    }

    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Hash {
        use sha2::Digest;
        Hash(sha2::Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
