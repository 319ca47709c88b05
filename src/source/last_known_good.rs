//! The last known good: a local copy of the current document, for a start without the source.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_128;

use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, read_open, replace_file};
use crate::trust::{self, Owner};

/// The start of the file: its format and version.
const MAGIC: &str = "stagegate-last-known-good 1";

/// The largest size of the file: 1 GiB of lists. Escaped JSON needs up to six bytes for one, but real documents stay far
/// below this size.
const MAX_BYTES: usize = 2 * (MAX_DOCUMENT_BYTES + MAX_USERS_FILE_BYTES);

/// The file with the last document that took effect.
///
/// Its first line has [`MAGIC`], the time of writing in seconds since 1970, and a checksum of that time and the rest.
/// The rest is the packed document.
#[derive(Debug)]
pub(super) struct LastKnownGood {
    path: PathBuf,
}

impl LastKnownGood {
    pub(super) fn new(path: PathBuf) -> LastKnownGood {
        LastKnownGood { path }
    }

    /// Replaces the file atomically. Only its owner may read the new file.
    pub(super) fn write(&self, document: &Document, now: SystemTime) -> Result<(), String> {
        let packed = document.pack().ok_or_else(|| self.write_error("it is not UTF-8"))?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let head = format!("{MAGIC} {seconds} {:032x}\n", checksum(seconds, &packed));
        if head.len() + packed.len() > MAX_BYTES {
            return Err(self.write_error(format!("it has more than {MAX_BYTES} bytes")));
        }
        let written = create_private_directory(self.directory())
            .and_then(|()| trust::directory(self.directory(), Owner::Us))
            .and_then(|()| replace_file(&self.path, &[head.as_bytes(), &packed]));
        written.map_err(|error| self.write_error(error))
    }

    fn directory(&self) -> &Path {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        directory.unwrap_or(Path::new("."))
    }

    /// Returns the document and the time of writing. The error is `None` if there is no file.
    pub(super) fn read(&self) -> Result<(Document, SystemTime), Option<String>> {
        let bytes = match self.bytes() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
            read => read.map_err(|error| Some(self.read_error(&error)))?,
        };
        let (head, packed) = split(&bytes).ok_or_else(|| {
            Some(self.read_error(&format_args!("it does not begin with `{MAGIC}`")))
        })?;
        if head.1 != checksum(head.0, packed) {
            return Err(Some(
                self.read_error(&"its checksum does not match, so the file is damaged"),
            ));
        }
        let document = Document::unpack(packed).map_err(|wrong| Some(self.read_error(&wrong)))?;
        let written = UNIX_EPOCH.checked_add(Duration::from_secs(head.0)).unwrap_or(UNIX_EPOCH);
        Ok((document, written))
    }

    /// Reads the file. Fails if other users can change it, because they could decide who has which flag.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        trust::directory(self.directory(), Owner::Us)?;
        let file = trust::open(&self.path, fs::OpenOptions::new().read(true), Owner::Us)?;
        read_open(file, MAX_BYTES)
    }

    pub(super) fn read_error(&self, error: &dyn fmt::Display) -> String {
        format!("the last known good `{}` is ignored: {error}", self.path.display())
    }

    fn write_error(&self, error: impl fmt::Display) -> String {
        format!("the last known good `{}` cannot be written: {error}", self.path.display())
    }
}

/// Creates a directory and its missing parents. Only the owner may enter them.
fn create_private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Splits the file into the time and checksum of its first line, and the rest.
fn split(bytes: &[u8]) -> Option<((u64, u128), &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, packed) = bytes.split_at_checked(end + 1)?;
    let head = std::str::from_utf8(head).ok()?.trim_end().strip_prefix(MAGIC)?;
    let (seconds, checksum) = head.strip_prefix(' ')?.split_once(' ')?;
    Some(((seconds.parse().ok()?, u128::from_str_radix(checksum, 16).ok()?), packed))
}

/// Returns the checksum of the time and the packed document.
fn checksum(seconds: u64, packed: &[u8]) -> u128 {
    xxh3_128(packed) ^ xxh3_128(seconds.to_string().as_bytes()).rotate_left(1)
}
