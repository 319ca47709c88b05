//! One line of the journal: a record as JSON, with the hash that chains it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_derive::{Deserialize, Serialize};

use super::Hash;
use super::record::{Fact, Record};
use crate::clock::Boot;
use crate::eval::StageName;

/// Bytes that a line may have: the first record of a plan with 100,000 flags has 20 million.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 20;

/// The version of the format, which the first record names.
pub(in crate::rollout) const FORMAT: u32 = 1;

/// What stands between the hashed part of a line and its hash.
const HASH_KEY: &[u8] = b",\"hash\":\"";

/// What ends a line.
const END: &[u8] = b"\"}";

/// A record as it is written, but for its hash. The fields stand in this order.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    seq: u64,
    #[serde(borrow)]
    at: Cow<'l, str>,
    #[serde(borrow)]
    boot: Cow<'l, str>,
    up: u64,
    time: u64,
    #[serde(borrow)]
    by: Cow<'l, str>,
    #[serde(borrow)]
    doc: Cow<'l, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    flag: Option<Cow<'l, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    from: Option<Cow<'l, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    to: Option<Cow<'l, str>>,
    what: Cow<'l, Fact>,
    /// Read from the line's end, before the rest is believed.
    #[serde(default, skip_serializing, rename = "hash")]
    _hash: IgnoredAny,
}

/// The record of a line that has this number and follows a record of this hash and boot; or what is
/// wrong.
pub(super) fn read(
    line: &[u8],
    seq: u64,
    before: &Hash,
    boot: Option<&Boot>,
) -> Result<Record, String> {
    if line.len() > MAX_LINE_BYTES {
        return Err(format!("it has {} bytes, more than {MAX_LINE_BYTES}", line.len()));
    }
    let rest = line.strip_suffix(END).ok_or("it does not end with a hash")?;
    let (rest, digits) = rest
        .split_at_checked(rest.len().saturating_sub(64))
        .ok_or("it does not end with a hash")?;
    let body = rest.strip_suffix(HASH_KEY).ok_or("it does not end with a hash")?;
    let hash = Hash::parse(digits).ok_or("its hash is not 64 hexadecimal digits")?;
    if before.then(body) != hash {
        return Err("its hash does not fit: it, or a line before it, was changed".to_owned());
    }
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    if seq == 1 {
        is_of_this_format(text)?;
    }
    let line: Line<'_> =
        serde_json::from_str(text).map_err(|error| format!("it is no record: {error}"))?;
    if line.seq != seq {
        return Err(format!("it is record {}, where {seq} should be", line.seq));
    }
    line.record(hash, boot)
}

/// Whether the first line is of a format that is known; its other fields may be of a later one.
fn is_of_this_format(text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct First {
        what: Opening,
    }
    #[derive(Deserialize)]
    struct Opening {
        opened: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        journal: u32,
    }
    match serde_json::from_str(text) {
        Ok(First { what: Opening { opened: Version { journal } } }) if journal != FORMAT => {
            Err(format!("its format is version {journal}; this program reads version {FORMAT}"))
        }
        // What is wrong with it is said where it is read as a whole.
        _ => Ok(()),
    }
}

impl Line<'_> {
    fn record(self, hash: Hash, boot: Option<&Boot>) -> Result<Record, String> {
        let at: Timestamp =
            self.at.parse().map_err(|_| format!("its `at`, \"{}\", is no moment", self.at))?;
        let stage = |name: Option<Cow<'_, str>>| {
            let parse = |name: Cow<'_, str>| {
                StageName::parse(&name).map_err(|_| format!("\"{name}\" is no name of a stage"))
            };
            name.map(parse).transpose()
        };
        let boot = boot.filter(|boot| boot.as_str() == self.boot);
        Ok(Record {
            seq: self.seq,
            at: at.into(),
            boot: boot.cloned().unwrap_or_else(|| Boot::new(&*self.boot)),
            uptime: Duration::from_millis(self.up),
            time: Duration::from_millis(self.time),
            by: self.by.into(),
            document: Hash::parse(self.doc.as_bytes()).ok_or("its `doc` is no hash")?,
            flag: self.flag.map(Into::into),
            from: stage(self.from)?,
            to: stage(self.to)?,
            fact: self.what.into_owned(),
            hash,
        })
    }
}

/// The line of a record that follows a record of this hash, and the record with its hash.
pub(super) fn write(record: Record, before: &Hash) -> (Record, Vec<u8>) {
    let line = Line {
        seq: record.seq,
        at: moment(record.at).into(),
        boot: record.boot.as_str().into(),
        up: millis(record.uptime),
        time: millis(record.time),
        by: (&*record.by).into(),
        doc: record.document.to_string().into(),
        flag: record.flag.as_deref().map(Into::into),
        from: record.from.as_deref().map(Into::into),
        to: record.to.as_deref().map(Into::into),
        what: Cow::Borrowed(&record.fact),
        _hash: IgnoredAny,
    };
    // Text, numbers and lists: nothing of which serde could fail on.
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.pop();
    let hash = before.then(&bytes);
    bytes.extend_from_slice(HASH_KEY);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(END);
    bytes.push(b'\n');
    (Record { hash, ..record }, bytes)
}

/// A moment to the millisecond, in UTC: `2026-01-05T09:00:00.000Z`.
fn moment(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::try_from(at).unwrap_or(bound);
    format!("{at:.3}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The same reading to the millisecond, as a line keeps it.
pub(in crate::rollout) fn truncated(at: SystemTime) -> SystemTime {
    moment(at).parse::<Timestamp>().map_or(at, Into::into)
}
