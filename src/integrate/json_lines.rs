//! Notifications into a file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::rollout::{Delivery, Notification, Undelivered};

/// Appends each [`Notification`] to a file: a line of JSON each, for whatever collects logs.
///
/// The file is made where there is none, for its owner alone (on Unix). It has to be a regular file: a pipe could
/// have the writer wait for ever, and a link leads somewhere else. It is opened anew for each line, so it may be
/// renamed, removed or cut off at any time: the next line goes to whatever has the name then.
///
/// It is locked for each line, so several processes may write to it. A line that a crash or a full disk has cut off stays; the next begins on a line of its own. Nothing is synced:
/// the journal is what survives a loss of power.
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
    /// Appends to the file of that name. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> JsonLines {
        JsonLines { path: path.as_ref().to_owned() }
    }

    fn append(&self, json: &str) -> io::Result<()> {
        let mut file = self.open()?;
        // Somebody else's half line is no line that was cut off. A lock that is held is not waited for; where a file
        // system knows none, an empty line is the worst that comes of it.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "somebody else is writing to it",
            ));
        }
        let written = append_line(&mut file, json);
        // Closing the file would not do: a program that is just being started has it open too, for a moment.
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
        // Reading is for the last byte. It also has the opening of a pipe that got there this very moment not wait.
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
    /// As the system says, and in the end for what is no regular file.
    fn deliver(&mut self, notification: &Notification) -> Result<(), Undelivered> {
        self.append(&notification.to_json()).map_err(|error| {
            let message = format!("cannot append to `{}`: {error}", self.path.display());
            if error.kind() == io::ErrorKind::InvalidInput {
                Undelivered::for_ever(message)
            } else {
                Undelivered::for_now(message)
            }
        })
    }
}

fn append_line(file: &mut File, json: &str) -> io::Result<()> {
    let begin = if ends_within_a_line(file)? { "\n" } else { "" };
    // One write, so that lines do not mix where no file is locked.
    file.write_all(format!("{begin}{json}\n").as_bytes())
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
    io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")
}
