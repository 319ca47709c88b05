//! A store in a directory.

mod cursor;
mod journal_file;
mod lease;
mod lock_holder;
pub(super) mod segments;
mod tail;
mod watcher;

use std::io;
use std::path::{Path, PathBuf};

use super::files::{Files, SystemFiles};
use super::removed_lines;
use crate::rollout::{LeaderLease, Store, StoreError, Watcher};
use cursor::Cursor;
use journal_file::{Appended, JournalFile, Line, Opening};
use lease::DirectoryLease;
use tail::Tail;
use watcher::DirectoryWatcher;

/// A directory that holds a rollout's documents and its journal, for the processes of one machine.
///
/// ```text
/// journal.jsonl          the first segment of the journal
/// journal-N.jsonl        a later segment, which begins with line N
/// documents/HASH.json    every document that took effect, with the files it names
/// leader                 locked by the leader among several controllers
/// ```
///
/// Only their owner may read and write them. On Unix, opening fails for a directory or file that group or others can
/// write to, that is a link, or whose owner is not this user or root. The error has the command that fixes it.
///
/// After a crash, the journal may end with an incomplete line. Opening or appending moves that line to another file, and
/// a [notice](Store::notices) says so. Any other damage is an error and changes nothing. The chapter on the journal has
/// the format.
///
/// # Concurrency
///
/// Any number of processes may open a directory and act. A process locks the journal for one append only. It first
/// checks that the journal is the file that it has read, with the same content, and that no other process has appended.
/// With [`Controller::following`](crate::rollout::Controller::following), the others serve a change about 20 ms later.
///
/// The processes run on one machine, because locks on network file systems are not reliable. Opening fails where two
/// handles of one process can lock the same file.
///
/// # Example
///
/// ```
/// use stagegate::clock::SystemClock;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Directory;
///
/// # let path = std::env::temp_dir().join(format!("stagegate-doc-{}", std::process::id()));
/// # let _ = std::fs::remove_dir_all(&path);
/// let document = "schema = 1\n[flags.new-checkout]\nstage = \"internal\"";
/// let service = Rollout::start(Directory::create(&path)?, SystemClock::new(), document, "ana")?;
///
/// let operator = Rollout::open(Directory::open(&path)?, SystemClock::new())?;
/// operator.by("ben").roll_back("new-checkout", "too slow")?;
/// service.refresh()?;
/// assert_eq!(service.status().flags[0].state.stage, "off");
/// # drop((service, operator));
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: Box<dyn Files>,
    /// The last segment that is known.
    journal: JournalFile,
    is_read_only: bool,
    /// The end of the last read in that segment. The next read usually starts there.
    cursor: Cursor,
    /// An earlier segment, and the end of the last read there.
    earlier: Option<(JournalFile, Cursor)>,
    /// The number of the last line that this handle appended.
    appended: Option<u64>,
    notices: Vec<String>,
}

const JOURNAL: &str = "journal.jsonl";
const DOCUMENTS: &str = "documents";

impl Directory {
    /// Creates an empty store in a directory. Creates the directory if it is missing.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is a journal already, other users can change the directory, locks do not work
    /// there, or creating fails.
    pub fn create(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        Directory::create_with(path, SystemFiles)
    }

    /// Does the same with your own file operations.
    ///
    /// # Errors
    ///
    /// As [`create`](Directory::create).
    pub fn create_with(
        path: impl AsRef<Path>,
        mut files: impl Files + 'static,
    ) -> Result<Directory, StoreError> {
        let path = path.as_ref();
        let failed = |error: io::Error| failed(path, "be created", &error);
        create_directories(path, &mut files).map_err(failed)?;
        let mut store = Directory::open_to_write(path, Box::new(files), true)?;
        store.files.sync_directory(path).map_err(failed)?;
        if store.journal.begin() > 1 || store.journal.file.size().map_err(failed)? > 0 {
            let path = path.join(JOURNAL);
            let message = format!("`{}` already exists and was not changed", path.display());
            return Err(StoreError::conflict(message));
        }
        Ok(store)
    }

