//! The file operations of a [`Directory`](super::Directory), so that tests can have them fail.

use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::trust::{self, Owner};

/// What a directory store does with files. [`SystemFiles`] does it; a test may do it badly: fail
/// the n-th call, write a half, forget what was not synced.
pub trait Files: Send + fmt::Debug {
    /// Makes a directory that only its owner may enter, with those above it; it may be there.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn create_directory(&mut self, path: &Path) -> io::Result<()>;

    /// Refuses a directory that others can change, and what is no directory. `for_writing`: also
    /// one that belongs to another user than this one or root.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to run; as the system says, `NotFound` where there is none.
    fn check_directory(&mut self, path: &Path, for_writing: bool) -> io::Result<()> {
        let _ = (path, for_writing);
        Ok(())
    }

    /// Opens a regular file that only its owner may read, for reading and writing; makes it where
    /// `create` says so. A link is refused, and a file that others can change.
    ///
    /// # Errors
    ///
    /// As the system says; `NotFound` where there is none and none is to be made.
    fn open(&mut self, path: &Path, create: bool) -> io::Result<Box<dyn File>>;

    /// Opens a regular file for reading alone. A link is refused, and a file that others can write to.
    ///
    /// # Errors
    ///
    /// As the system says; `NotFound` where there is none.
    fn open_to_read(&mut self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, in the place of whatever had it.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Has the names in a directory survive a loss of power.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn sync_directory(&mut self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait File: Send + fmt::Debug {
    /// Writes bytes at a place, all of them.
    ///
    /// # Errors
    ///
    /// As the system says; some of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has what was written survive a loss of power.
    ///
    /// # Errors
    ///
    /// As the system says. What was written may be lost then, whatever a second call says.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file off.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn size(&mut self) -> io::Result<u64>;

    /// The bytes from a place on: so many, or all where there are fewer.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn read_at(&mut self, offset: u64, len: u64) -> io::Result<Vec<u8>>;

    /// Takes the file for this process, until it is closed; `false`: another one has it.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn try_lock(&mut self) -> io::Result<bool>;

    /// Lets go of it. Closing it does, too, but for a program that another thread of this process is about to start: until it
    /// runs, it has whatever is open.
    ///
    /// # Errors
    ///
    /// As the system says.
    fn unlock(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files of the system.
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

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        // Other systems have no such thing: there a name is as durable as its file.
        if cfg!(unix) { fs::File::open(path)?.sync_all() } else { Ok(()) }
    }
}

impl File for fs::File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
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
        let left = self.size()?.saturating_sub(offset).min(len);
        // One byte more, or a buffer that is just full would grow to see that this is the end.
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default() + 1);
        self.seek(SeekFrom::Start(offset))?;
        self.take(len).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn try_lock(&mut self) -> io::Result<bool> {
        match fs::File::try_lock(self) {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&mut self) -> io::Result<()> {
        fs::File::unlock(self)
    }
}
