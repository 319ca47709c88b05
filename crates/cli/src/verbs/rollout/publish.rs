//! `publish`: writes the document in force with each flag's present stage.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::open;
use super::record::count;
use crate::args::Format;
use crate::escape::terminal;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::published::PublishedDocument;
use crate::run_args::Publish;

#[derive(Serialize)]
struct PublishResult<'r> {
    changed: bool,
    file: &'r Path,
    /// The directory of the list files, if the document has no room for the lists of users.
    #[serde(skip_serializing_if = "Option::is_none")]
    lists: Option<PathBuf>,
    flags: Vec<FlagResult<'r>>,
}

#[derive(Serialize)]
struct FlagResult<'r> {
    flag: &'r str,
    stage: &'r str,
}

pub(super) fn run(args: &Publish, output: &Output) -> Result<Answer, Failure> {
    let rollout = open::read_only(&args.store.access)?;
    let published = PublishedDocument::of(&rollout)?;
    let changed = published.write(&args.out)?;
    let lists = published.lists(&args.out);
    let status = rollout.status();
    match args.store.format {
        Format::Human => {
            let file = terminal(&args.out.display().to_string());
            let what = if changed { "written" } else { "unchanged" };
            let mut text = format!("{file}: {what}, with {}\n", count(status.flags.len(), "flag"));
            for flag in &status.flags {
                text += &format!("  {}: {}\n", flag.flag, flag.serving);
            }
            if let Some(lists) = lists {
                let lists = terminal(&lists.display().to_string());
                text += &format!("  user lists: {lists} (keep it next to the file)\n");
            }
            output.text(&text)?;
        }
        Format::Json => {
            let flags = status.flags.iter();
            let flags =
                flags.map(|flag| FlagResult { flag: &flag.flag, stage: flag.serving.as_str() });
            let (file, flags) = (&*args.out, flags.collect());
            output.json("publish", &PublishResult { changed, file, lists, flags })?;
        }
    }
    Ok(Answer::Yes)
}
