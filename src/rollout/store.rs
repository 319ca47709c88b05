//! The traits for a rollout's storage and coordination: the store, its watcher, and the leader's lease.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// The storage of a rollout's documents and journal.
///
/// The journal is an append-only list of lines, cut into segments. A rollout opens from the first line of the last
/// segment, so earlier segments can be removed. Documents are stored under the hash of their content.
///
/// [`Directory`](crate::store::Directory) and [`Memory`](crate::store::Memory) are stores. For your own, run
/// [`conformance::check`](crate::store::conformance::check).
///
/// # Concurrency
///
/// A rollout makes one call to its store at a time. If several rollouts share a journal (a fleet),
/// [`append`](Store::append) decides between them. Of two records with the same number, one is refused as a conflict.
/// That rollout reads the new records and decides again.
pub trait Store: Send + fmt::Debug {
    /// Returns lines of the journal with their line ends, from this number on. The first line has number 1. Lines that
    /// were [removed](Store::remove_segments_before) are missing.
    ///
    /// May return only some of the lines, but at least one if there is one. The rollout calls again for the rest, until
    /// the result is empty.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the journal cannot be read, or the line was removed.
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError>;

    /// Appends a line, given with its line end, under the next number. The line is durable when this returns.
    ///
    /// If the same handle appends its last line again, nothing changes and there is no conflict, because the first
    /// answer may have been lost.
    ///
    /// # Errors
    ///
    /// [`StoreError`]. It is a conflict if another line has this number. After any other error, the line may or may not
    /// be there. A later `append` of the same number replaces it or conflicts with it.
    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError>;

    /// Returns the number of the first line of the segment that holds this line.
    ///
    /// A line beyond the last one is in the last segment. If the line's segment was removed, returns the first line that
    /// is left. Without this method, the journal is one segment.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the segments are unknown.
    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        let _ = number;
        Ok(1)
    }

    /// Appends a line, as [`append`](Store::append) does, and begins a segment with it. An empty store takes any number.
    ///
    /// Without this method, the line is appended like any other. A rollout still opens from it.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append).
    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        self.append(number, line)
    }

    /// Removes the segments before this line, which must be the first of a segment. Documents stay.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the line is not the first of a segment, or removing fails.
    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        let _ = number;
        Err(StoreError::refused("this store cannot remove segments of its journal"))
    }

    /// Stores a document under the hash of its content. The document is durable when this returns. Storing it again
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the document cannot be stored.
    fn keep(&mut self, hash: &str, document: &[u8]) -> Result<(), StoreError>;

    /// Returns the document with this hash.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is no such document, or it cannot be read.
    fn document(&mut self, hash: &str) -> Result<Vec<u8>, StoreError>;

    /// Returns notices for people about repairs since the store was opened, such as a line that a crash had cut off.
    fn notices(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns a watcher for new lines from other processes, or `None` if the store cannot report them. The watcher
    /// runs in another thread than the store.
    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        None
    }

    /// Returns the store's name for errors: a path or an address.
    fn label(&self) -> String;
}

/// Waits for lines that other processes append to a journal.
pub trait Watcher: Send + fmt::Debug {
    /// Waits until the journal has a line beyond this number, at most for this time. Returns whether it has one.
    ///
    /// It may return `false` early, and it may miss a line, so the caller also reads the journal at intervals.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the state of the journal is unknown.
    fn wait(&mut self, beyond: u64, time: Duration) -> Result<bool, StoreError>;
}

/// The lease of a leader. One process holds it at a time, and loses it unless it renews it.
pub trait LeaderLease: Send + fmt::Debug {
    /// Acquires the lease if it is free, or renews it. Returns how long it is valid, counted from the call, or `None`
    /// if another process holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the holder is unknown. A lease that this process already holds stays valid until its end.
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError>;

    /// Releases the lease, so that the next leader need not wait for its end. Does nothing if that is not possible.
    fn release(&mut self);
}

impl Store for Box<dyn Store> {
    fn read(&mut self, from: u64) -> Result<Vec<u8>, StoreError> {
        (**self).read(from)
    }

    fn append(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        (**self).append(number, line)
    }

    fn segment_of(&mut self, number: u64) -> Result<u64, StoreError> {
        (**self).segment_of(number)
    }

    fn begin_segment(&mut self, number: u64, line: &[u8]) -> Result<(), StoreError> {
        (**self).begin_segment(number, line)
    }

    fn remove_segments_before(&mut self, number: u64) -> Result<(), StoreError> {
        (**self).remove_segments_before(number)
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

    fn watcher(&mut self) -> Option<Box<dyn Watcher>> {
        (**self).watcher()
    }

    fn label(&self) -> String {
        (**self).label()
    }
}

impl LeaderLease for Box<dyn LeaderLease> {
    fn acquire(&mut self) -> Result<Option<Duration>, StoreError> {
        (**self).acquire()
    }

    fn release(&mut self) {
        (**self).release();
    }
}

/// A failure of a store.
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
    /// Creates the error: another process has appended a line with this number.
    #[must_use]
    pub fn conflict(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Conflict, message: message.into() }
    }

    /// Creates the error: another process has locked the store.
    #[must_use]
    pub fn locked(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Locked, message: message.into() }
    }

    /// Creates the error: the store or the document does not exist.
    #[must_use]
    pub fn missing(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Missing, message: message.into() }
    }

    /// Creates the error: the store is open for reading only.
    #[must_use]
    pub fn read_only(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::ReadOnly, message: message.into() }
    }

    /// Creates the error: the content is damaged.
    #[must_use]
    pub fn damaged(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Damaged, message: message.into() }
    }

    /// Creates the error: the store works but can never take this line, for example because it is too long. It may take
    /// other lines.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Refused, message: message.into() }
    }

    /// Creates the error: the disk or the network failed. A retry may succeed.
    #[must_use]
    pub fn io(message: impl Into<String>) -> StoreError {
        StoreError { kind: StoreErrorKind::Io, message: message.into() }
    }

    /// Returns whether another process has appended a line with this number.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == StoreErrorKind::Conflict
    }

    /// Returns whether another process has locked the store.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.kind == StoreErrorKind::Locked
    }

    /// Returns whether the store or the document does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == StoreErrorKind::Missing
    }

    /// Returns whether the store is open for reading only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.kind == StoreErrorKind::ReadOnly
    }

    /// Returns whether the store works but can never take this line.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == StoreErrorKind::Refused
    }

    /// Returns whether the content is damaged.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.kind == StoreErrorKind::Damaged
    }
}
