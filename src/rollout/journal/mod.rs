//! The journal: lines of JSON in a hash chain.

#[cfg(feature = "archive")]
mod bare;
mod line;
pub(in crate::rollout) mod names;
pub(super) mod record;
pub(super) mod saved_state;
pub(super) mod signature;
mod text;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Boot;
#[cfg(feature = "archive")]
pub(crate) use bare::{from_bare_lines, to_bare_lines};
pub(crate) use line::MAX_LINE_BYTES;
pub(in crate::rollout) use line::{FORMAT, truncate_to_millis};
use record::{Fact, Record};
use signature::Signer;
pub(in crate::rollout) use text::ToSecond;

/// Returns the moment that a record has as milliseconds since 1970, or the last one that the system can represent.
pub(in crate::rollout) fn moment_of_millis(millis: u64) -> SystemTime {
    let at = |millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    at(millis).or_else(|| at(u64::MAX >> 16)).unwrap_or(UNIX_EPOCH)
}

/// Returns the milliseconds since 1970 as a record has them. A moment before 1970 is 0.
pub(in crate::rollout) fn millis_of_moment(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A SHA-256 hash. It is displayed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

/// A damaged line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the line, from 1.
    pub line: u64,
    /// The byte at which the line begins, in its segment.
    pub offset: u64,
    /// The problem with the line.
    pub what: String,
}

/// The codec of a journal: checks each line against the one before it, and encodes the next.
#[derive(Clone, Debug)]
pub struct Journal {
    /// The number of the last record, or 0.
    seq: u64,
    /// The hash of the last record. `None` before the first record of a later segment, which names it.
    hash: Option<Hash>,
    /// The time of the last record. A later record has no earlier time.
    time: Duration,
    /// The size of the lines of the segment so far, in bytes.
    offset: u64,
    /// The size of the segment's first line, in bytes.
    first_line: u64,
    /// The boot of the last record. The next record nearly always has the same.
    boot: Option<Boot>,
    /// The version of the segment's format.
    format: u32,
}

/// Splits a journal into lines without their line ends. The last item is an incomplete line, if there is one.
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
    /// The newest version of the format that this library reads and writes.
    pub const FORMAT: u32 = FORMAT;

    /// The first version of the format that has signatures.
    pub const SIGNED_FORMAT: u32 = line::SIGNED_FORMAT;

    /// Returns the codec before the first record.
    #[must_use]
    pub fn new() -> Journal {
        let (hash, time) = (Some(Hash::ZERO), Duration::ZERO);
        Journal { seq: 0, hash, time, offset: 0, first_line: 0, boot: None, format: FORMAT }
    }

    /// Returns the codec before the record with this number, which must be the first of a segment.
    #[must_use]
    pub fn starting_at(number: u64) -> Journal {
        match number {
            0 | 1 => Journal::new(),
            number => Journal { seq: number - 1, hash: None, ..Journal::new() },
        }
    }

    /// Returns the number and hash of the last record. The number is 0 if there is none. The hash is zeros before the
    /// first record that this codec reads.
    #[must_use]
    pub fn head(&self) -> (u64, Hash) {
        (self.seq, self.hash.unwrap_or(Hash::ZERO))
    }

    /// Returns the bytes of the segment so far, and of its first line.
    pub(super) fn segment_bytes(&self) -> (u64, u64) {
        (self.offset, self.first_line)
    }

    /// Reads the next line, given without its line end.
    ///
    /// # Errors
    ///
    /// [`Damage`] if the line is not the next record. The codec then stays where it was.
    ///
    /// # Complexity
    ///
    /// Linear in the length of the line. A million records take about a second.
    pub fn read(&mut self, line: &[u8]) -> Result<Record, Damage> {
        let record =
            line::parse(line, self.seq.saturating_add(1), self.hash.as_ref(), self.boot.as_ref());
        let record = record.and_then(|record| match record.time < self.time {
            true => Err("its `time` is earlier than in the line before".to_owned()),
            false => Ok(record),
        });
        match record {
            Ok(record) => {
                self.move_to(&record, line.len() as u64 + 1);
                Ok(record)
            }
            Err(what) => {
                Err(Damage { line: self.seq.saturating_add(1), offset: self.offset, what })
            }
        }
    }

    /// Encodes the next record. Returns it with its number and hash, and its line with the line end. The codec stays
    /// where it is until [`advance`](Journal::advance).
    #[must_use]
    pub fn encode(&self, record: Record) -> (Record, Vec<u8>) {
        self.encode_signed(record, None)
    }

    /// Encodes the next record and signs it, if there is a signer and the format of the segment has signatures.
    pub(super) fn encode_signed(
        &self,
        record: Record,
        signer: Option<&dyn Signer>,
    ) -> (Record, Vec<u8>) {
        let record = Record { seq: self.seq.saturating_add(1), ..record };
        line::encode(record, &self.head().1, self.format, signer)
    }

    /// Advances past the record that [`encode`](Journal::encode) returned, once its line is durable.
    pub fn advance(&mut self, record: &Record, line: &[u8]) {
        self.move_to(record, line.len() as u64);
    }

    fn move_to(&mut self, record: &Record, bytes: u64) {
        (self.seq, self.hash, self.time) = (record.seq, Some(record.hash), record.time);
        self.format = record.fact.format().unwrap_or(self.format);
        if self.offset == 0 || matches!(record.fact, Fact::Continued { .. }) {
            (self.offset, self.first_line) = (0, bytes);
        }
        self.offset += bytes;
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

/// The value of each lower-case hexadecimal digit. A table is faster: two thirds of a journal are digits, and range
/// checks would take a tenth of the reading time.
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

/// Parses exactly so many bytes from lower-case hexadecimal digits.
pub(in crate::rollout) fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (mut bytes, mut seen) = ([0; N], 0);
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | (low & 0xf);
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

impl Hash {
    /// The hash before the first record.
    const ZERO: Hash = Hash([0; 32]);

    /// Returns the hash of the next record: of this hash and these bytes.
    fn chain(&self, bytes: &[u8]) -> Hash {
        use sha2::Digest;
        let mut digest = sha2::Sha256::new();
        digest.update(self.0);
        digest.update(bytes);
        Hash(digest.finalize().into())
    }

    /// Parses 64 lower-case hexadecimal digits.
    fn parse(digits: &[u8]) -> Option<Hash> {
        parse_hex(digits).map(Hash)
    }

    /// Returns the hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Hash {
        use sha2::Digest;
        Hash(sha2::Sha256::digest(bytes).into())
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub(in crate::rollout) fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
