//! `verify`: proves that the journal is intact.

use serde::Serialize;
use stagegate::rollout::{Record, RolloutError};

use super::open::{self, rollout_failure};
use super::record::count;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Verify;

#[derive(Serialize)]
struct VerifyResult {
    whole: bool,
    records: usize,
    /// The number of the first record that was checked. Earlier ones are in an archive.
    first: Option<u64>,
    /// The last record, in the notation of `--head`.
    head: Option<String>,
    /// Whether the journal contains the head that was passed as `--head`.
    noted: Option<bool>,
    error: Option<String>,
}

pub(super) fn run(args: &Verify, output: &Output) -> Result<Answer, Failure> {
    let outcome = match open::verified_records(&args.store.access)? {
        Ok(records) => intact(&records, args.head.as_deref()),
        Err(error) if error.is_damaged() => damaged(&error),
        Err(error) => return Err(rollout_failure(&error)),
    };
    match args.store.format {
        Format::Human => output.text(&human(&outcome, args.head.as_deref()))?,
        Format::Json => output.json("verify", &outcome)?,
    }
    let good = outcome.whole && outcome.noted != Some(false);
    Ok(if good { Answer::Yes } else { Answer::No })
}

fn head(record: &Record) -> String {
    format!("{}:{}", record.seq, record.hash)
}

fn intact(records: &[Record], noted: Option<&str>) -> VerifyResult {
    VerifyResult {
        whole: true,
        records: records.len(),
        first: records.first().map(|record| record.seq),
        head: records.last().map(head),
        noted: noted.map(|noted| records.iter().any(|record| head(record) == *noted)),
        error: None,
    }
}

fn damaged(error: &RolloutError) -> VerifyResult {
    let error = Some(error.to_string());
    VerifyResult { whole: false, records: 0, first: None, head: None, noted: None, error }
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
        (Some(false), Some(noted)) => {
            text += &format!(
                "record {} is not in the journal: lines were cut off, or it is another journal\n",
                terminal(noted)
            );
        }
        _ => {}
    }
    text
}
