//! What a rollout needs of the place where its plan and journal live.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// Where a rollout keeps its documents and its journal.
///
/// The journal is a list of lines that only grows; documents are kept by the hash of their content.
/// [`Directory`](crate::store::Directory) is one, [`Memory`](crate::store::Memory) another.
/// [`conformance::check`](crate::store::conformance::check) says whether one of your own does what it has to.
///
/// # Concurrency
///
/// One rollout uses one store, a call at a time. Where several may have the same journal open (a
/// fleet), [`append`](Store::append) is what decides between them: of two records with the same
/// number one is refused as a conflict, and that rollout reads on and decides anew.
pub trait Store: Send + fmt::Debug {
    /// The journal's lines from this number on (the first is 1), each with its line end: some of
    /// them, and one at least where there is one. Whoever reads asks again behind what was read, until
    /// nothing comes.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the journal cannot be read.
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError>;

    /// Adds a line with that number, with its line end; durable when this returns. The number is the one that
    /// follows: none is left out. The last line, appended once more by the same handle, changes nothing and is no
    /// conflict: its answer may have been lost.
    ///
    /// # Errors
    ///
    /// [`StoreError`], a conflict where there is another line of that number; otherwise nobody may rely on the line
    /// being there, nor on its not being there: a later `append` of the same number takes its place, or conflicts
    /// with it.
    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError>;

    /// Keeps a document under the hash of its content; durable when this returns. To keep one again
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be kept.
    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError>;

    /// The document of that hash.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when there is none, or it cannot be read.
    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError>;

    /// What was found and put right while opening, for people: a line that was cut off by a crash.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// What waits for lines that others append, where the store can tell of them; it is used by another thread than
    /// the store. `None`: whoever wants to know has to read.
    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        None
    }

    /// How errors call the store: a path, an address.
    fn label(&self) -> String;
}

/// Waits for what others append to a journal.
pub trait Watcher: Send + fmt::Debug {
    /// Waits until the journal has a line beyond this number, and says whether that is so; `false` when the time is
    /// over, or earlier. It may miss one: whoever waits reads now and then, whatever this says.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be known.
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError>;
}

/// The lead among those who do the same: one has it at a time, and loses it unless it keeps it.
pub trait Lead: Send + fmt::Debug {
    /// Takes the lead where nobody has it, or keeps it. For how long, from the moment of the call, nobody else can
    /// have it; `None`: somebody else has it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it cannot be known. What was held before is held as long as it was said to be.
    fn hold(&mut self) -> Result<Option<Duration>, StoreError>;

    /// Gives the lead up, so that the next need not wait until it is lost. As far as that is possible.
    fn give_up(&mut self);
}

/// Whichever it is.
impl Store for Box<dyn Store> {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        (**self).read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        (**self).append(number, line)
    }

    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError> {
        (**self).keep(hash, document)
    }

    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError> {
        (**self).document(hash)
    }

    fn notices(&self) -> Vec<String> {
        (**self).notices()
    }

    fn watcher(&self) -> Option<Box<dyn Watcher>> {
        (**self).watcher()
    }

    fn label(&self) -> String {
        (**self).label()
    }
}

/// Whichever it is.
impl Lead for Box<dyn Lead> {
    fn hold(&mut self) -> Result<Option<Duration>, StoreError> {
        (**self).hold()
    }

    fn give_up(&mut self) {
        (**self).give_up();
    }
}

/// A store that could not do what it was asked.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreErrorKind {
    Conflict,
    Locked,
    Missing,
    ReadOnly,
    Damaged,
    Refused,
    Io,
}

impl StoreError {
    /// Somebody else has added the line of that number.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Conflict, message: message.into() }
    }

    /// Another process has the store.
    #[must_use]
    pub fn locked(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Locked, message: message.into() }
    }

    /// There is no such store or document.
    #[must_use]
    pub fn missing(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Missing, message: message.into() }
    }

    /// The store was opened for reading only.
    #[must_use]
    pub fn read_only(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::ReadOnly, message: message.into() }
    }

    /// What is there is not what was written.
    #[must_use]
    pub fn damaged(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Damaged, message: message.into() }
    }

    /// The store works and does not take this line, however often it is tried: it is too long, say. Others may be taken.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Refused, message: message.into() }
    }

    /// The disk or the network failed; another attempt may succeed.
    #[must_use]
    pub fn io(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Io, message: message.into() }
    }

    /// Whether somebody else was first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == StoreErrorKind::Conflict
    }

    /// Whether another process has the store.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.kind == StoreErrorKind::Locked
    }

    /// Whether there is no such store or document.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == StoreErrorKind::Missing
    }

    /// Whether the store was opened for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.kind == StoreErrorKind::ReadOnly
    }

    /// Whether the store works and does not take this line.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == StoreErrorKind::Refused
    }

    /// Whether what is there is not what was written.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.kind == StoreErrorKind::Damaged
    }
}
