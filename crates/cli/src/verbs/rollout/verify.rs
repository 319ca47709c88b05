//! `verify`: whether the journal is what was written.

use serde::Serialize;
use stagegate::rollout::{Record, RolloutError};

use super::opened::{self, failed};
use super::record::count;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Verify;

#[derive(Serialize)]
struct Outcome {
    whole: bool,
    records: usize,
    /// As `--head` takes it.
    head: Option<String>,
    /// Whether the head that was noted is in the journal.
    noted: Option<bool>,
    error: Option<String>,
}

pub(super) fn run(args: &Verify, output: &Output) -> Result<Answer, Failure> {
    let outcome = match opened::proved(&args.store)? {
        Ok(records) => whole(&records, args.head.as_deref()),
        Err(error) if error.is_damaged() => broken(&error),
        Err(error) => return Err(failed(&error)),
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

fn whole(records: &[Record], noted: Option<&str>) -> Outcome {
    Outcome {
        whole: true,
        records: records.len(),
        head: records.last().map(head),
        noted: noted.map(|noted| records.iter().any(|record| head(record) == *noted)),
        error: None,
    }
}

fn broken(error: &RolloutError) -> Outcome {
    let error = Some(error.to_string());
    Outcome { whole: false, records: 0, head: None, noted: None, error }
}

fn human(outcome: &Outcome, noted: Option<&str>) -> String {
    if let Some(error) = &outcome.error {
        return format!("{}\n", terminal(error));
    }
    let mut text = format!("whole: {}\n", count(outcome.records, "record"));
    if let Some(head) = &outcome.head {
        text += &format!("head:  {head}\n");
    }
    match (outcome.noted, noted) {
        (Some(true), _) => text += "the noted head is in it\n",
        (Some(false), Some(noted)) => {
            text += &format!(
                "record {} is not in it: lines were cut off, or it is another journal\n",
                terminal(noted)
            );
        }
        _ => {}
    }
    text
}
