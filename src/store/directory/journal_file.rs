//! The file of the journal's last segment, which several processes read and append to.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cursor::Cursor;
use super::{lock_holder, segments, write_atomically};
use crate::background::Signal;
use crate::clock::monotonic;
use crate::rollout::Hash;
use crate::store::{File, Files};

/// A segment of a directory's journal, opened by this process. Mostly it is the last one.
///
/// A process holds the exclusive lock for one append, and the shared lock while it looks for the end of the journal. So
/// no reader sees a line before it is durable.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: PathBuf,
    /// The number of the segment's first line.
    begin: u64,
    pub(super) file: Box<dyn File>,
    /// The handle that is locked. `None` for a reader that found no file to lock.
    lock: Option<Box<dyn File>>,
    /// Device and inode.
    id: (u64, u64),
    known: Known,
    /// Whether a failed append may have left bytes that could not be removed. The lock is then kept, because no other
    /// process may read or continue an unacknowledged line.
    has_leftover: bool,
}

/// The part of the journal that this process has read or written. Any later content must begin with it.
#[derive(Debug)]
struct Known {
    end: Cursor,
    /// The hash of the last bytes before `end`. They have the hash of the last line, and so stand for all lines.
    last: Hash,
}

/// Whether a segment's own file is locked. A separate file could be removed while a process holds it, and then two
/// processes would write. Other systems prevent reading a locked file, so they lock a separate one.
const LOCKS_ITSELF: bool = cfg!(unix);

/// How many bytes `Known::last` is the hash of: more than the hash at the end of a line.
const LAST_BYTES: usize = 80;

/// How long an append waits for the lock. Another append takes milliseconds, unless its disk or its process stands
/// still.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a reader waits for the lock. Then it reads the whole lines that are there.
const READ_PATIENCE: Duration = Duration::from_millis(100);

/// The longest pause between two attempts to lock.
const LOCK_PAUSE: Duration = Duration::from_millis(4);

/// How to open a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Read,
    Write { create: bool },
}

/// A line to append.
#[derive(Clone, Copy)]
pub(super) struct Line<'l> {
    pub(super) number: u64,
    pub(super) line: &'l [u8],
    pub(super) begins_segment: bool,
    /// Whether the same handle has appended a line with this number before.
    pub(super) is_repetition: bool,
}

/// What an append found under the lock.
pub(super) enum Appended {
    Done,
    /// The next line has this number.
    Conflict(u64),
    /// The journal ends with an incomplete line, because a process died during an append.
    Torn,
    /// Another segment has begun.
    Continued,
}

impl JournalFile {
    /// Opens the segment that begins with this line.
    pub(super) fn open(
        files: &mut dyn Files,
        directory: &Path,
        begin: u64,
        how: Opening,
    ) -> io::Result<JournalFile> {
        let path = segments::path_of(directory, begin);
        let mut file = match how {
            Opening::Read => files.open_to_read(&path)?,
            Opening::Write { create } => files.open(&path, create)?,
        };
        // A separate handle, even of the same file.
        let lock = open_lock(files, &path, how == Opening::Read)?;
        let id = file.id()?;
        let known = Known { end: Cursor::before(begin), last: Hash::of(&[]) };
        Ok(JournalFile { path, begin, file, lock, id, known, has_leftover: false })
    }

