//! What a file and those it names hold, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::parent;
use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, Format, read_file};

/// A document with its `users_file`s, as they were read once.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    document: Part,
    /// By their names in the document.
    files: BTreeMap<String, Part>,
    /// The hash of all bytes; `None` where the document could not be read.
    content: Option<u128>,
}

/// A file, or why it could not be read. A failure has to be seen twice, too: editors take a file away for a moment.
type Part = Result<Whole, Arc<str>>;

/// A file whose stamp was the same before and after it was read.
#[derive(Clone, PartialEq, Eq)]
struct Whole {
    bytes: Arc<[u8]>,
    stamp: Stamp,
}

/// All that a system says of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// On Unix device, inode, and when that changed: no program sets the last.
    identity: [u64; 4],
}

/// Reads the document and files that it is known to name; `None` when one was changed meanwhile.
pub(super) fn read(path: &Path, names: &[String]) -> Option<Reading> {
    let document = whole(path, MAX_DOCUMENT_BYTES)?;
    let mut files = BTreeMap::new();
    for name in names {
        files.insert(name.clone(), whole(&parent(path).join(name), MAX_USERS_FILE_BYTES)?);
    }
    let mut reading = Reading { document, files, content: None };
    reading.content = reading.document(path).ok().map(|document| document.content());
    Some(reading)
}

fn whole(path: &Path, most: usize) -> Option<Part> {
    let before = stamp(path);
    let read = read_file(path, most);
    if before != stamp(path) {
        return None;
    }
    Some(match (read, before) {
        (Ok(bytes), Some(stamp)) => Ok(Whole { bytes: bytes.into(), stamp }),
        (Err(error), _) => Err(error.to_string().into()),
        // It came in between.
        (Ok(_), None) => return None,
    })
}

/// Without the bytes: they may list users.
impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole")
            .field("bytes", &self.bytes.len())
            .field("stamp", &self.stamp)
            .finish()
    }
}

impl Reading {
    /// Whether nothing at all is different.
    pub(super) fn is_same(&self, other: &Reading) -> bool {
        self.document == other.document && self.files == other.files
    }

    pub(super) fn content(&self) -> Option<u128> {
        self.content
    }

    /// The document's bytes, if it could be read.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.document.as_ref().ok().map(|whole| &*whole.bytes)
    }

    /// The files that could be read: the document by `path`, the others by their names beside it.
    fn read(&self, path: &Path) -> BTreeMap<PathBuf, &[u8]> {
        let document = self.bytes().map(|bytes| (path.to_owned(), bytes));
        let files = self.files.iter().filter_map(|(name, part)| {
            Some((parent(path).join(name), &*part.as_ref().ok()?.bytes))
        });
        document.into_iter().chain(files).collect()
    }

    /// Whether every file ends as a text does, or as a document in JSON. A file that cannot be read counts as one that does.
    pub(super) fn ends_a_line(&self) -> bool {
        let mut files = self.files.values().flatten();
        self.bytes().is_none_or(|bytes| bytes.ends_with(b"\n") || bytes.ends_with(b"}"))
            && files.all(|file| file.bytes.ends_with(b"\n"))
    }

    /// Whether a file is shorter than it was.
    pub(super) fn is_shorter_than(&self, before: &Reading, path: &Path) -> bool {
        let before = before.read(path);
        self.read(path)
            .iter()
            .any(|(path, now)| before.get(path).is_some_and(|before| now.len() < before.len()))
    }

    /// A file that is cut off: it has the beginning of what it had before, up to the middle of a line.
    pub(super) fn cut_off(&self, before: &Reading, path: &Path) -> Option<String> {
        let before = before.read(path);
        self.read(path).into_iter().find_map(|(path, now)| {
            let whole = before.get(&path)?;
            let rest = whole.strip_prefix(now).filter(|rest| is_within_line(now, rest))?;
            let (path, found) = (path.display(), now.len());
            let whole = found + rest.len();
            Some(format!(
                "`{path}` is cut off: it has the first {found} of the {whole} bytes in force"
            ))
        })
    }

    /// Whether it may name other files.
    pub(super) fn names_files(&self) -> bool {
        let word = b"users_file";
        self.bytes().is_some_and(|bytes| bytes.windows(word.len()).any(|found| found == word))
    }

    /// The document with its files; else why it was not read.
    pub(super) fn document(&self, path: &Path) -> Result<Document, String> {
        let wrong =
            |wrong| format!("rollout document `{}` cannot be read: {wrong}", path.display());
        let bytes = self.document.as_ref().map_err(wrong)?.bytes.to_vec();
        let document =
            Document::new(bytes).name(path.display().to_string()).directory(parent(path));
        let document = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => document.format(Format::Toml),
            Some("json") => document.format(Format::Json),
            _ => document,
        };
        let files = self.files.iter();
        let bytes = |part: &Part| Ok(Arc::clone(&part.as_ref().map_err(Arc::clone)?.bytes));
        Ok(document.with_files(files.map(|(name, part)| (name.clone(), bytes(part))).collect()))
    }
}

/// Whether a text that goes on with a rest ends in the middle of a line.
fn is_within_line(text: &[u8], rest: &[u8]) -> bool {
    let line_ends = text.is_empty()
        || text.ends_with(b"\n")
        || rest.starts_with(b"\n")
        || rest.starts_with(b"\r\n");
    !line_ends && !rest.trim_ascii().is_empty()
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        len: metadata.len(),
        modified: metadata.modified().ok(),
        identity: identity(&metadata),
    })
}

#[cfg(unix)]
fn identity(metadata: &fs::Metadata) -> [u64; 4] {
    use std::os::unix::fs::MetadataExt;

    let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
    [metadata.dev(), metadata.ino(), seconds.cast_unsigned(), nanos.cast_unsigned()]
}

/// Elsewhere the content has to do.
#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> [u64; 4] {
    [0; 4]
}
