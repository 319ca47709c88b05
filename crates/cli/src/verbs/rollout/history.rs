//! `history`: prints the journal.

use std::io;
use std::ops::ControlFlow;

use serde::Serialize;
use stagegate::rollout::{Cause, Fact, FlagChange, Record};

use super::open::{self, rollout_failure};
use super::record::{RecordResult, line, moment_text};
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{History, HistoryFormat};

/// The columns of the CSV. Only add to their end: spreadsheets and scripts go by their order.
const COLUMNS: [&str; 12] = [
    "seq", "at", "by", "flag", "from", "to", "event", "what", "reason", "evidence", "document",
    "hash",
];

#[derive(Serialize)]
struct HistoryResult<'h> {
    records: Vec<RecordResult<'h>>,
}

pub(super) fn run(args: &History, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.access)?;
    let from = match args.from {
        Some(from) => from,
        None => {
            let first = rollout.first_record().map_err(|error| rollout_failure(&error))?;
            if first > 1 {
                let last = first - 1;
                anstream::eprintln!(
                    "stagegate: records 1 to {last} are in an archive. Pass its directory as `--archive`"
                );
            }
            first
        }
    };
    let plan = rollout.plan();
    let flags: Vec<&str> = args.flag.iter().map(|name| plan.key_of(name).unwrap_or(name)).collect();
    let is_wanted = |record: &Record| {
        let is_of_flag = |flag: &str| flags.is_empty() || flags.contains(&flag);
        args.since.is_none_or(|since| record.at >= since)
            && args.until.is_none_or(|until| record.at <= until)
            && record.flag.as_deref().is_none_or(is_of_flag)
            && (args.by.is_empty() || args.by.iter().any(|by| **by == *record.by))
    };
    let mut read = Ok(());
    // One record at a time: a journal of years has millions.
    let mut each = |write: &mut dyn FnMut(Record) -> io::Result<()>| {
        let mut written = Ok(());
        read = rollout.for_each_record(from, |record| {
            if is_wanted(&record) {
                written = write(record);
            }
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        written
    };
    let as_text = match args.format {
        HistoryFormat::Human => |record: &Record| Ok(line(record).into_bytes()),
        HistoryFormat::Jsonl => json_line,
        HistoryFormat::Csv => csv_line,
        HistoryFormat::Json => {
            let mut records = Vec::new();
            // Collecting cannot fail.
            let _ = each(&mut |record| {
                records.push(record);
                Ok(())
            });
            read.map_err(|error| rollout_failure(&error))?;
            let records = records.iter().map(RecordResult::new).collect();
            output.json("history", &HistoryResult { records })?;
            return Ok(Answer::Yes);
        }
    };
    output.stream(|out| {
        if args.format == HistoryFormat::Csv {
            out.write_all(&csv_row(&COLUMNS)?)?;
        }
        each(&mut |record| out.write_all(&as_text(&record)?))
    })?;
    read.map(|()| Answer::Yes).map_err(|error| rollout_failure(&error))
}

fn json_line(record: &Record) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&RecordResult::new(record))?;
    line.push(b'\n');
    Ok(line)
}

fn csv_line(record: &Record) -> io::Result<Vec<u8>> {
    let cell = |text: Option<&str>| cell(text.unwrap_or_default());
    csv_row(&[
        &record.seq.to_string(),
        &moment_text(record.at),
        &cell(Some(&record.by)),
        &cell(record.flag.as_deref()),
        &cell(record.from.as_deref()),
        &cell(record.to.as_deref()),
        &event(&record.fact),
        &cell(Some(&record.fact.to_string())),
        &cell(reason(&record.fact).as_deref()),
        &cell(evidence(&record.fact).as_deref()),
        &record.document.to_string(),
        &record.hash.to_string(),
    ])
}

fn csv_row(cells: &[&str; COLUMNS.len()]) -> io::Result<Vec<u8>> {
    let mut csv = csv::WriterBuilder::new().buffer_capacity(1024).from_writer(Vec::new());
    csv.write_record(cells)?;
    csv.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Returns a text on one line, so that a spreadsheet does not take it for a formula.
fn cell(text: &str) -> String {
    let text = terminal(text);
    // Excel, LibreOffice and Google Sheets hide a leading apostrophe.
    let quote = if text.starts_with(['=', '+', '-', '@', '\t']) { "'" } else { "" };
    format!("{quote}{text}")
}

/// Returns the name of the event, as the journal has it: `promoted`.
fn event(fact: &Fact) -> String {
    let fact = serde_json::to_value(fact).unwrap_or_default();
    fact.as_object().and_then(|fact| fact.keys().next()).cloned().unwrap_or_default()
}

/// Returns the reason or the note that a person gave, or the trigger that fired.
fn reason(fact: &Fact) -> Option<String> {
    let given = match fact {
        Fact::Promoted { forced: reason, .. }
        | Fact::Completed { forced: reason, .. }
        | Fact::Resumed { why: reason, .. }
        | Fact::ResumedAll { why: reason, .. }
        | Fact::Unsigned { why: reason, .. }
        | Fact::Reported { note: reason, .. } => reason.as_deref(),
        Fact::Stepped { note, overridden, .. } => overridden.as_deref().or(note.as_deref()),
        Fact::Held { why: reason, .. }
        | Fact::HeldAll { why: reason, .. }
        | Fact::Escalated { why: reason, .. }
        | Fact::Closed { note: reason, .. }
        | Fact::Asked { trigger: reason, .. }
        | Fact::RolledBack { cause: Cause::Trigger { trigger: reason, .. }, .. }
        | Fact::RolledBack { cause: Cause::Decision { reason, .. }, .. }
        | Fact::RolledBackAll { cause: Cause::Decision { reason, .. }, .. } => Some(&**reason),
        Fact::RolledBack { cause, .. } | Fact::RolledBackAll { cause, .. } => {
            return Some(cause.to_string());
        }
        Fact::Updated { flags, .. } => return joined(flags.iter().filter_map(of_change)),
        _ => None,
    };
    given.map(str::to_owned)
}

fn of_change(change: &FlagChange) -> Option<&str> {
    change.reason.as_deref()
}

/// Returns the grounds of a promotion, the evidence of a sign-off, or the reading.
fn evidence(fact: &Fact) -> Option<String> {
    match fact {
        Fact::Promoted { grounds, .. } | Fact::Completed { grounds, .. } => {
            joined(grounds.iter().map(|ground| &**ground))
        }
        Fact::Signed { evidence, .. } => evidence.as_deref().map(str::to_owned),
        Fact::Asked { evidence, .. }
        | Fact::RolledBack { cause: Cause::Trigger { evidence, .. }, .. } => {
            Some(evidence.to_string())
        }
        Fact::Measured { .. } => Some(fact.to_string()),
        _ => None,
    }
}

fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> Option<String> {
    let texts: Vec<&str> = texts.collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
