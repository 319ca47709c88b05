//! `backup` and `restore`: copy a store.

use serde::Serialize;
use stagegate::rollout::{Store, StoreError};
use stagegate::store;

use super::open::{self, Who, rollout_failure};
use super::record::count;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args::{Backup, Restore};
use crate::store_location::{Access, StoreLocation, store_failure};

#[derive(Serialize)]
struct CopyResult {
    /// The number of the last record that was copied.
    copied: u64,
    /// The number of the last record of the store that was copied from.
    records: u64,
}

pub(super) fn backup(args: &Backup, output: &Output) -> Result<Answer, Failure> {
    let mut from = open::open_to_read(&args.store.access)?;
    let mut to = open_to_fill(&args.to)?;
    let copied = store::copy(&mut *from, &mut *to, None);
    let (copied, records) = copied.map_err(|error| store_failure(&error))?;
    match args.store.format {
        Format::Json => output.json("backup", &CopyResult { copied, records })?,
        Format::Human => {
            let first = to.segment_of(1).map_err(|error| store_failure(&error))?;
            let to = terminal(&to.label());
            output.text(&format!("`{to}` has records {first} to {copied}\n"))?;
        }
    }
    Ok(Answer::Yes)
}

/// Opens the store of a backup, or creates it.
fn open_to_fill(location: &StoreLocation) -> Result<Box<dyn Store>, Failure> {
    match location {
        StoreLocation::Directory(path) if path.join("documents").exists() => {
            location.open(Access::Write)
        }
        location => location.open(Access::Create),
    }
}

fn has_records(store: &mut dyn Store) -> Result<bool, StoreError> {
    let first = store.segment_of(1)?;
    Ok(!store.read(first)?.is_empty())
}

pub(super) fn restore(args: &Restore, output: &Output) -> Result<Answer, Failure> {
    let who = Who::of(&args.who, &args.store.access)?;
    let mut from = args.from.open(Access::Read)?;
    let mut to = args.store.access.store.open(Access::Create)?;
    let copied = has_records(&mut *to).and_then(|has_records| match has_records {
        true => Err(StoreError::conflict(format!("`{}` already has a rollout", to.label()))),
        false => store::copy(&mut *from, &mut *to, args.as_of),
    });
    let (copied, records) = copied.map_err(|error| store_failure(&error))?;
    let first = to.segment_of(1).map_err(|error| store_failure(&error))?;
    let rollout = open::with_store(to, &args.store.access, &who)?;
    let noted = rollout.by(&who.name).note_restored(&from.label(), records);
    noted.map_err(|error| rollout_failure(&error))?;
    match args.store.format {
        Format::Json => output.json("restore", &CopyResult { copied, records })?,
        Format::Human => {
            let left_out = match records - copied {
                0 => String::new(),
                some => {
                    let some = usize::try_from(some).unwrap_or(usize::MAX);
                    format!("; left out {}", count(some, "later record"))
                }
            };
            output.text(&format!("restored records {first} to {copied}{left_out}\n"))?;
        }
    }
    Ok(Answer::Yes)
}
