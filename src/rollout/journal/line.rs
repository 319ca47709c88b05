//! One line of the journal: a record as JSON, with its hash in the chain.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_derive::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Hash;
use super::record::{Fact, Record};
use super::signature::{RecordSignature, Signer};
use crate::clock::Boot;
use crate::eval::StageName;

/// The maximum size of a line in bytes. The first record of a plan with 100,000 flags has 20 million.
pub(crate) const MAX_LINE_BYTES: usize = 64 << 20;

/// The newest version of the journal's format. The first record of each segment names the version of the segment.
///
/// | version | new in it |
/// | --- | --- |
/// | 1 | |
/// | 2 | signatures |
pub(in crate::rollout) const FORMAT: u32 = 2;

/// The first version that has signatures.
pub(super) const SIGNED_FORMAT: u32 = 2;

/// The bytes between the hashed part of a line and its hash.
pub(super) const HASH_KEY: &[u8] = b",\"hash\":\"";

/// The end of a line.
pub(super) const END: &[u8] = b"\"}";

/// The JSON of a record without its signature and hash. The order of the fields is the order in the line.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line<'l, F> {
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
    /// Whether a reader that does not know the fact may ignore the record.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    skip: bool,
    what: F,
    /// The signature is read from the end of the line, like the hash.
    #[serde(default, skip_serializing)]
    sig: Option<IgnoredAny>,
    /// The hash is read from the end of the line and checked before the JSON is parsed.
    #[serde(default, skip_serializing, rename = "hash")]
    _hash: IgnoredAny,
}

/// A fact of a later version: its name and its fields.
type UnknownFact<'l> = BTreeMap<Cow<'l, str>, Cow<'l, RawValue>>;

/// Parses a line as record `seq`, which follows a record with this hash and boot. Without a hash, the line must begin a
/// segment, and names the hash itself.
///
/// # Errors
///
/// The problem with the line, as text.
pub(super) fn parse(
    line: &[u8],
    seq: u64,
    before: Option<&Hash>,
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
    let named = match before {
        Some(_) => None,
        None => Some(named_hash(line).ok_or("it does not begin a segment of the journal")?),
    };
    if before.or(named.as_ref()).is_none_or(|before| before.chain(body) != hash) {
        return Err("its hash does not fit: it, or a line before it, was changed".to_owned());
    }
    let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let parsed: Result<Line<'_, Cow<'_, Fact>>, _> = serde_json::from_str(text);
    let is_known = |line: &Line<'_, Cow<'_, Fact>>| line.what.format().is_none_or(is_readable);
    if !parsed.as_ref().is_ok_and(is_known) {
        check_format(text)?;
    }
    let (has_sig, record) = match parsed {
        Ok(line) => (line.sig.is_some(), line.into_record(hash, boot, Cow::into_owned)?),
        Err(error) => {
            let line = unknown_fact(text, &error)?;
            (line.sig.is_some(), line.into_record(hash, boot, Fact::unknown)?)
        }
    };
    if record.seq != seq {
        return Err(format!("it is record {}, where {seq} should be", record.seq));
    }
    let signature = match has_sig {
        false => None,
        true => Some(Box::new(RecordSignature::parse(body, |unsigned| {
            before.or(named.as_ref()).unwrap_or(&Hash::ZERO).chain(unsigned)
        })?)),
    };
    Ok(Record { signature, ..record })
}

/// Parses a record that a later version has written. Returns it if this version may ignore it.
fn unknown_fact<'l>(
    text: &'l str,
    error: &serde_json::Error,
) -> Result<Line<'l, UnknownFact<'l>>, String> {
    let invalid = || format!("it is not a valid record: {error}");
    let line: Line<'_, UnknownFact<'_>> = serde_json::from_str(text).map_err(|_| invalid())?;
    let name = line.what.keys().next().filter(|_| line.what.len() == 1).ok_or_else(invalid)?;
    match Fact::is_known(name) {
        false if line.skip => Ok(line),
        false => Err(format!(
            "a newer version of stagegate wrote it: `{}` is unknown to this one. Install the newer version",
            name.escape_debug()
        )),
        // Of a known fact, a field may matter.
        true if error.to_string().starts_with("unknown ") => Err(format!(
            "a newer version of stagegate wrote it: {error}. Install the newer version"
        )),
        true => Err(invalid()),
    }
}

fn is_readable(format: u32) -> bool {
    (1..=FORMAT).contains(&format)
}

