//! `verify`: proves that the journal is intact, and who wrote its records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use stagegate::rollout::{Fact, Proof, Record};

use super::open::{self, rollout_failure};
use super::record::count;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Verify;
use crate::verbs::key;

/// How many records a line names. The JSON names all.
const SHOWN: usize = 20;

#[derive(Default, Serialize)]
struct VerifyResult {
    whole: bool,
    records: usize,
    /// The number of the first record that was checked. Earlier ones are in an archive.
    first: Option<u64>,
    /// The last record, in the notation of `--head`.
    head: Option<String>,
    /// Whether the journal contains the head that was passed as `--head`.
    noted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchors: Option<AnchorsResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<SignaturesResult>,
    error: Option<String>,
}

/// The anchors of `--anchor`, in the notation of `--head`.
#[derive(Default, Serialize)]
struct AnchorsResult {
    found: usize,
    missing: Vec<String>,
    /// Anchors of records that are in an archive.
    unchecked: usize,
}

/// The records by their signatures, with `--keys`.
#[derive(Default, Serialize)]
struct SignaturesResult {
    /// The number of signed records of each person or program.
    signed: BTreeMap<String, usize>,
    /// The numbers of records whose signature is wrong.
    invalid: Vec<u64>,
    /// The numbers of records without a signature by people and programs who have a key.
    unsigned: Vec<u64>,
    /// As `unsigned`, for rollbacks. These need no key.
    unsigned_rollbacks: Vec<u64>,
    /// The number of records of people and programs without a key.
    without_key: usize,
}

pub(super) fn run(args: &Verify, output: &Output) -> Result<Answer, Failure> {
    // Read first, so that a wrong file is not reported after minutes.
    let anchors = args.anchor.as_deref().map(read_anchors).transpose()?;
    let keys = args.keys.as_deref().map(key::read_public).transpose()?;
    let mut outcome = VerifyResult {
        noted: args.head.as_ref().map(|_| false),
        anchors: anchors.as_ref().map(|_| AnchorsResult::default()),
        signatures: keys.as_ref().map(|_| SignaturesResult::default()),
        ..VerifyResult::default()
    };
    let mut missing: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for (number, head) in anchors.into_iter().flatten() {
        missing.entry(number).or_default().insert(head);
    }
    let verified = open::verified_records(&args.store.access, |record| {
        let head = head(&record);
        if args.head.as_deref() == Some(&*head) {
            outcome.noted = Some(true);
        }
        if let Some(anchors) = &mut outcome.anchors {
            let found = missing.get_mut(&record.seq).is_some_and(|heads| heads.remove(&head));
            anchors.found += usize::from(found);
        }
        if let (Some(keys), Some(signatures)) = (&keys, &mut outcome.signatures) {
            signatures.add(&record, keys.check(&record));
        }
        outcome.first.get_or_insert(record.seq);
        outcome.records += 1;
        outcome.head = Some(head);
    })?;
    match verified {
        Ok(_) => outcome.whole = true,
        Err(error) if error.is_damaged() => {
            outcome = VerifyResult { error: Some(error.to_string()), ..VerifyResult::default() };
        }
        Err(error) => return Err(rollout_failure(&error)),
    }
    if let Some(anchors) = &mut outcome.anchors {
        let first = outcome.first.unwrap_or_default();
        for (number, heads) in missing {
            match number < first {
                true => anchors.unchecked += heads.len(),
                false => anchors.missing.extend(heads),
            }
        }
    }
    match args.store.format {
        Format::Human => output.text(&human(&outcome, args.head.as_deref()))?,
        Format::Json => output.json("verify", &outcome)?,
    }
    let anchors_are_good = outcome.anchors.as_ref().is_none_or(|it| it.missing.is_empty());
    let signatures_are_good = outcome
        .signatures
        .as_ref()
        .is_none_or(|it| it.invalid.is_empty() && it.unsigned.is_empty());
    let good =
        outcome.whole && outcome.noted != Some(false) && anchors_are_good && signatures_are_good;
    Ok(if good { Answer::Yes } else { Answer::No })
}