    /// Returns the number of the segment's first line.
    pub(super) fn begin(&self) -> u64 {
        self.begin
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the first line of the next segment, if it has begun after the known lines.
    pub(super) fn next_segment(&self, files: &mut dyn Files) -> io::Result<Option<u64>> {
        // While this segment has no line, the next one has no name.
        let next = self.known.end.lines.checked_add(1).filter(|next| *next > self.begin);
        let Some(next) = next else { return Ok(None) };
        match files.id(&segments::path_of(self.directory(), next)) {
            Ok(_) => Ok(Some(next)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the end of the known part.
    pub(super) fn known_end(&self) -> Cursor {
        self.known.end
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Fails where two handles can lock the same file, as on some network file systems.
    pub(super) fn check_locks(&mut self) -> io::Result<()> {
        let Some(lock) = self.lock.as_mut().filter(|_| LOCKS_ITSELF) else {
            return Ok(());
        };
        if !lock.try_lock()? {
            return Ok(());
        }
        let is_broken = self.file.try_lock()?;
        if is_broken {
            self.file.unlock()?;
        }
        lock.unlock()?;
        match is_broken {
            true => Err(io::Error::other(
                "locks do not work on this file system, so processes could overwrite each other's records: choose a \
                 directory on a local disk",
            )),
            false => Ok(()),
        }
    }

    /// Runs an action under the exclusive lock.
    pub(super) fn locked<T>(
        &mut self,
        files: &mut dyn Files,
        action: impl FnOnce(&mut JournalFile, &mut dyn Files) -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.has_leftover && !lock(&mut self.lock, WRITE_PATIENCE, |file| file.try_lock())? {
            let holder = lock_holder::describe(self.id);
            return Err(io::Error::new(io::ErrorKind::WouldBlock, holder));
        }
        let done = self.check(files).and_then(|()| action(self, files));
        self.unlock();
        done
    }

    fn unlock(&mut self) {
        if !self.has_leftover
            && let Some(lock) = &mut self.lock
        {
            // If this fails, closing the file releases the lock.
            let _ = lock.unlock();
        }
    }

    /// Reads the next lines from this line on. `cursor` is the end of an earlier read.
    pub(super) fn read(
        &mut self,
        files: &mut dyn Files,
        cursor: &mut Cursor,
        from: u64,
    ) -> io::Result<Vec<u8>> {
        // Reading works without the lock too, also where the file system has no locks.
        let is_locked = !self.has_leftover
            && lock(&mut self.lock, READ_PATIENCE, |file| file.try_lock_shared()).unwrap_or(false);
        let size = self.check(files).and_then(|()| self.file.size());
        if is_locked {
            self.unlock();
        }
        let size = size?;
        let end = if self.has_leftover { self.known.end.offset } else { size };
        if end > self.known.end.offset {
            // The process that wrote a line may have died before it synced the line.
            self.file.sync()?;
        }
        let lines = cursor.read_from(self.begin, from, &mut *self.file, end)?;
        self.know(*cursor)?;
        Ok(lines)
    }

    /// Reads to the end, to know how many lines there are. Checks nothing if the file has its known size: an append checks
    /// it under the lock.
    pub(super) fn read_what_is_new(&mut self, files: &mut dyn Files) -> io::Result<()> {
        if self.file.size()? == self.known.end.offset {
            return Ok(());
        }
        let mut cursor = self.known.end;
        while !self.read(files, &mut cursor, self.known.end.lines.saturating_add(1))?.is_empty() {}
        Ok(())
    }

    fn know(&mut self, end: Cursor) -> io::Result<()> {
        if end.offset > self.known.end.offset {
            self.known = Known { end, last: self.hash_before(end)? };
        }
        Ok(())
    }

    fn hash_before(&mut self, end: Cursor) -> io::Result<Hash> {
        let begin = end.offset.saturating_sub(LAST_BYTES as u64);
        Ok(Hash::of(&self.file.read_at(begin, end.offset - begin)?))
    }

    /// Checks that the file still has its name and begins with the known part.
    fn check(&mut self, files: &mut dyn Files) -> io::Result<()> {
        if files.id(&self.path)? != self.id {
            let replaced = "the journal was replaced by another file: restart this process";
            return Err(io::Error::other(replaced));
        }
        let end = self.known.end;
        if self.hash_before(end)? == self.known.last {
            return Ok(());
        }
        let (path, size) = (self.path.display(), self.file.size()?);
        let found = match end.offset {
            known if size < known => format!("`{path}` was shortened from {known} to {size} bytes"),
            _ => format!("line {} of `{path}` was changed", end.lines),
        };
        let found = format!(
            "{found}. Nothing was written. Run `stagegate verify`, and restart this process to continue from the \
             journal as it is now"
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, found))
    }

    /// Appends a line and syncs it, unless another process has appended. The line may begin a segment. The lock is held.
    pub(super) fn append(
        &mut self,
        files: &mut dyn Files,
        Line { number, line, begins_segment, is_repetition }: Line<'_>,
    ) -> io::Result<Appended> {
        self.remove_leftover()?;
        let (mut end, size) = (self.known.end, self.file.size()?);
        end.skip_to(&mut *self.file, size)?;
        self.know(end)?;
        if size > end.offset {
            return Ok(Appended::Torn);
        }
        if self.next_segment(files)?.is_some() {
            return Ok(Appended::Continued);
        }
        if is_repetition && number == end.lines && self.ends_with(line)? {
            return Ok(Appended::Done);
        }
        let can_begin = (1..=segments::MAX_BEGIN).contains(&number);
        let is_first = begins_segment && end.lines == 0 && can_begin;
        if number != end.lines.saturating_add(1) && !is_first {
            return Ok(Appended::Conflict(end.lines.saturating_add(1)));
        }
        if begins_segment && number > 1 {
            write_atomically(files, &segments::path_of(self.directory(), number), line)?;
            return Ok(Appended::Done);
        }
        self.has_leftover = true;
        // If the file was moved or replaced meanwhile, the next process that opens the store would not find the line.
        if let Err(error) = self.write(line).and_then(|()| self.check(files)) {
            // The line was not acknowledged, so no reader may find it. Remove it if the disk still works.
            let _ = self.remove_leftover();
            return Err(error);
        }
        self.has_leftover = false;
        let end = Cursor { lines: number, offset: end.offset + line.len() as u64 };
        match line.last_chunk::<LAST_BYTES>() {
            // The next check compares the end of the file with these bytes.
            Some(last) => self.known = Known { end, last: Hash::of(last) },
            None => self.know(end)?,
        }
        Ok(Appended::Done)
    }

    fn ends_with(&mut self, line: &[u8]) -> io::Result<bool> {
        let (end, len) = (self.known.end.offset, line.len() as u64);
        let Some(before) = end.checked_sub(len + 1) else {
            return Ok(end == len && self.file.read_at(0, len)? == line);
        };
        // Include the line end before it.
        let last = self.file.read_at(before, len + 1)?;
        Ok(last.strip_prefix(b"\n") == Some(line))
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_at(self.known.end.offset, line)?;
        self.file.sync()
    }

    /// Removes the bytes that a failed append may have left.
    ///
    /// After a failed sync, the content of the disk is unknown, and a second sync may succeed without writing the data.
    fn remove_leftover(&mut self) -> io::Result<()> {
        if self.has_leftover {
            self.file.truncate(self.known.end.offset)?;
            self.file.sync()?;
            self.has_leftover = false;
        }
        Ok(())
    }
}

/// Tries once more to remove an unacknowledged line.
impl Drop for JournalFile {
    fn drop(&mut self) {
        if self.has_leftover {
            let _ = self.remove_leftover();
            self.has_leftover = false;
            self.unlock();
        }
    }
}

/// Tries to lock the file for a time. Returns whether it is locked. Without a file, it is not.
fn lock(
    file: &mut Option<Box<dyn File>>,
    patience: Duration,
    try_lock: impl Fn(&mut dyn File) -> io::Result<bool>,
) -> io::Result<bool> {
    let Some(file) = file else { return Ok(false) };
    let (begun, mut pause) = (monotonic(), Duration::from_micros(50));
    while !try_lock(&mut **file)? {
        if monotonic().saturating_sub(begun) >= patience {
            return Ok(false);
        }
        let _ = Signal::default().wait(pause);
        pause = (pause * 2).min(LOCK_PAUSE);
    }
    Ok(true)
}

/// Opens the handle to lock, for a segment in this file.
fn open_lock(
    files: &mut dyn Files,
    segment: &Path,
    read_only: bool,
) -> io::Result<Option<Box<dyn File>>> {
    let path = if LOCKS_ITSELF { segment.to_owned() } else { segment.with_file_name("lock") };
    if !read_only {
        return files.open(&path, !LOCKS_ITSELF).map(Some);
    }
    match files.open_to_read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}
