//! A store in a directory.

mod reading;
mod tail;
mod writing;

use std::io;
use std::path::{Path, PathBuf};

use super::files::{File, Files, SystemFiles};
use crate::rollout::{Store, StoreError};
use reading::Place;
use tail::Tail;
use writing::{Lock, Writing};

/// A directory that holds a rollout's documents and its journal.
///
/// ```text
/// journal.jsonl          the journal
/// documents/HASH.json    every document that was in force, with the files it names
/// lock                   taken by the process that writes
/// ```
///
/// Only their owner may read and write them. On Unix, a directory or file is refused that group or
/// others can write to, that is a link, or that belongs to another user than this one or root; the
/// error says what to run. A line that a crash has cut off is taken from the
/// journal's end when it is opened, and kept beside it; a [notice](Store::notices) says so. Any
/// other damage is an error, and nothing is touched. The chapter on the journal has the format.
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
/// let store = Directory::create(&path)?;
/// let document = "schema = 1\n[flags.new-checkout]\nstage = \"internal\"";
/// let rollout = Rollout::start(store, SystemClock::new(), document, "ana")?;
/// assert!(Directory::open(&path).unwrap_err().is_locked());
/// drop(rollout);
///
/// let rollout = Rollout::open(Directory::open(&path)?, SystemClock::new())?;
/// assert_eq!(rollout.status().flags[0].state.stage, "internal");
/// # drop(rollout);
/// # std::fs::remove_dir_all(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: Box<dyn Files>,
    /// `None`: for reading only.
    writing: Option<Writing>,
    /// Where the last read has ended: the next one mostly begins there.
    read: Place,
    notices: Vec<String>,
}

const JOURNAL: &str = "journal.jsonl";
const DOCUMENTS: &str = "documents";

impl Directory {
    /// An empty store in a directory, which is made; its files may not be there yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is a journal already, another process has it, others can change
    /// the directory, or it cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        Directory::create_with(path, SystemFiles)
    }

    /// The same by other file operations.
    ///
    /// # Errors
    ///
    /// As [`create`](Directory::create).
    pub fn create_with(
        path: impl AsRef<Path>,
        files: impl Files + 'static,
    ) -> Result<Directory, StoreError> {
        let mut store = Directory::unopened(path.as_ref(), Box::new(files));
        store.make().map_err(|error| store.failed("be made", &error))?;
        store.open_for_writing(true)?;
        if store.writing.as_ref().is_some_and(|writing| writing.len > 0) {
            let path = store.path.join(JOURNAL);
            let message = format!("`{}` is there already, and stays as it is", path.display());
            return Err(StoreError::conflict(message));
        }
        Ok(store)
    }

    /// The store in a directory, for this process alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is no journal, another process has it, others can change it, it is
    /// damaged, or cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        Directory::open_with(path, SystemFiles)
    }

    /// The same by other file operations.
    ///
    /// # Errors
    ///
    /// As [`open`](Directory::open).
    pub fn open_with(
        path: impl AsRef<Path>,
        files: impl Files + 'static,
    ) -> Result<Directory, StoreError> {
        let mut store = Directory::unopened(path.as_ref(), Box::new(files));
        store.open_for_writing(false)?;
        Ok(store)
    }

    /// The store in a directory, for looking: also while another process has it. Nothing can be
    /// appended, and nothing is put right: what a crash has cut off, or is being written, is not
    /// shown.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is no journal, or others can write to it.
    pub fn read_only(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        let mut store = Directory::unopened(path.as_ref(), Box::new(SystemFiles));
        store.check(false)?;
        store.read(1)?;
        Ok(store)
    }

    fn unopened(path: &Path, files: Box<dyn Files>) -> Directory {
        let (path, read) = (path.to_owned(), Place::default());
        Directory { path, files, writing: None, read, notices: Vec::new() }
    }

    fn make(&mut self) -> io::Result<()> {
        match self.files.check_directory(&self.path, true) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.files.create_directory(&self.path.join(DOCUMENTS))?;
        self.files.sync_directory(&self.path)?;
        let above = self.path.parent().filter(|above| !above.as_os_str().is_empty());
        self.files.sync_directory(above.unwrap_or(Path::new(".")))
    }

    /// Refuses a store that others can change.
    fn check(&mut self, for_writing: bool) -> Result<(), StoreError> {
        let checked = self.files.check_directory(&self.path, for_writing);
        let documents = self.path.join(DOCUMENTS);
        let checked = checked.and_then(|()| self.files.check_directory(&documents, for_writing));
        match checked {
            // Reading the journal, or a document, says what is missing.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("be used", &error))
            }
            _ => Ok(()),
        }
    }

    fn open_for_writing(&mut self, create: bool) -> Result<(), StoreError> {
        // Whoever looks in the wrong place leaves nothing there, not even a lock.
        if !create && let Err(error) = self.files.open(&self.path.join(JOURNAL), false) {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => self.missing(),
                _ => self.failed("be opened", &error),
            });
        }
        self.check(true)?;
        let lock = self.path.join("lock");
        let mut lock = self.files.open(&lock, true).map_err(|e| self.failed("be locked", &e))?;
        if !lock.try_lock().map_err(|error| self.failed("be locked", &error))? {
            let path = self.path.display();
            let hint = "wait until it ends, or ask it to act; looking is possible meanwhile";
            return Err(StoreError::locked(format!("another process has `{path}`: {hint}")));
        }
        let lock = Lock(lock);
        let path = self.path.join(JOURNAL);
        let journal = self.files.open(&path, create);
        let mut journal = journal.map_err(|error| self.failed("be opened", &error))?;
        if create {
            self.files.sync_directory(&self.path).map_err(|e| self.failed("be made", &e))?;
        }
        let tail = Tail::of(&mut *journal).map_err(|error| self.failed("be read", &error))?;
        if !tail.torn.is_empty() {
            let lines = tail.is_of_a_crash(&mut *journal);
            let lines = lines.map_err(|error| self.failed("be read", &error))?;
            let lines = lines.map_err(|what| self.damaged(&what))?;
            let cut = self.cut(&mut *journal, &tail, lines);
            cut.map_err(|error| self.failed("be put right", &error))?;
        }
        let (len, lines) = (tail.whole, None);
        self.writing = Some(Writing { journal, _lock: lock, len, lines, is_unsure: false });
        Ok(())
    }

    /// Takes off what a crash has cut off; a copy stays beside the journal.
    fn cut(&mut self, journal: &mut dyn File, tail: &Tail, lines: u64) -> io::Result<()> {
        let name = format!("journal.torn-{}", lines + 1);
        self.write_whole(&self.path.join(&name), &tail.torn)?;
        journal.truncate(tail.whole)?;
        journal.sync()?;
        self.notices.push(format!(
            "the last {} bytes of `{}` were no whole line, as after a crash: they are in `{name}`, \
             and {lines} whole records are left",
            tail.torn.len(),
            self.path.join(JOURNAL).display(),
        ));
        Ok(())
    }

    /// Writes a file whole or not at all.
    fn write_whole(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = self.files.open(&beside, true)?;
        file.truncate(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.files.rename(&beside, path)?;
        self.files.sync_directory(path.parent().unwrap_or(&self.path))
    }

    fn read_whole(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.open_to_read(path)?.read_at(0, u64::MAX)
    }

    fn missing(&self) -> StoreError {
        let path = self.path.display();
        StoreError::missing(format!("`{path}` holds no rollout: there is no `{JOURNAL}` in it"))
    }

    fn failed(&self, what: &str, error: &io::Error) -> StoreError {
        StoreError::io(format!("`{}` cannot {what}: {error}", self.path.display()))
    }

    fn damaged(&self, what: &str) -> StoreError {
        let path = self.path.join(JOURNAL);
        StoreError::damaged(format!("`{}` is damaged: {what}; it stays as it is", path.display()))
    }

    fn document_path(&self, hash: &str) -> PathBuf {
        self.path.join(DOCUMENTS).join(format!("{hash}.json"))
    }
}

