//! Checks that no other user of the machine can change a file or a directory that this crate relies on.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

#[cfg(not(unix))]
use other as system;
#[cfg(unix)]
use unix as system;

/// The users who may own a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user or root.
    Us,
    /// Any user. Enough for reading a store, which changes nothing.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    Any,
}

/// Fails unless the path is a directory, or a link to one, that other users cannot change.
pub(crate) fn directory(path: &Path, owner: Owner) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("it is not a directory"));
    }
    system::check(path, &metadata, owner)
}

/// Opens a regular file. Fails for a link, a pipe, or a file that other users can change.
pub(crate) fn open(path: &Path, options: &fs::OpenOptions, owner: Owner) -> io::Result<File> {
    // Check before opening, because opening a pipe would wait for its other end.
    match fs::symlink_metadata(path) {
        Ok(metadata) => check_regular(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.open(path)?;
    // Check again, because a link may have replaced the file meanwhile.
    let (opened, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    check_regular(&named)?;
    if id(&opened) != id(&named) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    system::check(path, &opened, owner)?;
    Ok(file)
}

/// Returns device and inode. Equal numbers on systems whose numbers the standard library cannot read.
pub(crate) fn id(metadata: &Metadata) -> (u64, u64) {
    system::id(metadata)
}

fn check_regular(metadata: &Metadata) -> io::Result<()> {
    match () {
        () if metadata.is_file() => Ok(()),
        () if metadata.is_dir() => Err(io::Error::other("it is a directory")),
        () => Err(io::Error::other("it is not a regular file")),
    }
}
