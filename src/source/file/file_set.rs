//! The content of a document and its users files at one moment.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::parent;
use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, Format, read_shared};

/// A document and its `users_file`s, as read at one moment.
#[derive(Clone, Debug)]
pub(super) struct FileSet {
    document: ReadResult,
    /// The users files by their names in the document.
    files: BTreeMap<String, ReadResult>,
    /// The hash of all bytes. `None` if the document could not be read.
    content: Option<u128>,
}

/// A file, or the error of reading it. An error has to settle too, because editors remove a file for a moment.
type ReadResult = Result<StableFile, Arc<str>>;

/// A file that had the same stamp before and after it was read.
#[derive(Clone, PartialEq, Eq)]
struct StableFile {
    bytes: Arc<[u8]>,
    stamp: Stamp,
}

/// The metadata that changes when a file is written or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// On Unix the device, the inode, and the inode's change time, which no program can set. Zeros elsewhere.
    identity: [u64; 4],
}

/// Reads the document and the files it is known to name. Returns `None` if a file changed meanwhile.
pub(super) fn read(path: &Path, names: &[String], allowed: &[PathBuf]) -> Option<FileSet> {
    let document = read_stable(path, MAX_DOCUMENT_BYTES)?;
    let mut files = BTreeMap::new();
    for name in names {
        files.insert(name.clone(), read_stable(&parent(path).join(name), MAX_USERS_FILE_BYTES)?);
    }
    let mut set = FileSet { document, files, content: None };
    set.content = set.document(path, allowed).ok().map(|document| document.content());
    Some(set)
}

fn read_stable(path: &Path, most: usize) -> Option<ReadResult> {
    let before = stamp(path);
    let read = read_shared(path, most);
    if before != stamp(path) {
        return None;
    }
    Some(match (read, before) {
        (Ok(bytes), Some(stamp)) => Ok(StableFile { bytes, stamp }),
        (Err(error), _) => Err(error.to_string().into()),
        // The file was created after the first stamp.
        (Ok(_), None) => return None,
    })
}

/// Leaves out the bytes, because they may list users.
impl fmt::Debug for StableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StableFile")
            .field("bytes", &self.bytes.len())
            .field("stamp", &self.stamp)
            .finish()
    }
}

impl FileSet {
    /// Returns whether content and stamps are the same.
    pub(super) fn is_same(&self, other: &FileSet) -> bool {
        self.document == other.document && self.files == other.files
    }

    pub(super) fn content(&self) -> Option<u128> {
        self.content
    }

    /// Returns the document's bytes, if it could be read.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.document.as_ref().ok().map(|file| &*file.bytes)
    }

    /// Returns the bytes of the readable files by path.
    fn by_path(&self, path: &Path) -> BTreeMap<PathBuf, &[u8]> {
        let document = self.bytes().map(|bytes| (path.to_owned(), bytes));
        let files = self.files.iter().filter_map(|(name, part)| {
            Some((parent(path).join(name), &*part.as_ref().ok()?.bytes))
        });
        document.into_iter().chain(files).collect()
    }

    /// Returns whether every readable file ends with a line end. A JSON document may also end with `}`.
    pub(super) fn ends_a_line(&self) -> bool {
        let mut files = self.files.values().flatten();
        self.bytes().is_none_or(|bytes| bytes.ends_with(b"\n") || bytes.ends_with(b"}"))
            && files.all(|file| file.bytes.ends_with(b"\n"))
    }

    /// Returns whether a file is shorter than it was.
    pub(super) fn is_shorter_than(&self, before: &FileSet, path: &Path) -> bool {
        let before = before.by_path(path);
        self.by_path(path)
            .iter()
            .any(|(path, now)| before.get(path).is_some_and(|before| now.len() < before.len()))
    }

    /// Returns an error for a file that has only the start of its earlier content, up to the middle of a line.
    pub(super) fn cut_off(&self, before: &FileSet, path: &Path) -> Option<String> {
        let before = before.by_path(path);
        self.by_path(path).into_iter().find_map(|(path, now)| {
            let whole = before.get(&path)?;
            let rest = whole.strip_prefix(now).filter(|rest| ends_within_line(now, rest))?;
            let (path, found) = (path.display(), now.len());
            let whole = found + rest.len();
            Some(format!(
                "`{path}` is cut off: it has only the first {found} of the {whole} bytes of the current version"
            ))
        })
    }

    /// Returns whether the document may name users files.
    pub(super) fn names_files(&self) -> bool {
        let word = b"users_file";
        self.bytes().is_some_and(|bytes| bytes.windows(word.len()).any(|found| found == word))
    }

    /// Returns the document with its files, or the error of reading the document.
    pub(super) fn document(&self, path: &Path, allowed: &[PathBuf]) -> Result<Document, String> {
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
        let document = allowed.iter().fold(document, Document::allowing);
        let files = self.files.iter();
        let bytes = |part: &ReadResult| Ok(Arc::clone(&part.as_ref().map_err(Arc::clone)?.bytes));
        Ok(document.with_files(files.map(|(name, part)| (name.clone(), bytes(part))).collect()))
    }
}

/// Returns whether `text` ends in the middle of a line of `text + rest`.
fn ends_within_line(text: &[u8], rest: &[u8]) -> bool {
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

/// Other systems have no such numbers. The content decides.
#[cfg(not(unix))]
fn identity(_: &fs::Metadata) -> [u64; 4] {
    [0; 4]
}
