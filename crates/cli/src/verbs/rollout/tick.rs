//! `tick`: what is due.

use serde::Serialize;
use stagegate::rollout::Letter;

use super::opened::{self, failed};
use super::record::{AlertResult, RecordResult, alert_line, line};
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Tick;

#[derive(Serialize)]
struct TickResult<'t> {
    records: Vec<RecordResult<'t>>,
    alerts: Vec<AlertResult<'t>>,
    messages: Vec<MessageResult<'t>>,
    overdue: Vec<Overdue<'t>>,
}

/// A message that was due.
#[derive(Serialize)]
struct MessageResult<'t> {
    flag: &'t str,
    stage: &'t str,
    when: String,
    audience: String,
    channel: &'t str,
    subject: Option<&'t str>,
    text: &'t str,
}

impl<'t> MessageResult<'t> {
    fn new((flag, letter): &'t (Box<str>, Letter)) -> MessageResult<'t> {
        MessageResult {
            flag,
            stage: &letter.stage,
            when: letter.when.to_string(),
            audience: letter.audience.to_string(),
            channel: &letter.channel,
            subject: letter.subject.as_deref(),
            text: &letter.text,
        }
    }
}

#[derive(Serialize)]
struct Overdue<'t> {
    flag: &'t str,
    what: &'t str,
}

pub(super) fn run(args: &Tick, output: &Output) -> Result<Answer, Failure> {
    let rollout = opened::acting(&args.store, &args.telling)?;
    let report = rollout.tick();
    match args.store.format {
        Format::Human => {
            let mut text: String = report.records.iter().map(line).collect();
            text.extend(report.alerts.iter().map(|(flag, alert)| alert_line(flag, alert)));
            for (flag, what) in &report.overdue {
                text += &format!("overdue: {flag}: {}\n", terminal(what));
            }
            if text.is_empty() {
                text = "nothing is due\n".to_owned();
            }
            output.text(&text)?;
        }
        Format::Json => output.json(
            "tick",
            &TickResult {
                records: report.records.iter().map(RecordResult::new).collect(),
                alerts: report.alerts.iter().map(|(f, it)| AlertResult::new(f, it)).collect(),
                messages: report.letters.iter().map(MessageResult::new).collect(),
                overdue: report.overdue.iter().map(|(flag, what)| Overdue { flag, what }).collect(),
            },
        )?,
    }
    match report.error {
        Some(error) => Err(failed(&error)),
        None => Ok(Answer::Yes),
    }
}
