//! A store in a directory.

mod cursor;
mod tail;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

use super::files::{File, Files, SystemFiles};
use crate::rollout::{Store, StoreError};
use cursor::Cursor;
use tail::Tail;
use writer::{JournalWriter, Lock};

/// A directory that holds a rollout's documents and its journal.
///
/// ```text
/// journal.jsonl          the journal
/// documents/HASH.json    every document that took effect, with the files it names
/// lock                   locked by the process that writes
/// ```
///
/// Only their owner may read and write them. On Unix, opening fails for a directory or file that group or others can
/// write to, that is a link, or whose owner is not this user or root. The error has the command that fixes it.
///
/// After a crash, the journal may end with an incomplete line. Opening moves that line to another file, and a
/// [notice](Store::notices) says so. Any other damage is an error and changes nothing. The chapter on the journal has
/// the format.
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
    /// `None` if the store is read-only.
    writer: Option<JournalWriter>,
    /// The end of the last read. The next read usually starts there.
    cursor: Cursor,
    notices: Vec<String>,
}

const JOURNAL: &str = "journal.jsonl";
const DOCUMENTS: &str = "documents";

impl Directory {
    /// Creates an empty store in a directory. Creates the directory if it is missing.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is a journal already, another process has locked it, other users can change
    /// the directory, or creating fails.
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
        files: impl Files + 'static,
    ) -> Result<Directory, StoreError> {
        let mut store = Directory::unopened(path.as_ref(), Box::new(files));
        store.create_directories().map_err(|error| store.failed("be created", &error))?;
        store.open_for_writing(true)?;
        if store.writer.as_ref().is_some_and(|writer| writer.len > 0) {
            let path = store.path.join(JOURNAL);
            let message = format!("`{}` already exists and was not changed", path.display());
            return Err(StoreError::conflict(message));
        }
        Ok(store)
    }

    /// Opens the store in a directory, and locks it for this process.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is no journal, another process has locked it, other users can change it, it is
    /// damaged, or reading fails.
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
        let mut store = Directory::unopened(path.as_ref(), Box::new(files));
        store.open_for_writing(false)?;
        Ok(store)
    }

    /// Opens the store in a directory for reading, also while another process has locked it.
    ///
    /// It leaves out an incomplete line, from a crash or from a write in progress, and repairs nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if there is no journal, or other users can write to it.
    pub fn read_only(path: impl AsRef<Path>) -> Result<Directory, StoreError> {
        let mut store = Directory::unopened(path.as_ref(), Box::new(SystemFiles));
        store.check_trust(false)?;
        store.read(1)?;
        Ok(store)
    }

    fn unopened(path: &Path, files: Box<dyn Files>) -> Directory {
        let (path, cursor) = (path.to_owned(), Cursor::default());
        Directory { path, files, writer: None, cursor, notices: Vec::new() }
    }

    fn create_directories(&mut self) -> io::Result<()> {
        match self.files.check_directory(&self.path, true) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.files.create_directory(&self.path.join(DOCUMENTS))?;
        self.files.sync_directory(&self.path)?;
        let above = self.path.parent().filter(|above| !above.as_os_str().is_empty());
        self.files.sync_directory(above.unwrap_or(Path::new(".")))
    }

    /// Fails for a store that other users can change.
    fn check_trust(&mut self, for_writing: bool) -> Result<(), StoreError> {
        let checked = self.files.check_directory(&self.path, for_writing);
        let documents = self.path.join(DOCUMENTS);
        let checked = checked.and_then(|()| self.files.check_directory(&documents, for_writing));
        match checked {
            // Reading the journal or a document reports a missing directory.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("be used", &error))
            }
            _ => Ok(()),
        }
    }

    fn open_for_writing(&mut self, create: bool) -> Result<(), StoreError> {
        // Open the journal first, so that a wrong path does not get a lock file.
        if !create && let Err(error) = self.files.open(&self.path.join(JOURNAL), false) {
            return Err(match error.kind() {
                io::ErrorKind::NotFound => self.missing(),
                _ => self.failed("be opened", &error),
            });
        }
        self.check_trust(true)?;
        let lock = self.path.join("lock");
        let mut lock = self.files.open(&lock, true).map_err(|e| self.failed("be locked", &e))?;
        if !lock.try_lock().map_err(|error| self.failed("be locked", &error))? {
            let path = self.path.display();
            let hint = "wait until it ends, or act through it. Reading is possible meanwhile";
            return Err(StoreError::locked(format!(
                "`{path}` is locked by another process: {hint}"
            )));
        }
        let lock = Lock(lock);
        let path = self.path.join(JOURNAL);
        let journal = self.files.open(&path, create);
        let mut journal = journal.map_err(|error| self.failed("be opened", &error))?;
        if create {
            self.files.sync_directory(&self.path).map_err(|e| self.failed("be created", &e))?;
        }
        let tail = Tail::of(&mut *journal).map_err(|error| self.failed("be read", &error))?;
        if !tail.torn.is_empty() {
            let lines = tail.count_complete_lines(&mut *journal);
            let lines = lines.map_err(|error| self.failed("be read", &error))?;
            let lines = lines.map_err(|what| self.damaged(&what))?;
            let removed = self.remove_torn_line(&mut *journal, &tail, lines);
            removed.map_err(|error| self.failed("be repaired", &error))?;
        }
        let (len, lines) = (tail.whole, None);
        self.writer =
            Some(JournalWriter { journal, _lock: lock, len, lines, may_have_leftover: false });
        Ok(())
    }

    /// Moves the incomplete line of a crash to another file.
    fn remove_torn_line(
        &mut self,
        journal: &mut dyn File,
        tail: &Tail,
        lines: u64,
    ) -> io::Result<()> {
        let name = format!("journal.torn-{}", lines + 1);
        self.write_atomically(&self.path.join(&name), &tail.torn)?;
        journal.truncate(tail.whole)?;
        journal.sync()?;
        self.notices.push(format!(
            "the last {} bytes of `{}` were an incomplete record, as after a crash. They were moved to \
             `{name}`; {lines} complete records remain",
            tail.torn.len(),
            self.path.join(JOURNAL).display(),
        ));
        Ok(())
    }

    /// Replaces a file atomically.
    fn write_atomically(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = path.with_extension("new");
        let mut file = self.files.open(&beside, true)?;
        file.truncate(0)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        self.files.rename(&beside, path)?;
        self.files.sync_directory(path.parent().unwrap_or(&self.path))
    }

    fn read_file(&mut self, path: &Path) -> io::Result<Vec<u8>> {
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
        StoreError::damaged(format!(
            "`{}` is damaged: {what}. The file was not modified",
            path.display()
        ))
    }

    fn document_path(&self, hash: &str) -> PathBuf {
        self.path.join(DOCUMENTS).join(format!("{hash}.json"))
    }
}

