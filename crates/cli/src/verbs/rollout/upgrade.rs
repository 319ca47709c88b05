//! `upgrade`: lets the journal continue in the newest format.

use serde::Serialize;
use stagegate::rollout::Journal;

use super::open::{self, Who, rollout_failure};
use super::record::{count, line};
use crate::args::Format;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::Upgrade;

#[derive(Serialize)]
struct UpgradeResult {
    /// The format before.
    from: u32,
    /// The newest format that this program knows.
    to: u32,
    /// The number of the record that begins the new format. `None` if there was nothing to do, and in a dry run.
    record: Option<u64>,
}

pub(super) fn run(args: &Upgrade, output: &Output) -> Result<Answer, Failure> {
    let access = &args.store.access;
    let mut checked = 0;
    let verified = open::verified_records(access, |_| checked += 1)?;
    let verified = verified.map_err(|error| rollout_failure(&error))?;
    let (from, to) = (verified.format(), Journal::FORMAT);
    let mut text = format!("checked {}: format {from}\n", count(checked, "record"));
    let mut record = None;
    if from >= to {
        text += "nothing to do: this is the newest format\n";
    } else if args.dry_run {
        text += &format!(
            "would continue in format {to}. Programs that do not know it would refuse the store\n"
        );
    } else {
        let who = Who::of(&args.who, access)?;
        let rollout = open::writable(access, &who)?;
        let begun = rollout.by(&who.name).upgrade().map_err(|error| rollout_failure(&error))?;
        record = begun.as_ref().map(|record| record.seq);
        text += &format!("continues in format {to}\n");
        text.extend(begun.iter().map(line));
    }
    match args.store.format {
        Format::Human => output.text(&text)?,
        Format::Json => output.json("upgrade", &UpgradeResult { from, to, record })?,
    }
    Ok(Answer::Yes)
}
