//! Writing a file whole, or not at all.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Puts a file of these parts in the place of what was there, or leaves that: never a half. Only its owner may read it.
/// It survives a loss of power once this returns.
pub(crate) fn replace_file(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // Whatever is there was left by a process that is no more.
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

/// Has the name of a file survive a loss of power.
pub(crate) fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    // Other systems have no such thing: there a name is as durable as its file.
    if cfg!(unix) {
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    } else {
        Ok(())
    }
}