impl Store for Directory {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        let read = match &mut self.writer {
            Some(writer) => {
                let read = self.cursor.read_from(from, &mut *writer.journal, writer.len);
                if self.cursor.offset == writer.len {
                    writer.lines = Some(self.cursor.lines);
                }
                read
            }
            // Open it for each read, so that a reader keeps no file open.
            None => self
                .files
                .open_to_read(&self.path.join(JOURNAL))
                .and_then(|mut journal| self.cursor.read_from(from, &mut *journal, u64::MAX)),
        };
        read.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.missing(),
            _ => self.failed("be read", &error),
        })
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        let Some(writer) = &mut self.writer else {
            let path = self.path.display();
            return Err(StoreError::read_only(format!("`{path}` was opened read-only")));
        };
        let lines = match writer.lines(self.cursor) {
            Ok(lines) => lines,
            Err(error) => return Err(self.failed("be read", &error)),
        };
        if number == lines && writer.ends_with(line).unwrap_or(false) {
            return Ok(());
        }
        if number != lines + 1 {
            return Err(StoreError::conflict(format!(
                "the next line is {}, not {number}",
                lines + 1
            )));
        }
        let (files, path) = (&mut self.files, self.path.join(JOURNAL));
        let is_there = |offset| {
            let found = files.open_to_read(&path)?.read_at(offset, line.len() as u64)?;
            let replaced = "the journal was replaced by another file: restart this process";
            if found == line { Ok(()) } else { Err(io::Error::other(replaced)) }
        };
        let appended = writer.append(line, is_there);
        appended.map_err(|error| self.failed("be written", &error))
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        if self.writer.is_none() {
            let path = self.path.display();
            return Err(StoreError::read_only(format!("`{path}` was opened read-only")));
        }
        let path = self.document_path(hash);
        if self.read_file(&path).is_ok_and(|kept| kept == document) {
            return Ok(());
        }
        self.write_atomically(&path, document).map_err(|error| self.failed("be written", &error))
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

    fn label(&self) -> String {
        self.path.display().to_string()
    }
}
