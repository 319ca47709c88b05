//! Whether another user of the machine can change a file or a directory that this crate relies on.

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

/// Who may own what is relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This user or root.
    Us,
    /// Any user: what is only looked at is shown as it is.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    Any,
}

/// Refuses what is no directory, and a directory that others can change. A link is as good as what it leads to.
pub(crate) fn directory(path: &Path, owner: Owner) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Err(io::Error::other("it is no directory"));
    }
    system::check(path, &metadata, owner)
}

/// Opens a regular file with these options. Refuses a link, a pipe, and a file that others can change.
pub(crate) fn open(path: &Path, options: &fs::OpenOptions, owner: Owner) -> io::Result<File> {
    // Before it is opened: opening a pipe would wait for its other end.
    match fs::symlink_metadata(path) {
        Ok(metadata) => regular(&metadata)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = options.open(path)?;
    // And after: a link may have taken its place in between.
    let (opened, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    regular(&named)?;
    if !system::is_same(&opened, &named) {
        return Err(io::Error::other("it was replaced while it was opened"));
    }
    system::check(path, &opened, owner)?;
    Ok(file)
}

fn regular(metadata: &Metadata) -> io::Result<()> {
    match () {
        () if metadata.is_file() => Ok(()),
        () if metadata.is_dir() => Err(io::Error::other("it is a directory")),
        () => Err(io::Error::other("it is no regular file")),
    }
}