    /// Opens the store in a directory.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is no journal, other users can change it, it is damaged, locks do not work
    /// there, or reading fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        Directory::open_with(path, SystemFiles)
    }

    /// Does the same with your own file operations.
    ///
    /// # Errors
    ///
    /// As [`open`](Directory::open).
    pub fn open_with(
        path: impl AsRef<Path>,
        files: impl Files + 'static,
    ) -> Result<Directory, StoreError> {
        Directory::open_to_write(path.as_ref(), Box::new(files), false)
    }

    /// Opens the store in a directory for reading.
    ///
    /// It leaves out an incomplete line, from a crash or from a write in progress, and repairs nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is no journal, or other users can write to it.
    pub fn read_only(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        let (path, mut files) = (path.as_ref(), Box::new(SystemFiles));
        check_trust(path, &mut *files, false)?;
        let opened = last_segment(path, &mut *files)
            .and_then(|begin| JournalFile::open(&mut *files, path, begin, Opening::Read));
        match opened {
            Ok(journal) => Ok(Directory::new(path, files, journal, true)),
            Err(error) => Err(failed(path, "be read", &error)),
        }
    }

    fn open_to_write(
        path: &Path,
        mut files: Box<dyn Files>,
        create: bool,
    ) -> Result<Directory, StoreError> {
        let opened = last_segment(path, &mut *files).and_then(|begin| {
            JournalFile::open(&mut *files, path, begin, Opening::Write { create })
        });
        let opened = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            // The directory's problem comes first.
            opened => check_trust(path, &mut *files, true).map(|()| opened)?,
        };
        let opened = opened.and_then(|mut journal| journal.check_locks().map(|()| journal));
        let journal = opened.map_err(|error| failed(path, "be opened", &error))?;
        let mut store = Directory::new(path, files, journal, false);
        store.remove_torn_line()?;
        Ok(store)
    }

    fn new(
        path: &Path,
        files: Box<dyn Files>,
        journal: JournalFile,
        is_read_only: bool,
    ) -> Directory {
        let (path, cursor) = (path.to_owned(), Cursor::before(journal.begin()));
        Directory {
            path,
            files,
            journal,
            is_read_only,
            cursor,
            earlier: None,
            appended: None,
            notices: Vec::new(),
        }
    }

    /// Returns the leader lease of this directory, for [`Controller::leading`](crate::rollout::Controller::leading): of
    /// several controllers, only the leader ticks. The system releases the lease when its process ends.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store is read-only, or the file `leader` cannot be opened.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::rollout::LeaderLease;
    /// use stagegate::store::Directory;
    ///
    /// # let path = std::env::temp_dir().join(format!("stagegate-lead-{}", std::process::id()));
    /// # let _ = std::fs::remove_dir_all(&path);
    /// let mut one = Directory::create(&path)?.leader_lease()?;
    /// let mut other = Directory::open(&path)?.leader_lease()?;
    /// assert!(one.acquire()?.is_some());
    /// assert!(other.acquire()?.is_none());
    /// one.release();
    /// assert!(other.acquire()?.is_some());
    /// # std::fs::remove_dir_all(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn leader_lease(&mut self) -> Result<Box<dyn LeaderLease>, StoreError> {
        self.check_writable()?;
        let file = self.files.open(&self.path.join("leader"), true);
        let file = file.map_err(|error| failed(&self.path, "be led", &error))?;
        Ok(Box::new(DirectoryLease { file, holds: false }))
    }

    /// Moves the incomplete line of a crash to another file. Does nothing if there is none.
    fn remove_torn_line(&mut self) -> Result<(), StoreError> {
        loop {
            // Mostly there is none, and then no lock is needed.
            let tail = Tail::of(&mut *self.journal.file);
            if tail.map_err(|error| self.failed("be read", &error))?.torn.is_empty() {
                return Ok(());
            }
            // Under the lock, no process is writing that line.
            let tail = self.journal.locked(&mut *self.files, |it, _| Tail::of(&mut *it.file));
            let tail = match tail {
                // An append reports it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                tail => tail.map_err(|error| self.failed("be read", &error))?,
            };
            if tail.torn.is_empty() {
                return Ok(());
            }
            // This reads the whole journal, so release the lock meanwhile.
            let begin = self.journal.begin();
            let lines = tail.count_complete_lines(&mut *self.journal.file, begin);
            let lines = lines.map_err(|error| self.failed("be read", &error))?;
            let lines = lines.map_err(|what| self.damaged(&what))?;
            let name = format!("journal.torn-{}", lines + 1);
            let path = self.path.join(&name);
            let removed = self.journal.locked(&mut *self.files, |journal, files| {
                let is_same = Tail::of(&mut *journal.file)? == tail;
                if is_same {
                    write_atomically(files, &path, &tail.torn)?;
                    journal.file.truncate(tail.whole)?;
                    journal.file.sync()?;
                }
                Ok(is_same)
            });
            if removed.map_err(|error| self.failed("be repaired", &error))? {
                self.notices.push(format!(
                    "the last {} bytes of `{}` were an incomplete record, as after a crash. They were moved to \
                     `{name}`; {lines} complete records remain",
                    tail.torn.len(),
                    self.journal.path().display(),
                ));
                return Ok(());
            }
        }
    }

    /// Moves to the next segment. Returns `false` if there is none.
    fn enter_next_segment(&mut self) -> io::Result<bool> {
        let Some(begin) = self.journal.next_segment(&mut *self.files)? else { return Ok(false) };
        // The process that began the segment may have died before it synced the name.
        self.files.sync_directory(&self.path)?;
        self.open_segment(begin)?;
        Ok(true)
    }

    fn open_segment(&mut self, begin: u64) -> io::Result<()> {
        let how = match self.is_read_only {
            true => Opening::Read,
            false => Opening::Write { create: false },
        };
        self.journal = JournalFile::open(&mut *self.files, &self.path, begin, how)?;
        self.cursor = Cursor::before(begin);
        Ok(())
    }

    /// Returns whether this error means that the known segment was removed, because a later one has begun.
    fn is_removed(&mut self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound
            && last_segment(&self.path, &mut *self.files)
                .is_ok_and(|last| last > self.journal.begin())
    }

    /// Reads lines of a segment before the last one.
    fn read_earlier(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let begin = self.segment_of(from)?;
        if begin > from {
            return Err(removed_lines(begin));
        }
        let mut earlier = match self.earlier.take().filter(|(file, _)| file.begin() == begin) {
            Some(known) => known,
            None => {
                let file = JournalFile::open(&mut *self.files, &self.path, begin, Opening::Read);
                let file = file.map_err(|error| self.failed("be read", &error))?;
                (file, Cursor::before(begin))
            }
        };
        let (file, cursor) = &mut earlier;
        let lines = file.read(&mut *self.files, cursor, from);
        let lines = lines.map_err(|error| self.failed("be read", &error))?;
        self.earlier = Some(earlier);
        Ok(lines)
    }

    fn append_line(
        &mut self,
        number: u64,
        line: &[u8],
        begins_segment: bool,
    ) -> Result<(), StoreError> {
        self.check_writable()?;
        let is_repetition = self.appended == Some(number);
        let line = Line { number, line, begins_segment, is_repetition };
        loop {
            // Most of a long journal is read before the lock is taken.
            let appended = self.journal.read_what_is_new(&mut *self.files).and_then(|()| {
                self.journal.locked(&mut *self.files, |journal, files| journal.append(files, line))
            });
            if let Err(error) = &appended
                && self.is_removed(error)
            {
                return Err(StoreError::conflict("a later segment has begun"));
            }
            match appended.map_err(|error| self.failed("be written", &error))? {
                Appended::Done => {
                    self.appended = Some(number);
                    return Ok(());
                }
                Appended::Conflict(next) => {
                    return Err(StoreError::conflict(format!(
                        "the next line is {next}, not {number}"
                    )));
                }
                Appended::Torn => self.remove_torn_line()?,
                Appended::Continued => {
                    let entered = self.enter_next_segment();
                    entered.map_err(|error| self.failed("be written", &error))?;
                }
            }
        }
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        match self.is_read_only {
            true => {
                let path = self.path.display();
                Err(StoreError::read_only(format!("`{path}` was opened read-only")))
            }
            false => Ok(()),
        }
    }

    fn read_file(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.open_to_read(path)?.read_at(0, u64::MAX)
    }

    fn failed(&self, what: &str, error: &io::Error) -> StoreError {
        failed(&self.path, what, error)
    }

    fn damaged(&self, what: &str) -> StoreError {
        let path = self.journal.path().display();
        StoreError::damaged(format!("`{path}` is damaged: {what}. The file was not modified"))
    }

    fn document_path(&self, hash: &str) -> PathBuf {
        self.path.join(DOCUMENTS).join(format!("{hash}.json"))
    }
}

