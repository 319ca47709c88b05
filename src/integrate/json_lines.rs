//! Notifications to a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::rollout::{Delivery, DeliveryError, Notification};

/// A [`Delivery`] that appends each [`Notification`] to a file, as one line of JSON for log collectors.
///
/// A missing file is created, readable for its owner only (on Unix). It must be a regular file: a pipe could block the
/// writer for ever, and a link leads to another place. The file is opened for each line. So log rotation may rename,
/// remove or truncate it at any time, and the next line goes to the file that has the name then.
///
/// The file is locked while a line is written, so several processes may write to it. If a crash or a full disk cut a
/// line off, the rest of the line stays, and the next line starts on a new line. Nothing is synced, because the journal
/// survives a power failure.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::StageName;
/// use stagegate::integrate::JsonLines;
/// use stagegate::rollout::{Delivery, Notification, NotificationKind};
///
/// # let path = std::env::temp_dir().join(format!("stagegate-doc-{}.jsonl", std::process::id()));
/// # let _ = std::fs::remove_file(&path);
/// let mut log = JsonLines::new(&path);
/// let now = SystemTime::UNIX_EPOCH;
/// log.deliver(&Notification::new("search", NotificationKind::Held, StageName::OFF, now, "held: lunch"))?;
/// assert_eq!(
///     std::fs::read_to_string(&path)?,
///     "{\"schema\":1,\"at\":\"1970-01-01T00:00:00Z\",\"flag\":\"search\",\"kind\":\"held\",\"stage\":\"off\",\
///      \"text\":\"held: lunch\"}\n",
/// );
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonLines {
    path: PathBuf,
}

impl JsonLines {
    /// Creates a delivery that appends to `path`. Does not open the file yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> JsonLines {
        JsonLines { path: path.as_ref().to_owned() }
    }

    fn append(&self, json: &str) -> io::Result<()> {
        let mut file = self.open()?;
        // Without the lock, a line that another process is writing would look like one that was cut off. Does not wait
        // for a held lock. On a file system without locks, the worst result is an empty line.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process is writing to it",
            ));
        }
        let written = append_line(&mut file, json);
        // Closing the file is not enough: a child process that is being started shares it for a moment, with the lock.
        let _ = file.unlock();
        written
    }

    fn open(&self) -> io::Result<File> {
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if !metadata.is_file() => return Err(not_regular()),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        // Reads the last byte. `read` also keeps `open` from blocking if the path has become a pipe since the check.
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(&self.path)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
    }
}

impl Delivery for JsonLines {
    /// # Errors
    ///
    /// Temporary for I/O errors and for a file that another process has locked. Permanent for a path that is not a
    /// regular file.
    fn deliver(&mut self, notification: &Notification) -> Result<(), DeliveryError> {
        self.append(&notification.to_json()).map_err(|error| {
            let message = format!("cannot append to `{}`: {error}", self.path.display());
            if error.kind() == io::ErrorKind::InvalidInput {
                DeliveryError::permanent(message)
            } else {
                DeliveryError::temporary(message)
            }
        })
    }
}

fn append_line(file: &mut File, json: &str) -> io::Result<()> {
    let line_break = if ends_within_a_line(file)? { "\n" } else { "" };
    // A single write, so that lines stay whole on file systems without locks.
    file.write_all(format!("{line_break}{json}\n").as_bytes())
}

fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}