fn head(record: &Record) -> String {
    format!("{}:{}", record.seq, record.hash)
}

/// Reads a file of anchors: each line begins with the number and the hash of a record.
fn read_anchors(path: &Path) -> Result<Vec<(u64, String)>, Failure> {
    let (shown, text) = key::read(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let anchors = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let anchors = anchors.map(|(line, text)| {
        let head = text.split_whitespace().next().unwrap_or_default();
        let parsed = head.split_once(':').and_then(|(number, hash)| {
            let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            is_hash.then_some((number.parse().ok()?, head.to_owned()))
        });
        parsed.ok_or_else(|| {
            Failure::Io(format!(
                "{shown}: line {line}: `{}` is not an anchor. `stagegate anchor` prints one",
                terminal(head)
            ))
        })
    });
    anchors.collect()
}

impl SignaturesResult {
    fn add(&mut self, record: &Record, proof: Proof) {
        let is_rollback =
            matches!(record.fact, Fact::RolledBack { .. } | Fact::RolledBackAll { .. });
        match proof {
            Proof::Signed => *self.signed.entry(record.by.to_string()).or_default() += 1,
            Proof::NoKey => self.without_key += 1,
            Proof::Unsigned if is_rollback => self.unsigned_rollbacks.push(record.seq),
            Proof::Unsigned => self.unsigned.push(record.seq),
            _ => self.invalid.push(record.seq),
        }
    }
}

fn human(outcome: &VerifyResult, noted: Option<&str>) -> String {
    if let Some(error) = &outcome.error {
        return format!("{}\n", terminal(error));
    }
    let mut text = format!("intact: {}\n", count(outcome.records, "record"));
    if let Some(first) = outcome.first.filter(|first| *first > 1) {
        let last = first - 1;
        text += &format!(
            "not checked: records 1 to {last} are in an archive. Pass its directory as `--archive`\n"
        );
    }
    if let Some(head) = &outcome.head {
        text += &format!("head:   {head}\n");
    }
    match (outcome.noted, noted) {
        (Some(true), _) => text += "the noted head is in the journal\n",
        (Some(false), Some(noted)) => text += &not_in_journal(noted),
        _ => {}
    }
    if let Some(AnchorsResult { found, missing, unchecked }) = &outcome.anchors {
        text += &format!("anchors in the journal: {found}\n");
        if *unchecked > 0 {
            text += &format!("anchors of records in an archive, not checked: {unchecked}\n");
        }
        text.extend(missing.iter().map(|anchor| not_in_journal(anchor)));
    }
    if let Some(signatures) = &outcome.signatures {
        text += &human_signatures(signatures);
    }
    text
}

fn not_in_journal(head: &str) -> String {
    format!(
        "record {} is not in the journal: lines were cut off or rewritten, or it is another journal\n",
        terminal(head)
    )
}

fn human_signatures(signatures: &SignaturesResult) -> String {
    let SignaturesResult { signed, invalid, unsigned, unsigned_rollbacks, without_key } =
        signatures;
    let mut text = String::new();
    for (name, records) in signed {
        text += &format!("signed by {}: {}\n", terminal(name), count(*records, "record"));
    }
    if *without_key > 0 {
        text +=
            &format!("by people and programs without a key: {}\n", count(*without_key, "record"));
    }
    for (what, numbers) in [
        ("rollbacks without a signature (they need none)", unsigned_rollbacks),
        ("not signed, although their authors have a key", unsigned),
        ("signed by another key, or changed", invalid),
    ] {
        if !numbers.is_empty() {
            let some = numbers.iter().take(SHOWN).map(ToString::to_string);
            let some: Vec<String> = some.collect();
            let rest = match numbers.len().saturating_sub(SHOWN) {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            text += &format!("{what}: {}{rest}\n", some.join(", "));
        }
    }
    text
}
