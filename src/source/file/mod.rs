//! A source in a file.

mod directories;
mod file_set;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Fetched, Nudge, Source, SourceError};
use crate::clock::monotonic;
use crate::plan::Plan;
use file_set::{FileSet, read};
use watch::Watch;

/// A [`Source`] that reads a document from a file, with the `users_file`s that the document names.
///
/// It watches the directory and reads the file after any event. The content decides whether the document changed. It
/// also polls the file, because no system reports every change.
///
/// A change must settle before it counts: two reads, [`settle`](File::settle) apart, must agree in content, length,
/// times and place on the disk. A file that looks unfinished must settle ten times as long: it shrank, is empty, ends
/// in the middle of a line, or was written to and not closed. The current document, cut off in the middle of a line, is
/// rejected. These rules hold for the document and for each users file.
///
/// One case is left to you: a writer that stops for good at the end of a line. To close it, write to another file and
/// rename it, or set [`ending_with`](File::ending_with).
///
/// Only regular files are opened, and only up to the [`limits`](crate::limits).
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
    /// Further directories that may have `users_file`s.
    allowed: Vec<PathBuf>,
    watch: Option<Watch>,
    /// The `users_file`s of the document that was read last.
    users_files: Vec<String>,
    /// The files that were read last, and since when they have been the same.
    pending: Option<(FileSet, Duration)>,
    /// The time since which the file has not settled.
    unsettled: Option<Duration>,
    /// The files of the current document.
    applied: Option<FileSet>,
    note: Option<String>,
}

/// How many times longer a file must settle if it looks unfinished.
const UNFINISHED_FACTOR: u32 = 10;

impl File {
    /// Returns a source for the file at this path. `.toml` and `.json` decide the format. Opens nothing yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> File {
        File {
            path: path.into(),
            every: Duration::from_secs(30),
            settle: Duration::from_millis(100),
            ending: None,
            allowed: Vec::new(),
            watch: None,
            users_files: Vec::new(),
            pending: None,
            unsettled: None,
            applied: None,
            note: None,
        }
    }

    /// Sets the polling interval, in addition to watching. The default is 30 seconds.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> File {
        self.every = interval;
        self
    }

    /// Sets how long a change must settle before it takes effect. The default is 100 milliseconds.
    #[must_use]
    pub fn settle(mut self, time: Duration) -> File {
        self.settle = time;
        self
    }

    /// Accepts the document only if it ends with this text, such as a comment or the last bracket. Trailing white space
    /// does not count.
    #[must_use]
    pub fn ending_with(mut self, ending: impl Into<String>) -> File {
        self.ending = Some(ending.into());
        self
    }

    /// Allows `users_file`s in another directory and below it, as [`Document::allowing`](crate::Document::allowing)
    /// does. Call it once for each directory. The follower watches the directories of these files, too.
    #[must_use]
    pub fn allowing(mut self, directory: impl Into<PathBuf>) -> File {
        self.allowed.push(directory.into());
        self
    }

    /// Returns how long the files must settle.
    fn settle_time(&self, files: &FileSet) -> Duration {
        let is_being_written = self.watch.as_ref().is_some_and(Watch::is_being_written);
        let shrank = self.applied.as_ref().is_some_and(|it| files.is_shorter_than(it, &self.path));
        match is_being_written || shrank || !files.ends_a_line() {
            true => self.settle.saturating_mul(UNFINISHED_FACTOR),
            false => self.settle,
        }
    }

    /// Fails if a file was not written to its end.
    fn check_end(&self, files: &FileSet) -> Result<(), SourceError> {
        let path = self.path.display();
        if let Some(cut) = self.applied.as_ref().and_then(|it| files.cut_off(it, &self.path)) {
            return Err(SourceError::new(cut));
        }
        let Some(ending) = &self.ending else { return Ok(()) };
        let ends = |bytes: &[u8]| bytes.trim_ascii_end().ends_with(ending.trim_end().as_bytes());
        match files.bytes().is_none_or(ends) {
            true => Ok(()),
            false => Err(SourceError::new(format!(
                "`{path}` does not end with `{}`",
                ending.escape_debug()
            ))),
        }
    }

    fn is_current(&self, files: &FileSet) -> bool {
        let content = self.applied.as_ref().and_then(FileSet::content);
        content.is_some() && content == files.content()
    }

    /// Reads the files. Returns them once they have settled, or the time until then.
    fn settled(&mut self) -> Result<FileSet, Duration> {
        let now = monotonic();
        let files = read(&self.path, &self.users_files, &self.allowed).ok_or(self.settle)?;
        let since = match self.pending.take() {
            Some((pending, since)) if pending.is_same(&files) => since,
            _ => now,
        };
        let (settled, needed) = (now.saturating_sub(since), self.settle_time(&files));
        let is_known = self.is_current(&files);
        // Even with a settle time of zero, two reads must agree.
        if is_known || (settled >= needed && since != now) {
            self.pending = Some((files.clone(), since));
            return Ok(files);
        }
        self.pending = Some((files, since));
        Err(needed.saturating_sub(settled))
    }
}

impl Source for File {
    fn fetch(&mut self) -> Result<Fetched, SourceError> {
        // Watch before reading, so that no change in between is missed.
        if let Some(watch) = &mut self.watch {
            let note = watch.update(&self.path, &self.users_files);
            self.note = note
                .map(|wrong| {
                    format!(
                        "`{}` cannot be watched, so it is only read every {:?}: {wrong}",
                        self.path.display(),
                        self.every
                    )
                })
                .or(self.note.take());
        }
        let files = match self.settled() {
            Ok(files) => files,
            Err(again_after) => {
                let now = monotonic();
                let since = *self.unsettled.get_or_insert(now);
                let bound = self.every.max(self.settle.saturating_mul(2 * UNFINISHED_FACTOR));
                if now.saturating_sub(since) > bound {
                    self.unsettled = None;
                    let path = self.path.display();
                    return Err(SourceError::new(format!(
                        "`{path}` has been changing for {bound:?}"
                    )));
                }
                return Ok(Fetched::Unsettled { again_after });
            }
        };
        self.unsettled = None;
        if self.is_current(&files) {
            return Ok(Fetched::Unchanged);
        }
        self.check_end(&files)?;
        let document = files.document(&self.path, &self.allowed).map_err(SourceError::new)?;
        let names = if files.names_files() {
            let document = document.clone().keeping_files();
            // The update reports its problems.
            let _ = Plan::parse(document.clone());
            document.file_names()
        } else {
            Vec::new()
        };
        if names != self.users_files {
            // Files that were not read so far must settle too.
            self.users_files = names;
            self.pending = None;
            return Ok(Fetched::Unsettled { again_after: Duration::ZERO });
        }
        Ok(Fetched::Document(document))
    }

    fn interval(&self) -> Duration {
        self.every
    }

    fn min_interval(&self) -> Duration {
        self.settle
    }

    fn watch(&mut self, nudge: Nudge) {
        self.watch = Some(Watch::new(nudge));
    }

    fn applied(&mut self) {
        self.applied = self.pending.as_ref().map(|(files, _)| files.clone());
    }

    fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }
}

/// Returns the directory of a path, or the current one.
fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
