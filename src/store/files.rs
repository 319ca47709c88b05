//! The file operations of a [`Directory`](super::Directory), which tests can replace.

use std::ffi::OsString;
use std::fmt;
use std::fs;
#[cfg(not(unix))]
use std::io::Write;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::trust::{self, Owner};

/// The file operations that a [`Directory`](super::Directory) needs. [`SystemFiles`] implements them.
///
/// An implementation for tests may inject faults: fail a call, write half of the bytes, or lose unsynced data.
pub trait Files: Send + fmt::Debug {
    /// Creates a directory and its missing parents. Only the owner may enter them. An existing directory is no error.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn create_directory(&mut self, path: &Path) -> io::Result<()>;

    /// Checks that the path is a directory that other users cannot change. With `for_writing`, the owner must also be
    /// this user or root.
    ///
    /// # Errors
    ///
    /// Says what is wrong and which command fixes it. `NotFound` if there is no directory.
    fn check_directory(&mut self, path: &Path, for_writing: bool) -> io::Result<()> {
        let _ = (path, for_writing);
        Ok(())
    }

    /// Opens a regular file for reading and writing. With `create`, creates a missing file that only its owner may
    /// read.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no file and `create` is false. Fails for a link, or a file that other users can change.
    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no file. Fails for a link, or a file that other users can write to.
    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Returns what [`File::id`] returns for the file that has this name now.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no file.
    fn id(&mut self, path: &Path) -> io::Result<(u64, u64)> {
        self.open_to_read(path)?.id()
    }

    /// Renames a file. Replaces a file that has the new name.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Returns the names of the files in a directory, in any order.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no directory.
    fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Returns another handle on the same files, for another thread.
    fn another(&self) -> Box<dyn Files>;

    /// Syncs a directory, so that its file names survive a power failure.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn sync_directory(&mut self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait File: Send + fmt::Debug {
    /// Writes all bytes at this offset.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system. Some of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Syncs the file, so that the written bytes survive a power failure.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system. The written bytes may then be lost, even if a second call succeeds.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to this length.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Returns the file's size in bytes.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn size(&mut self) -> io::Result<u64>;

    /// Reads `len` bytes from this offset, or fewer at the end of the file.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>>;

    /// Returns numbers that tell this file from every other: device and inode. Equal numbers where the system has none.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn id(&mut self) -> io::Result<(u64, u64)>;

    /// Locks the file for this handle until it is closed. Returns `false` if another handle holds a lock.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn try_lock(&mut self) -> io::Result<bool>;

    /// Locks the file for this handle, together with others that share the lock. Returns `false` if another handle holds
    /// the exclusive lock.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn try_lock_shared(&mut self) -> io::Result<bool> {
        self.try_lock()
    }

    /// Releases the lock.
    ///
    /// Closing the file is not enough: a child process that another thread is just starting may still have it open.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system.
    fn unlock(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemFiles;

impl Files for SystemFiles {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(path)
    }

    fn check_directory(&mut self, path: &Path, for_writing: bool) -> io::Result<()> {
        trust::directory(path, if for_writing { Owner::Us } else { Owner::Any })
    }

    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(create);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        Ok(Box::new(trust::open(path, &options, Owner::Us)?))
    }

    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(trust::open(path, fs::OpenOptions::new().read(true), Owner::Any)?))
    }

    fn id(&mut self, path: &Path) -> io::Result<(u64, u64)> {
        Ok(trust::id(&fs::symlink_metadata(path)?))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&mut self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn another(&self) -> Box<dyn Files> {
        Box::new(*self)
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        // Other systems cannot sync a directory. A name is as durable as its file there.
        if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
    }
}

impl File for fs::File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_all_at(self, bytes, offset);
        #[cfg(not(unix))]
        {
            self.seek(SeekFrom::Start(offset))?;
            self.write_all(bytes)
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn size(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        #[cfg(unix)]
        if let Ok(len @ ..=SHORT_READ) = usize::try_from(len) {
            return read_short(self, offset, len);
        }
        let left = self.size()?.saturating_sub(offset).min(len);
        // One byte more: a full buffer would grow only to find the end of the file.
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default() + 1);
        self.seek(SeekFrom::Start(offset))?;
        self.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn id(&mut self) -> io::Result<(u64, u64)> {
        Ok(trust::id(&self.metadata()?))
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        is_locked(fs::File::try_lock(self))
    }

    fn try_lock_shared(&mut self) -> io::Result<bool> {
        is_locked(fs::File::try_lock_shared(self))
    }

    fn unlock(&mut self) -> io::Result<()> {
        fs::File::unlock(self)
    }
}

/// The longest read for which the size of the file is not worth a system call.
#[cfg(unix)]
const SHORT_READ: usize = 512;

/// Reads up to `SHORT_READ` bytes, with one system call. Each append reads the end of the journal several times.
#[cfg(unix)]
fn read_short(file: &fs::File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut read) = (vec![0; len], 0);
    while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match std::os::unix::fs::FileExt::read_at(file, rest, offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

fn is_locked(locked: Result<(), fs::TryLockError>) -> io::Result<bool> {
    match locked {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}
