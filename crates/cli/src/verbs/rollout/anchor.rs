//! `anchor`: the journal's head, to be noted outside of the store.

use std::fs::OpenOptions;
use std::io::Write;

use serde::Serialize;

use super::{moment_text, open};
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::rollout_args;

#[derive(Serialize)]
struct AnchorResult {
    /// The last record, in the notation of `verify --head`.
    head: String,
    at: String,
    store: String,
}

pub(super) fn run(args: &rollout_args::Anchor, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.store.access)?;
    let status = rollout.status();
    let (number, hash) = status.head;
    let head = format!("{number}:{hash}");
    let (at, store) = (moment_text(status.now.at), status.store);
    let line = format!("{head} {at} {}\n", terminal(&store));
    if let Some(path) = &args.to {
        let mut options = OpenOptions::new();
        let written = options.create(true).append(true).open(path).and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_all()
        });
        let shown = terminal(&path.display().to_string());
        written.map_err(|error| Failure::io(&format!("cannot write `{shown}`"), &error))?;
    }
    match args.store.format {
        Format::Human => output.text(&line)?,
        Format::Json => output.json("anchor", &AnchorResult { head, at, store })?,
    }
    Ok(Answer::Yes)
}