fn create_directories(path: &Path, files: &mut dyn Files) -> io::Result<()> {
    match files.check_directory(path, true) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    files.create_directory(&path.join(DOCUMENTS))?;
    files.sync_directory(path)?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    files.sync_directory(above.unwrap_or(Path::new(".")))
}

/// Returns the first line of the last segment, or 1 if there is none.
fn last_segment(path: &Path, files: &mut dyn Files) -> io::Result<u64> {
    Ok(segments::list(files, path, "")?.pop().unwrap_or(1))
}

/// Fails for a store that other users can change.
fn check_trust(path: &Path, files: &mut dyn Files, for_writing: bool) -> Result<(), StoreError> {
    let checked = files.check_directory(path, for_writing);
    let documents = path.join(DOCUMENTS);
    match checked.and_then(|()| files.check_directory(&documents, for_writing)) {
        // Reading the journal or a document reports a missing directory.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(path, "be used", &error))
        }
        _ => Ok(()),
    }
}

/// Replaces a file atomically. Only one process at a time may do it.
pub(super) fn write_atomically(files: &mut dyn Files, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = files.open(&beside, true)?;
    file.truncate(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    files.rename(&beside, path)?;
    files.sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Converts an error of the file system for the store at `path`, which cannot do `what`.
fn failed(path: &Path, what: &str, error: &io::Error) -> StoreError {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            StoreError::missing(format!("`{path}` holds no rollout: there is no `{JOURNAL}` in it"))
        }
        io::ErrorKind::InvalidData => StoreError::damaged(error.to_string()),
        io::ErrorKind::WouldBlock => {
            let holder = error.get_ref().map(ToString::to_string);
            let holder = holder.unwrap_or_else(lock_holder::describe_unknown);
            StoreError::locked(format!(
                "`{path}` is locked by {holder}. Reading is possible meanwhile"
            ))
        }
        _ => StoreError::io(format!("`{path}` cannot {what}: {error}")),
    }
}

