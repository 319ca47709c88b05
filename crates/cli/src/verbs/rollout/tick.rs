//! `tick`: runs due work once.

use serde::Serialize;
use stagegate::rollout::RenderedMessage;

use super::open::{self, Who, rollout_failure};
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
    overdue: Vec<OverdueResult<'t>>,
}

/// A due message, as JSON.
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
    fn new((flag, message): &'t (Box<str>, RenderedMessage)) -> MessageResult<'t> {
        MessageResult {
            flag,
            stage: &message.stage,
            when: message.when.to_string(),
            audience: message.audience.to_string(),
            channel: &message.channel,
            subject: message.subject.as_deref(),
            text: &message.text,
        }
    }
}

#[derive(Serialize)]
struct OverdueResult<'t> {
    flag: &'t str,
    what: &'t str,
}

pub(super) fn run(args: &Tick, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::writable(&args.store.access, &Who::automatic(&args.key)?)?;
    args.notifications.attach(&rollout)?;
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
                messages: report.messages.iter().map(MessageResult::new).collect(),
                overdue: report
                    .overdue
                    .iter()
                    .map(|(flag, what)| OverdueResult { flag, what })
                    .collect(),
            },
        )?,
    }
    match report.error {
        Some(error) => Err(rollout_failure(&error)),
        None => Ok(Answer::Yes),
    }
}
