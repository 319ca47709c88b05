//! The last known good: a file beside, for a start without the source.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::xxh3_128;

use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, read_file, replace_file};

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
        replace_file(&self.path, &[head.as_bytes(), &packed]).map_err(|error| self.unwritten(error))
    }

    /// The document and when it was written; `None` where there is no file, else what is wrong with it.
    pub(super) fn read(&self) -> Result<(Document, SystemTime), Option<String>> {
        let bytes = match read_file(&self.path, MAX_BYTES) {
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

    /// What is wrong with it, for people.
    pub(super) fn wrong(&self, error: &dyn fmt::Display) -> String {
        format!("the last known good `{}` is ignored: {error}", self.path.display())
    }

    fn unwritten(&self, error: impl fmt::Display) -> String {
        format!("the last known good `{}` is not written: {error}", self.path.display())
    }
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
