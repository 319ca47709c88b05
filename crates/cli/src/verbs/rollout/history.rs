//! `history`: prints the journal.

use serde::Serialize;
use stagegate::rollout::Record;

use super::open::{self, rollout_failure};
use super::record::{RecordResult, line};
use crate::args::Format;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::History;

#[derive(Serialize)]
struct HistoryResult<'h> {
    records: Vec<RecordResult<'h>>,
}

pub(super) fn run(args: &History, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.store)?;
    let mut records = rollout.records(args.from).map_err(|error| rollout_failure(&error))?;
    let since = |record: &Record| args.since.is_none_or(|since| record.at >= since);
    let plan = rollout.plan();
    let wanted = args.flag.as_deref().map(|name| plan.key_of(name).unwrap_or(name));
    let of_flag = |record: &Record| match (wanted, &record.flag) {
        (Some(wanted), Some(flag)) => *wanted == **flag,
        _ => true,
    };
    records.retain(|record| since(record) && of_flag(record));
    match args.store.format {
        Format::Human => output.text(&records.iter().map(line).collect::<String>())?,
        Format::Json => {
            let records = records.iter().map(RecordResult::new).collect();
            output.json("history", &HistoryResult { records })?;
        }
    }
    Ok(Answer::Yes)
}
