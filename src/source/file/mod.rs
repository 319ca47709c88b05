//! A document in a file.

mod places;
mod reading;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Fetched, Nudge, Source, SourceError};
use crate::clock::monotonic;
use crate::plan::Plan;
use reading::{Reading, read};
use watch::Watch;

/// A document in a file, with the `users_file`s it names.
///
/// The directory is watched, and whatever happens in it has the file read again: its content decides whether it changed.
/// It is read every now and then all the same, since no system tells of everything. What was read is put in force once it
/// has rested: read twice, [`settle`](File::settle) apart, with the same content, length, times and place on the disk. What
/// looks as if it were being written has to rest ten times as long: a file that shrank, is empty, does not end with its
/// last line, or that somebody has begun to write and not closed. A file that is cut off in the middle of a line it has in
/// force is not put in force, however long it rests. All of this holds for the document and for each list.
///
/// That leaves one case to whoever writes: a writer that breaks off for good at the end of a line, after which the rest
/// would be a plan too. Write to another file and rename it over this one, or say how the document
/// [ends](File::ending_with).
///
/// Nothing but a regular file is opened, and no more is read than [`limits`](crate::limits) allow.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::source::File;
///
/// let file = File::new("/etc/shop/rollout.toml")
///     .every(Duration::from_secs(10))
///     .ending_with("# end of the plan");
/// # drop(file);
/// ```
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    every: Duration,
    settle: Duration,
    ending: Option<String>,
    watch: Option<Watch>,
    /// The `users_file`s of the document as it was read last.
    files: Vec<String>,
    /// What was read last, and since when it is the same.
    pending: Option<(Reading, Duration)>,
    /// Since when nothing has rested.
    unsettled: Option<Duration>,
    /// What is in force.
    applied: Option<Reading>,
    note: Option<String>,
}

/// How much longer a file rests that looks as if it were being written.
const SUSPICION: u32 = 10;

impl File {
    /// The file of that path; `.toml` and `.json` tell the notation. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> File {
        File {
            path: path.into(),
            every: Duration::from_secs(30),
            settle: Duration::from_millis(100),
            ending: None,
            watch: None,
            files: Vec::new(),
            pending: None,
            unsettled: None,
            applied: None,
            note: None,
        }
    }

    /// How often it is read, whatever the watch says; every 30 seconds unless told otherwise.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> File {
        self.every = interval;
        self
    }

    /// How long a change rests before it is put in force; 100 milliseconds unless told otherwise.
    #[must_use]
    pub fn settle(mut self, time: Duration) -> File {
        self.settle = time;
        self
    }

    /// Takes a file only if it ends with this, blanks and line ends aside: a comment, or the last bracket.
    #[must_use]
    pub fn ending_with(mut self, ending: impl Into<String>) -> File {
        self.ending = Some(ending.into());
        self
    }

    /// How long what was read has to rest before it counts.
    fn rest_of(&self, reading: &Reading) -> Duration {
        let is_being_written = self.watch.as_ref().is_some_and(Watch::is_being_written);
        let shrank =
            self.applied.as_ref().is_some_and(|it| reading.is_shorter_than(it, &self.path));
        match is_being_written || shrank || !reading.ends_a_line() {
            true => self.settle.saturating_mul(SUSPICION),
            false => self.settle,
        }
    }

    /// Fails for a file that was not written to its end.
    fn check_end(&self, reading: &Reading) -> Result<(), SourceError> {
        let path = self.path.display();
        if let Some(cut) = self.applied.as_ref().and_then(|it| reading.cut_off(it, &self.path)) {
            return Err(SourceError::new(cut));
        }
        let Some(ending) = &self.ending else { return Ok(()) };
        let ends = |bytes: &[u8]| bytes.trim_ascii_end().ends_with(ending.trim_end().as_bytes());
        match reading.bytes().is_none_or(ends) {
            true => Ok(()),
            false => Err(SourceError::new(format!(
                "`{path}` does not end with `{}`",
                ending.escape_debug()
            ))),
        }
    }

    fn is_in_force(&self, reading: &Reading) -> bool {
        let content = self.applied.as_ref().and_then(Reading::content);
        content.is_some() && content == reading.content()
    }

    /// What was read, once it has rested; else how long it still has to.
    fn rested(&mut self) -> Result<Reading, Duration> {
        let now = monotonic();
        let reading = read(&self.path, &self.files).ok_or(self.settle)?;
        let since = match self.pending.take() {
            Some((pending, since)) if pending.is_same(&reading) => since,
            _ => now,
        };
        let (rested, rest) = (now.saturating_sub(since), self.rest_of(&reading));
        let is_known = self.is_in_force(&reading);
        // Seen once more at least, however short a rest.
        if is_known || (rested >= rest && since != now) {
            self.pending = Some((reading.clone(), since));
            return Ok(reading);
        }
        self.pending = Some((reading, since));
        Err(rest.saturating_sub(rested))
    }
}

impl Source for File {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        // Before it is read, so that nothing is missed in between.
        if let Some(watch) = &mut self.watch {
            let note = watch.arm(&self.path, &self.files);
            self.note = note
                .map(|wrong| {
                    format!(
                        "`{}` is not watched, but read every {:?}: {wrong}",
                        self.path.display(),
                        self.every
                    )
                })
                .or(self.note.take());
        }
        let reading = match self.rested() {
            Ok(reading) => reading,
            Err(again_after) => {
                let now = monotonic();
                let since = *self.unsettled.get_or_insert(now);
                let bound = self.every.max(self.settle.saturating_mul(2 * SUSPICION));
                if now.saturating_sub(since) > bound {
                    self.unsettled = None;
                    let path = self.path.display();
                    return Err(SourceError::new(format!("`{path}` has not rested for {bound:?}")));
                }
                return Ok(Fetched::Unsettled { again_after });
            }
        };
        self.unsettled = None;
        if self.is_in_force(&reading) {
            return Ok(Fetched::Unchanged);
        }
        self.check_end(&reading)?;
        let document = reading.document(&self.path).map_err(SourceError::new)?;
        let names = if reading.names_files() {
            let document = document.clone().keeping_files();
            // What is wrong with it is said by whoever puts it in force.
            let _ = Plan::parse(document.clone());
            document.file_names()
        } else {
            Vec::new()
        };
        if names != self.files {
            // Files that nobody has looked at so far have to rest too.
            self.files = names;
            self.pending = None;
            return Ok(Fetched::Unsettled { again_after: Duration::ZERO });
        }
        Ok(Fetched::Document(document))
    }

    fn interval(&self) -> Duration {
        self.every
    }

    fn rest(&self) -> Duration {
        self.settle
    }

    fn watch(&mut self, nudge: Nudge) {
        self.watch = Some(Watch::new(nudge));
    }

    fn applied(&mut self) {
        self.applied = self.pending.as_ref().map(|(reading, _)| reading.clone());
    }

    fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }
}

/// A path's directory; the current one where it names none.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
