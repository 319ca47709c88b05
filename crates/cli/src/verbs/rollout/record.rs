//! Records and alerts, as text and as JSON.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use stagegate::rollout::{Alert, AlertKind, Fact, Record};

use crate::escape::terminal;

/// A record as JSON.
#[derive(Serialize)]
pub(super) struct RecordResult<'r> {
    seq: u64,
    at: String,
    by: &'r str,
    flag: Option<&'r str>,
    from: Option<&'r str>,
    to: Option<&'r str>,
    what: &'r Fact,
    document: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    hash: String,
}

/// An alert as JSON.
#[derive(Serialize)]
pub(super) struct AlertResult<'a> {
    flag: &'a str,
    kind: &'static str,
    text: &'a str,
    responsible: Option<&'a str>,
    answer_by: Option<String>,
}

impl<'r> RecordResult<'r> {
    pub(super) fn new(record: &'r Record) -> RecordResult<'r> {
        RecordResult {
            seq: record.seq,
            at: moment_text(record.at),
            by: &record.by,
            flag: record.flag.as_deref(),
            from: record.from.as_deref(),
            to: record.to.as_deref(),
            what: &record.fact,
            document: record.document.to_string(),
            signature: record.signature.as_ref().map(ToString::to_string),
            hash: record.hash.to_string(),
        }
    }
}

impl<'a> AlertResult<'a> {
    pub(super) fn new(flag: &'a str, alert: &'a Alert) -> AlertResult<'a> {
        AlertResult {
            flag,
            kind: kind(alert.kind),
            text: &alert.text,
            responsible: alert.responsible.as_deref(),
            answer_by: alert.answer_by.map(moment_text),
        }
    }
}

fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Metric => "metric",
        AlertKind::Decision => "decision",
        AlertKind::RolledBack => "rolled_back",
        AlertKind::Escalation => "escalation",
        AlertKind::WatchMissed => "watch_missed",
        _ => "other",
    }
}

/// Formats a moment in UTC, to the second.
pub(crate) fn moment_text(at: SystemTime) -> String {
    let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    format!("{:.0}", Timestamp::try_from(at).unwrap_or(bound))
}

/// Formats a record as one line.
pub(super) fn line(record: &Record) -> String {
    terminal(&record.to_string()) + "\n"
}

/// Formats an alert as one line.
pub(super) fn alert_line(flag: &str, alert: &Alert) -> String {
    let who =
        alert.responsible.as_deref().map_or_else(|| "the responsible person".to_owned(), terminal);
    format!("! notify {who}: {flag}: {}\n", terminal(&alert.text))
}

/// Formats a count with its noun.
pub(super) fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
