//! The actions on all flags: `rollback --all`, `hold --all`, `resume --all`.

use std::time::SystemTime;

use serde::Serialize;
use stagegate::StageName;
use stagegate::rollout::{Alert, Record, RolloutError};

use super::act::{check_recorded, print_refusal};
use super::open;
use super::record::{AlertResult, RecordResult, alert_line, count, line};
use crate::args::Format;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::ActionArgs;

/// Describes which flags a rollback of all moves.
pub(super) fn describe_rollback(action: &ActionArgs) -> Result<String, Failure> {
    let flags = open::read_only(&action.store.access)?.status().flags;
    let on = flags.iter().filter(|flag| flag.state.stage != StageName::OFF);
    let on: Vec<String> =
        on.map(|flag| format!("{} (at {})", flag.flag, flag.state.stage)).collect();
    Ok(match on.is_empty() {
        true => "roll back all flags; none is in a stage".to_owned(),
        false => format!("roll back {}: {}", count(on.len(), "flag"), on.join(", ")),
    })
}

pub(super) fn roll_back(
    action: &ActionArgs,
    reason: &str,
    output: &Output,
) -> Result<Answer, Failure> {
    let report = open::acting_in_any_case(action)?.actor().roll_back_all(reason);
    print(&report.records, &report.alerts, "rollback", action, output)?;
    check_recorded(report.unrecorded.as_ref(), "all flags", action)
}

pub(super) fn hold(
    action: &ActionArgs,
    why: &str,
    until: Option<SystemTime>,
    output: &Output,
) -> Result<Answer, Failure> {
    let held = open::acting(action)?.actor().hold_all(why, until);
    print_result(held, "hold", action, output)
}

pub(super) fn resume(
    action: &ActionArgs,
    why: Option<&str>,
    output: &Output,
) -> Result<Answer, Failure> {
    let resumed = open::acting(action)?.actor().resume_all(why);
    print_result(resumed, "resume", action, output)
}

fn print_result(
    done: Result<Record, RolloutError>,
    verb: &str,
    action: &ActionArgs,
    output: &Output,
) -> Result<Answer, Failure> {
    match done {
        Ok(record) => print(&[record], &[], verb, action, output).map(|()| Answer::Yes),
        Err(error) => print_refusal(&error, action.store.format, verb, output),
    }
}

fn print(
    records: &[Record],
    alerts: &[(Box<str>, Alert)],
    verb: &str,
    action: &ActionArgs,
    output: &Output,
) -> Result<(), Failure> {
    match action.store.format {
        Format::Human => {
            let mut text: String = records.iter().map(line).collect();
            if text.is_empty() {
                text = "no flag is in a stage: nothing changes\n".to_owned();
            }
            text.extend(alerts.iter().map(|(flag, alert)| alert_line(flag, alert)));
            output.text(&text)
        }
        Format::Json => {
            let records = records.iter().map(RecordResult::new).collect();
            let alerts = alerts.iter().map(|(flag, it)| AlertResult::new(flag, it)).collect();
            output.json(verb, &AllResult { done: true, records, alerts })
        }
    }
}

#[derive(Serialize)]
struct AllResult<'d> {
    done: bool,
    records: Vec<RecordResult<'d>>,
    alerts: Vec<AlertResult<'d>>,
}