impl Store for Directory {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let from = from.max(1);
        loop {
            if from < self.journal.begin() {
                return self.read_earlier(from);
            }
            let read = self.journal.read(&mut *self.files, &mut self.cursor, from);
            let is_last = read.as_ref().is_ok_and(Vec::is_empty);
            let read = read.and_then(|lines| match is_last && self.enter_next_segment()? {
                true => Ok(None),
                false => Ok(Some(lines)),
            });
            match read {
                Ok(Some(lines)) => return Ok(lines),
                Ok(None) => {}
                // This process stood still for so long that its segment was moved to an archive.
                Err(error) if self.is_removed(&error) => {
                    let begin = self.segment_of(from)?;
                    if begin > from {
                        return Err(removed_lines(begin));
                    }
                    self.open_segment(begin).map_err(|error| self.failed("be read", &error))?;
                }
                Err(error) => return Err(self.failed("be read", &error)),
            }
        }
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append_line(number, line, false)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        let begins = segments::list(&mut *self.files, &self.path, "");
        let begins = begins.map_err(|error| self.failed("be read", &error))?;
        let begin = begins.iter().rfind(|begin| **begin <= number).or(begins.first());
        Ok(begin.copied().unwrap_or(1))
    }

    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append_line(number, line, true)?;
        if number > 1 && self.journal.known_end() == Cursor::default() {
            // The store was empty, and its first segment stays so.
            let empty = self.journal.path().to_owned();
            let entered = self.open_segment(number).and_then(|()| self.files.remove(&empty));
            let entered = entered.and_then(|()| self.files.sync_directory(&self.path));
            entered.map_err(|error| self.failed("be written", &error))?;
        }
        Ok(())
    }

    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        self.check_writable()?;
        let removed = segments::list(&mut *self.files, &self.path, "").and_then(|begins| {
            if !begins.contains(&number) {
                return Ok(false);
            }
            for begin in begins.into_iter().filter(|begin| *begin < number) {
                self.files.remove(&segments::path_of(&self.path, begin))?;
            }
            self.files.sync_directory(&self.path).map(|()| true)
        });
        match removed.map_err(|error| self.failed("be written", &error))? {
            true => Ok(()),
            false => Err(StoreError::refused(format!("line {number} begins no segment"))),
        }
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        self.check_writable()?;
        let path = self.document_path(hash);
        if self.read_file(&path).is_ok_and(|kept| kept == document) {
            // The process that wrote it may have failed to sync the name.
            let synced = self.files.sync_directory(&self.path.join(DOCUMENTS));
            return synced.map_err(|error| self.failed("be written", &error));
        }
        // Two processes may keep the same document, under the same temporary name.
        let kept = self
            .journal
            .locked(&mut *self.files, |_, files| write_atomically(files, &path, document));
        kept.map_err(|error| self.failed("be written", &error))
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.document_path(hash);
        self.read_file(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                StoreError::missing(format!("there is no document `{}`", path.display()))
            }
            _ => self.failed("be read", &error),
        })
    }

    fn notices(&self) -> Vec<String> {
        self.notices.clone()
    }

    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        let (directory, files) = (self.path.clone(), self.files.another());
        let journal = self.files.open_to_read(self.journal.path()).ok()?;
        let counted = self.journal.known_end();
        Some(Box::new(DirectoryWatcher { directory, files, journal, counted }))
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }
}
