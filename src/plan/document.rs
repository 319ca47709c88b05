//! A plan's text, and where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Place, PlanError};
use super::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use super::lines::Lines;
use super::report::Report;

/// What editors of some systems put before a text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// How a document is written. One schema, two notations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1 (feature `toml`, on by default).
    Toml,
    /// JSON (feature `json`, on by default).
    Json,
}

/// The bytes of a plan document with what is needed to read them: a name for error messages, the
/// notation, and the directory its `users_file`s stand in.
///
/// Made from text or bytes, or [read](Document::read) from a file. Nothing is checked before
/// [`Plan::parse`](crate::Plan::parse) or a [`Gate`](crate::Gate) does.
///
/// # Example
///
/// ```
/// use stagegate::{Document, Gate};
///
/// let toml = Document::new("schema = 1\n[flags.a]\nstage = \"pilot\"").name("rollout.toml");
/// let json = Document::new(r#"{"schema": 1, "flags": {"a": {"stage": "pilot"}}}"#);
/// let (toml, json) = (Gate::from_document(toml)?, Gate::from_document(json)?);
/// assert_eq!(toml.evaluate(7, "a"), json.evaluate(7, "a"));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone)]
pub struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) name: Option<String>,
    pub(super) format: Option<Format>,
    pub(super) directory: Option<PathBuf>,
    /// The `users_file`s that were read, by their names in the document; only of a document that is
    /// to be kept, which is then whole without its directory.
    pub(super) files: Option<Arc<Files>>,
}

/// Files by the names a document has for them.
pub(super) type Files = Mutex<BTreeMap<String, UsersFile>>;

/// The bytes of a `users_file`, or why it could not be read.
pub(crate) type UsersFile = Result<Arc<[u8]>, Arc<str>>;

