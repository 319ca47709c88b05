//! The last known good: a file beside, for a start without the source.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_128;

use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, read_open, replace_file};
use crate::trust::{self, Owner};

/// How the file begins: what it is, and its version.
const MAGIC: &str = "stagegate-last-known-good 1";

/// Text in JSON may take six bytes for one; a document with a few lists of users is far below that.
const MAX_BYTES: usize = 2 * (MAX_DOCUMENT_BYTES + 4 * MAX_USERS_FILE_BYTES);

/// The file.
///
/// One line (what it is, seconds since 1970, a checksum of what follows with those), then the document in one piece.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
}

impl Kept {
    pub(super) fn new(path: PathBuf) -> Kept {
        Kept { path }
    }

    /// Puts it in the place of what was there, or leaves that: never a half. Only its owner may read it.
    pub(super) fn write(&self, document: &Document, now: SystemTime) -> Result<(), String> {
        let packed = document.pack().ok_or_else(|| self.unwritten("it is not UTF-8"))?;
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let head = format!("{MAGIC} {seconds} {:032x}\n", checksum(seconds, &packed));
        if head.len() + packed.len() > MAX_BYTES {
            return Err(self.unwritten(format!("it has more than {MAX_BYTES} bytes")));
        }
        let written = make_private(self.directory())
            .and_then(|()| trust::directory(self.directory(), Owner::Us))
            .and_then(|()| replace_file(&self.path, &[head.as_bytes(), &packed]));
        written.map_err(|error| self.unwritten(error))
    }

    /// Where the file is.
    fn directory(&self) -> &Path {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        directory.unwrap_or(Path::new("."))
    }

    /// The document and when it was written; `None` where there is no file, else what is wrong with it.
    pub(super) fn read(&self) -> Result<(Document, SystemTime), Option<String>> {
        let bytes = match self.bytes() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(None),
            read => read.map_err(|error| Some(self.wrong(&error)))?,
        };
        let (head, packed) = split(&bytes)
            .ok_or_else(|| Some(self.wrong(&format_args!("it does not begin with `{MAGIC}`"))))?;
        if head.1 != checksum(head.0, packed) {
            return Err(Some(self.wrong(&"its checksum is another: it is damaged")));
        }
        let document = Document::unpack(packed).map_err(|wrong| Some(self.wrong(&wrong)))?;
        let written = UNIX_EPOCH.checked_add(Duration::from_secs(head.0)).unwrap_or(UNIX_EPOCH);
        Ok((document, written))
    }

    /// What the file holds. A file that others can change is refused: they would decide who has which flag.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        trust::directory(self.directory(), Owner::Us)?;
        let file = trust::open(&self.path, fs::OpenOptions::new().read(true), Owner::Us)?;
        read_open(file, MAX_BYTES)
    }

    /// What is wrong with it, for people.
    pub(super) fn wrong(&self, error: &dyn fmt::Display) -> String {
        format!("the last known good `{}` is ignored: {error}", self.path.display())
    }

    fn unwritten(&self, error: impl fmt::Display) -> String {
        format!("the last known good `{}` is not written: {error}", self.path.display())
    }
}

/// Makes a directory that only its owner may enter, with those above it, where there is none.
fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Seconds and checksum, and what follows.
fn split(bytes: &[u8]) -> Option<((u64, u128), &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, packed) = bytes.split_at_checked(end + 1)?;
    let head = std::str::from_utf8(head).ok()?.trim_end().strip_prefix(MAGIC)?;
    let (seconds, checksum) = head.strip_prefix(' ')?.split_once(' ')?;
    Some(((seconds.parse().ok()?, u128::from_str_radix(checksum, 16).ok()?), packed))
}

/// Of all that the file says, but for itself.
fn checksum(seconds: u64, packed: &[u8]) -> u128 {
    xxh3_128(packed) ^ xxh3_128(seconds.to_string().as_bytes()).rotate_left(1)
}