/// The fields of a segment's first line that every version has.
#[derive(Deserialize)]
struct First {
    what: Opening,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Opening {
    Opened { journal: u32 },
    Continued { journal: u32, after: String },
}

/// Checks the format's version in the first line of a segment. Ignores other fields, which may belong to a later
/// version.
fn check_format(text: &str) -> Result<(), String> {
    match serde_json::from_str(text) {
        Ok(First { what: Opening::Opened { journal } | Opening::Continued { journal, .. } })
            if !is_readable(journal) =>
        {
            Err(format!(
                "its format is version {journal}; this program reads versions up to {FORMAT}. Install a newer version \
                 of stagegate"
            ))
        }
        // The parser of the whole line reports other mistakes.
        _ => Ok(()),
    }
}

/// Returns the hash of the record before, as the first line of a later segment names it.
pub(super) fn named_hash(line: &[u8]) -> Option<Hash> {
    match serde_json::from_slice(line) {
        Ok(First { what: Opening::Continued { after, .. } }) => Hash::parse(after.as_bytes()),
        _ => None,
    }
}

impl Fact {
    /// Returns the version of the journal's format, if this is the first record of a segment.
    pub(in crate::rollout) fn format(&self) -> Option<u32> {
        match self {
            Fact::Opened { journal, .. } | Fact::Continued { journal, .. } => Some(*journal),
            _ => None,
        }
    }

    /// Returns whether this version has a fact with this name.
    fn is_known(name: &str) -> bool {
        // No fact is a number, so this fails. The error says whether the name or the number is wrong.
        let number = serde_json::json!({ name: 0 });
        serde_json::from_value::<Fact>(number)
            .is_err_and(|error| !error.to_string().starts_with("unknown variant"))
    }

    fn unknown(fact: UnknownFact<'_>) -> Fact {
        let (name, content) = fact.into_iter().next().unwrap_or_default();
        Fact::Unknown { name: name.into(), content: content.get().into() }
    }
}

impl<F> Line<'_, F> {
    /// Returns the record, without its signature.
    fn into_record(
        self,
        hash: Hash,
        boot: Option<&Boot>,
        fact: impl FnOnce(F) -> Fact,
    ) -> Result<Record, String> {
        let at: Timestamp =
            self.at.parse().map_err(|_| format!("its `at` is not a time: \"{}\"", self.at))?;
        let stage = |name: Option<Cow<'_, str>>| {
            let parse = |name: Cow<'_, str>| {
                StageName::parse(&name)
                    .map_err(|_| format!("\"{name}\" is not the name of a stage"))
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
            document: Hash::parse(self.doc.as_bytes()).ok_or("its `doc` is not a hash")?,
            flag: self.flag.map(Into::into),
            from: stage(self.from)?,
            to: stage(self.to)?,
            fact: fact(self.what),
            signature: None,
            hash,
        })
    }
}

/// Encodes a record that follows a record with this hash, in a segment of this format. Signs it if there is a signer and
/// the format has signatures. Returns the record with its own hash, and its line.
pub(super) fn encode(
    record: Record,
    before: &Hash,
    format: u32,
    signer: Option<&dyn Signer>,
) -> (Record, Vec<u8>) {
    // Serializing texts, numbers and lists cannot fail.
    let mut bytes = match &record.fact {
        Fact::Unknown { name, content } => {
            let content = RawValue::from_string(content.to_string()).unwrap_or_default();
            let what = UnknownFact::from([((&**name).into(), Cow::Owned(content))]);
            serde_json::to_vec(&line(&record, true, what))
        }
        fact => serde_json::to_vec(&line(&record, false, Cow::Borrowed(fact))),
    }
    .unwrap_or_default();
    bytes.pop();
    let format = record.fact.format().unwrap_or(format);
    let signature = match signer.filter(|_| format >= SIGNED_FORMAT) {
        Some(signer) => Some(Box::new(RecordSignature::new(before.chain(&bytes), signer))),
        None => record.signature,
    };
    if let Some(signature) = &signature {
        signature.write(&mut bytes);
    }
    let hash = before.chain(&bytes);
    bytes.extend_from_slice(HASH_KEY);
    bytes.extend_from_slice(hash.to_string().as_bytes());
    bytes.extend_from_slice(END);
    bytes.push(b'\n');
    (Record { hash, signature, ..record }, bytes)
}

fn line<F>(record: &Record, skip: bool, what: F) -> Line<'_, F> {
    Line {
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
        skip,
        what,
        sig: None,
        _hash: IgnoredAny,
    }
}

/// Formats a moment in UTC, to the millisecond: `2026-01-05T09:00:00.000Z`.
fn moment(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    let at = Timestamp::try_from(at).unwrap_or(bound);
    format!("{at:.3}")
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Truncates a time to milliseconds, the precision of a line.
pub(in crate::rollout) fn truncate_to_millis(at: SystemTime) -> SystemTime {
    moment(at).parse::<Timestamp>().map_or(at, Into::into)
}