impl Document {
    /// A document of these bytes, without a name. Its notation is told by its first character:
    /// `{` begins JSON, anything else TOML.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Document {
        Document { bytes: bytes.into(), name: None, format: None, directory: None, files: None }
    }

    /// Reads a file: `.toml` and `.json` tell the notation, any other name leaves it to the
    /// content; `users_file`s are looked for in the file's directory.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when the path is no regular file (a directory, a pipe), cannot be read, or
    /// holds more than [`MAX_DOCUMENT_BYTES`].
    pub fn read(path: impl AsRef<Path>) -> Result<Document, PlanError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = read_file(path, MAX_DOCUMENT_BYTES)
            .map_err(|failure| PlanError::unreadable(name.as_str().into(), failure))?;
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Some(Format::Toml),
            Some("json") => Some(Format::Json),
            _ => None,
        };
        let directory = path.parent().map(Path::to_owned);
        Ok(Document { bytes, name: Some(name), format, directory, files: None })
    }

    /// The same document under this name in error messages.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Document {
        self.name = Some(name.into());
        self
    }

    /// The same document in this notation, whatever its first character.
    #[must_use]
    pub fn format(mut self, format: Format) -> Document {
        self.format = Some(format);
        self
    }

    /// The same document with its `users_file`s in this directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Document {
        self.directory = Some(directory.into());
        self
    }

    /// How error messages call the document: its name, or `(text)`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("(text)")
    }

    /// The document's text without a byte order mark, which is what the
    /// [spans](crate::Problem::span) of problems are of; `None` when it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        Some(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
    }

    /// The `users_file`s that are kept with the document, by their names in it: of the plan of a rollout, whose store
    /// keeps them, all that it names. Copies the names; what is in the files is shared.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Document;
    ///
    /// // Read by whoever needs it, and kept by nobody.
    /// assert!(Document::new("schema = 1\n[flags.a]").kept_files().is_empty());
    /// ```
    #[must_use]
    pub fn kept_files(&self) -> Vec<(String, Arc<[u8]>)> {
        let Some(files) = &self.files else { return Vec::new() };
        let files = files.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = files.iter().filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
        kept.map(|(name, bytes)| (name.clone(), Arc::clone(bytes))).collect()
    }

    /// Where a `users_file` is: in the document's directory, or in the copy that was kept with it.
    pub(super) fn path_of(&self, name: &str) -> Option<PathBuf> {
        match &self.directory {
            Some(directory) => Some(directory.join(name)),
            None => self.files.as_ref().map(|_| PathBuf::from(name)),
        }
    }

    /// The content of a `users_file`; where the document is to be kept, of its own copy.
    pub(super) fn users_file(&self, name: &str, path: &Path) -> UsersFile {
        let read = || match read_file(path, MAX_USERS_FILE_BYTES) {
            Ok(bytes) => Ok(Arc::from(bytes)),
            Err(error) => Err(error.to_string().into()),
        };
        let Some(files) = &self.files else { return read() };
        // Nothing panics while the lock is held, so a poisoned one has sound content.
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        // A failure is kept, too. The file may be there by now, and half-written: the follower reads it until it rests.
        if let Some(kept) = files.get(name) {
            return kept.clone();
        }
        if self.directory.is_none() {
            return Err("it was not kept with the document".into());
        }
        let read = read();
        files.insert(name.to_owned(), read.clone());
        read
    }

    /// The text without a byte order mark; a problem when there is none, or too much of it.
    pub(super) fn checked_text<'a>(&'a self, report: &mut Report<'a>) -> Option<&'a str> {
        if self.bytes.len() > MAX_DOCUMENT_BYTES {
            report.whole(
                format!("found {} bytes, more than {MAX_DOCUMENT_BYTES}", self.bytes.len()),
                "move long lists of users to a `users_file`",
            );
            return None;
        }
        let text = report.utf8(&self.bytes, "the document")?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if text.trim().is_empty() {
            report.whole(
                "found an empty document".to_owned(),
                "write `schema = 1` and at least one flag; to turn a flag off write `stage = \"off\"`",
            );
            return None;
        }
        Some(text)
    }

    /// Where bytes of the text stand.
    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        let bytes = self.bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&self.bytes);
        Lines::of(bytes).place(span)
    }

    pub(super) fn format_of(&self, text: &str) -> Format {
        let told = if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml };
        self.format.unwrap_or(told)
    }
}

/// The name and sizes, without the text: it may list users.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing panics while the lock is held, so a poisoned one has sound content.
        let files = self
            .files
            .as_ref()
            .map_or(0, |files| files.lock().unwrap_or_else(PoisonError::into_inner).len());
        f.debug_struct("Document")
            .field("name", &self.label())
            .field("format", &self.format)
            .field("directory", &self.directory)
            .field("bytes", &self.bytes.len())
            .field("files", &files)
            .finish()
    }
}

impl From<&str> for Document {
    fn from(text: &str) -> Document {
        Document::new(text)
    }
}

impl From<String> for Document {
    fn from(text: String) -> Document {
        Document::new(text)
    }
}

impl From<&[u8]> for Document {
    fn from(bytes: &[u8]) -> Document {
        Document::new(bytes)
    }
}

impl From<Vec<u8>> for Document {
    fn from(bytes: Vec<u8>) -> Document {
        Document::new(bytes)
    }
}

impl From<&Document> for Document {
    fn from(document: &Document) -> Document {
        document.clone()
    }
}

/// The content of a regular file of at most `max` bytes.
///
/// Asks what the path is before opening it: opening a pipe would wait for its other end.
pub(crate) fn read_file(path: &Path, max: usize) -> Result<Vec<u8>, io::Error> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    read_open(File::open(path)?, max)
}

/// The content of an open file, at most `max` bytes.
pub(crate) fn read_open(file: File, max: usize) -> Result<Vec<u8>, io::Error> {
    let too_large = || io::Error::other(format!("it has more than {max} bytes"));
    let bound = u64::try_from(max).unwrap_or(u64::MAX);
    let len = file.metadata()?.len();
    if len > bound {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > max { Err(too_large()) } else { Ok(bytes) }
}
