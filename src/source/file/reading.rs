//! What a file and those it names hold, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::parent;
use crate::plan::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use crate::plan::{Document, Format, read_file};

/// What was read, or why it was not: that has to be seen twice too, since editors take a file away for a moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    document: Result<Whole, String>,
    /// Those of the `users_file`s that could be read. What is wrong with others is found when they are looked for.
    files: BTreeMap<String, Whole>,
    /// The hash of all bytes; `None` of what could not be read.
    content: Option<u128>,
}

/// A file whose stamp was the same before and after it was read.
#[derive(Clone)]
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
        if let Ok(file) = whole(&parent(path).join(name), MAX_USERS_FILE_BYTES)? {
            files.insert(name.clone(), file);
        }
    }
    let mut reading = Reading { document, files, content: None };
    reading.content = reading.document(path).ok().map(|document| document.content());
    Some(reading)
}

fn whole(path: &Path, most: usize) -> Option<Result<Whole, String>> {
    let before = stamp(path);
    let read = read_file(path, most);
    if before != stamp(path) {
        return None;
    }
    Some(match (read, before) {
        (Ok(bytes), Some(stamp)) => Ok(Whole { bytes: bytes.into(), stamp }),
        (Err(error), _) => {
            Err(format!("rollout document `{}` cannot be read: {error}", path.display()))
        }
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
        let same = |a: &Whole, b: &Whole| a.stamp == b.stamp && a.bytes == b.bytes;
        let document = match (&self.document, &other.document) {
            (Ok(a), Ok(b)) => same(a, b),
            (Err(a), Err(b)) => a == b,
            _ => false,
        };
        document
            && self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(|((a, x), (b, y))| a == b && same(x, y))
    }

    pub(super) fn content(&self) -> Option<u128> {
        self.content
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.document.as_ref().ok().map(|whole| &*whole.bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().map_or(0, <[u8]>::len)
    }

    /// Whether it ends as a text does, or as a document in JSON: what cannot be read does.
    pub(super) fn ends_a_line(&self) -> bool {
        let ends = |bytes: &[u8]| bytes.ends_with(b"\n") || bytes.ends_with(b"}");
        let files = || self.files.values().all(|file| file.bytes.ends_with(b"\n"));
        self.bytes().is_none_or(ends) && files()
    }

    /// Whether it may name other files.
    pub(super) fn names_files(&self) -> bool {
        let word = b"users_file";
        self.bytes().is_some_and(|bytes| bytes.windows(word.len()).any(|found| found == word))
    }

    /// The document with its files; else why it was not read.
    pub(super) fn document(&self, path: &Path) -> Result<Document, String> {
        let bytes = self.document.as_ref().map_err(Clone::clone)?.bytes.to_vec();
        let document =
            Document::new(bytes).name(path.display().to_string()).directory(parent(path));
        let document = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => document.format(Format::Toml),
            Some("json") => document.format(Format::Json),
            _ => document,
        };
        let files = self.files.iter();
        let files = files.map(|(name, file)| (name.clone(), Arc::clone(&file.bytes)));
        Ok(document.with_files(files.collect()))
    }
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