impl Store for Directory {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let read = match &mut self.writing {
            Some(writing) => {
                let read = self.read.read_from(from, &mut *writing.journal, writing.len);
                if self.read.offset == writing.len {
                    writing.lines = Some(self.read.lines);
                }
                read
            }
            // Each time anew: who looks keeps nothing open.
            None => self
                .files
                .open_to_read(&self.path.join(JOURNAL))
                .and_then(|mut journal| self.read.read_from(from, &mut *journal, u64::MAX)),
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(),
            _ => self.failed("be read", &error),
        })
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let Some(writing) = &mut self.writing else {
            let path = self.path.display();
            return Err(StoreError::read_only(format!("`{path}` was opened for looking only")));
        };
        let lines = match writing.lines(self.read) {
            Ok(lines) => lines,
            Err(error) => return Err(self.failed("be read", &error)),
        };
        if number == lines && writing.ends_with(line).unwrap_or(false) {
            return Ok(());
        }
        if number != lines + 1 {
            return Err(StoreError::conflict(format!("line {} follows, not {number}", lines + 1)));
        }
        let (files, path) = (&mut self.files, self.path.join(JOURNAL));
        let is_there = |offset| {
            let found = files.open_to_read(&path)?.read_at(offset, line.len() as u64)?;
            let replaced =
                "another file is in the journal's place; restart the process that writes";
            if found == line { Ok(()) } else { Err(io::Error::other(replaced)) }
        };
        let appended = writing.append(line, is_there);
        appended.map_err(|error| self.failed("be written", &error))
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        if self.writing.is_none() {
            let path = self.path.display();
            return Err(StoreError::read_only(format!("`{path}` was opened for looking only")));
        }
        let path = self.document_path(hash);
        if self.read_whole(&path).is_ok_and(|kept| kept == document) {
            return Ok(());
        }
        self.write_whole(&path, document).map_err(|error| self.failed("be written", &error))
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.document_path(hash);
        self.read_whole(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                StoreError::missing(format!("there is no document `{}`", path.display()))
            }
            _ => self.failed("be read", &error),
        })
    }

    fn notices(&self) -> Vec<String> {
        self.notices.clone()
    }

    fn label(&self) -> String {
        self.path.display().to_string()
    }
}
