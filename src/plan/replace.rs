//! Atomic replacement of files.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file atomically: readers see the old file or the complete new one.
///
/// The content is `parts`, one after the other. Only the owner may read the file. The new file survives a power loss
/// once this returns.
pub(crate) fn replace_file(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // A leftover of a process that ended while it wrote.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&new)?;
    parts.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory_of(path)
}

/// Syncs the directory of a file, so that the file's name survives a power loss.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Only Unix can sync a directory. Elsewhere, syncing the file covers its name.
    if cfg!(unix) {
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    } else {
        Ok(())
    }
}
