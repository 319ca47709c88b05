//! `archive`: moves earlier segments of the journal to compressed files.

use serde::Serialize;
use stagegate::store::Archive;

use super::open::{self, Who, rollout_failure};
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args;
use crate::store_location::{Access, store_failure};

#[derive(Serialize)]
struct ArchiveResult {
    /// The first and the last record that were moved.
    moved: Option<(u64, u64)>,
}

pub(super) fn run(args: &rollout_args::Archive, output: &Output) -> Result<Answer, Failure> {
    let store = &args.store;
    if args.all {
        let who = Who::of(&args.who, &store.access)?;
        let begun = open::writable(&store.access, &who)?.by(&who.name).begin_segment();
        begun.map_err(|error| rollout_failure(&error))?;
    }
    let mut opened = store.access.store.open(Access::Write)?;
    let moved = Archive::new(&args.to).take_from(&mut *opened);
    let moved = moved.map_err(|error| store_failure(&error))?.map(|it| (*it.start(), *it.end()));
    let to = terminal(&args.to.display().to_string());
    match (store.format, moved) {
        (Format::Json, _) => output.json("archive", &ArchiveResult { moved })?,
        (Format::Human, Some((first, last))) => {
            output.text(&format!("moved records {first} to {last} to `{to}`\n"))?;
        }
        (Format::Human, None) => output.text(
            "nothing to move: the journal has one segment. Pass `--all` to begin another one first\n",
        )?,
    }
    Ok(Answer::Yes)
}
