//! Plan documents: the text of a plan and its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::{Location, PlanError};
use super::limits::{MAX_DOCUMENT_BYTES, MAX_USERS_FILE_BYTES};
use super::lines::Lines;
use super::report::Report;

/// The UTF-8 byte order mark. Some editors write it before the text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The file format of a document. Both formats have the same schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.1 (feature `toml`, on by default).
    Toml,
    /// JSON (feature `json`, on by default).
    Json,
}

/// The bytes of a plan document, with a name for error messages, the format, and the directory of its `users_file`s.
///
/// Create it from text or bytes, or [read](Document::read) it from a file. It is unchecked:
/// [`Plan::parse`](crate::Plan::parse) and [`Gate`](crate::Gate) check it.
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
    /// Further directories that may have `users_file`s.
    pub(super) allowed: Vec<PathBuf>,
    /// The environment whose values replace the document's.
    pub(super) environment: Option<Arc<str>>,
    /// The contents of the `users_file`s, by their names in the document. `Some` if a store keeps the document: the
    /// kept copy must be complete without the directory.
    pub(super) files: Option<Arc<Files>>,
    /// Whether the document comes from a store, so it was checked before, perhaps by an earlier version.
    pub(super) is_kept: bool,
}

/// The files of a document, by their names in it.
pub(super) type Files = Mutex<BTreeMap<String, UsersFile>>;

/// The bytes of a `users_file`, or why it could not be read.
pub(crate) type UsersFile = Result<Arc<[u8]>, Arc<str>>;

/// Why a `users_file` may not be read.
pub(super) enum ListPathError {
    NoDirectory,
    /// No further directory is allowed.
    NotBelow,
    /// The file after all links are resolved.
    Outside(PathBuf),
    Unreadable(io::Error),
}

impl Document {
    /// Creates a document without a name from bytes. The first character decides the format: `{` means JSON, any other
    /// character TOML.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Document {
        Document {
            bytes: bytes.into(),
            name: None,
            format: None,
            directory: None,
            allowed: Vec::new(),
            environment: None,
            files: None,
            is_kept: false,
        }
    }

    /// Reads a document from a file.
    ///
    /// The extensions `.toml` and `.json` decide the format. For other names, the first character decides. Its
    /// `users_file`s are relative to the directory of the file.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if the path is not a regular file (a directory, a pipe), cannot be read, or has more than
    /// [`MAX_DOCUMENT_BYTES`].
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
        Ok(Document { name: Some(name), format, directory, ..Document::new(bytes) })
    }

    /// Sets the name that error messages show.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Document {
        self.name = Some(name.into());
        self
    }

    /// Sets the format, regardless of the first character.
    #[must_use]
    pub fn format(mut self, format: Format) -> Document {
        self.format = Some(format);
        self
    }

    /// Chooses an environment: the values of `[environments.NAME]` replace the document's.
    ///
    /// An unknown name is an error when the document is parsed.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Document, Gate};
    ///
    /// let document = Document::new("
    ///     schema = 1
    ///     flags.search.stage = 'off'
    ///     environments.staging.flags.search.stage = 'ga'
    /// ");
    /// let staging = Gate::from_document(document.clone().environment("staging"))?;
    /// assert!(staging.is_enabled("user-42", "search"));
    /// assert!(!Gate::from_document(document.clone())?.is_enabled("user-42", "search"));
    ///
    /// let error = Gate::from_document(document.environment("stagin")).unwrap_err();
    /// assert_eq!(error.problems()[0].hint(), "did you mean `staging`? write one of: staging");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn environment(mut self, name: impl Into<Arc<str>>) -> Document {
        self.environment = Some(name.into());
        self
    }

    /// Sets the directory that `users_file`s are relative to.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Document {
        self.directory = Some(directory.into());
        self
    }

    /// Allows `users_file`s in another directory and below it. Call it once for each directory.
    ///
    /// Without it, a `users_file` is a path below the document's directory. With it, the path may also be absolute or
    /// contain `..`. The file must then be in an allowed directory after all links on the way are resolved.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Document, Gate};
    ///
    /// # let root = std::env::temp_dir().join(format!("stagegate-allowing-{}", std::process::id()));
    /// # std::fs::create_dir_all(root.join("lists"))?;
    /// # std::fs::create_dir_all(root.join("plans"))?;
    /// std::fs::write(root.join("lists/team.txt"), "ana\nben\n")?;
    /// let text = r#"
    ///     schema = 1
    ///     [groups.team]
    ///     users_file = "../lists/team.txt"
    ///     [flags.search]
    ///     stage = "internal"
    ///     stages = [{ name = "internal", groups = ["team"] }]
    /// "#;
    /// let document = Document::new(text).directory(root.join("plans"));
    /// assert!(Gate::from_document(&document).is_err());
    ///
    /// let gate = Gate::from_document(document.allowing(root.join("lists")))?;
    /// assert!(gate.is_enabled("ana", "search"));
    /// # std::fs::remove_dir_all(&root)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allowing(mut self, directory: impl Into<PathBuf>) -> Document {
        self.allowed.push(directory.into());
        self
    }

    /// Returns the name that error messages show, or `(text)` without a name.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or("(text)")
    }

    /// Returns the document's text without a byte order mark. `None` if it is not UTF-8.
    ///
    /// The [spans](crate::Problem::span) of problems are byte offsets in this text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let text = std::str::from_utf8(&self.bytes).ok()?;
        Some(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
    }

    /// Returns the `users_file`s that are kept with the document, by their names in it.
    ///
    /// A rollout's store keeps every `users_file` of its plan. Other documents keep none and read the files when they
    /// are parsed. This call copies the names and shares the contents.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Document;
    ///
    /// // Not from a store, so it keeps no files.
    /// assert!(Document::new("schema = 1\n[flags.a]").kept_files().is_empty());
    /// ```
    #[must_use]
    pub fn kept_files(&self) -> Vec<(String, Arc<[u8]>)> {
        let Some(files) = &self.files else { return Vec::new() };
        let files = files.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = files.iter().filter_map(|(name, read)| Some((name, read.as_ref().ok()?)));
        kept.map(|(name, bytes)| (name.clone(), Arc::clone(bytes))).collect()
    }

    /// Returns the path of a `users_file`, or why it may not be read. For an unpacked document, that is its name alone.
    pub(super) fn path_of(&self, name: &str) -> Result<PathBuf, ListPathError> {
        let is_unpacked = self.files.is_some() && !self.can_read_files();
        let path = match &self.directory {
            Some(directory) => directory.join(name),
            None if is_unpacked || Path::new(name).is_absolute() => PathBuf::from(name),
            None => return Err(ListPathError::NoDirectory),
        };
        let is_below =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if is_unpacked || Path::new(name).components().all(is_below) {
            return Ok(path);
        }
        if self.allowed.is_empty() {
            return Err(ListPathError::NotBelow);
        }
        let found = fs::canonicalize(&path).map_err(ListPathError::Unreadable)?;
        let allowed = self.allowed.iter().filter_map(|directory| fs::canonicalize(directory).ok());
        let is_allowed = allowed.into_iter().any(|directory| found.starts_with(directory));
        if is_allowed { Ok(path) } else { Err(ListPathError::Outside(found)) }
    }

    /// Returns whether files are searched. An unpacked document has all its files.
    pub(super) fn can_read_files(&self) -> bool {
        self.directory.is_some() || !self.allowed.is_empty()
    }

    /// Returns the content of a `users_file`: of the kept copy if there is one, else of the file.
    pub(super) fn users_file(&self, name: &str, path: &Path) -> UsersFile {
        let read =
            || read_shared(path, MAX_USERS_FILE_BYTES).map_err(|error| error.to_string().into());
        let Some(files) = &self.files else { return read() };
        // No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        // A failure is kept too. The file may exist by now but be half-written; the follower waits until it is stable.
        if let Some(kept) = files.get(name) {
            return kept.clone();
        }
        if !self.can_read_files() {
            return Err("it was not kept with the document".into());
        }
        let read = read();
        files.insert(name.to_owned(), read.clone());
        read
    }

    /// Returns the text without a byte order mark. Reports a document that is empty, too large or not UTF-8.
    pub(super) fn checked_text<'a>(&'a self, report: &mut Report<'a>) -> Option<&'a str> {
        if self.bytes.len() > MAX_DOCUMENT_BYTES {
            report.document_problem(
                format!("found {} bytes, more than {MAX_DOCUMENT_BYTES}", self.bytes.len()),
                "move long lists of users to a `users_file`",
            );
            return None;
        }
        let text = report.utf8(&self.bytes, "the document")?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if text.trim().is_empty() {
            report.document_problem(
                "found an empty document".to_owned(),
                "write `schema = 1` and at least one flag; to turn a flag off write `stage = \"off\"`",
            );
            return None;
        }
        Some(text)
    }

    /// Returns the line and column of a span of the text.
    pub(super) fn location_of(&self, span: &Range<usize>) -> Location {
        let bytes = self.bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&self.bytes);
        Lines::of(bytes).location_of(span)
    }

    /// Returns the format that was set, or the format that the first character means.
    pub(super) fn format_of(&self, text: &str) -> Format {
        let detected = if text.trim_start().starts_with('{') { Format::Json } else { Format::Toml };
        self.format.unwrap_or(detected)
    }
}

/// Shows the name and sizes. Leaves out the text, which may list users.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
        let files = self
            .files
            .as_ref()
            .map_or(0, |files| files.lock().unwrap_or_else(PoisonError::into_inner).len());
        f.debug_struct("Document")
            .field("name", &self.label())
            .field("format", &self.format)
            .field("directory", &self.directory)
            .field("allowed", &self.allowed)
            .field("environment", &self.environment)
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

/// Returns the content of a regular file of at most `max` bytes.
///
/// Checks the file type before opening the file: opening a pipe would block until another process opens its other end.
pub(crate) fn read_file(path: &Path, max: usize) -> Result<Vec<u8>, io::Error> {
    read_open(open_regular(path)?, max)
}

/// Like [`read_file`]. Takes no more memory than the file has bytes, unless the file changes meanwhile.
pub(crate) fn read_shared(path: &Path, max: usize) -> Result<Arc<[u8]>, io::Error> {
    let mut file = open_regular(path)?;
    let len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if len > max {
        return Err(too_large(max));
    }
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
    // The `Arc` is new, so it has no other owner.
    let buffer = Arc::get_mut(&mut bytes).unwrap_or_default();
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut more = Vec::new();
    let room = u64::try_from(max - filled).unwrap_or(u64::MAX);
    file.take(room.saturating_add(1)).read_to_end(&mut more)?;
    match bytes.get(..filled) {
        _ if filled + more.len() > max => Err(too_large(max)),
        Some(begin) if filled < len || !more.is_empty() => Ok([begin, &more].concat().into()),
        _ => Ok(bytes),
    }
}

fn open_regular(path: &Path) -> Result<File, io::Error> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(path)
}

fn too_large(max: usize) -> io::Error {
    io::Error::other(format!("it has more than {max} bytes"))
}

/// Returns the content of an open file of at most `max` bytes.
pub(crate) fn read_open(file: File, max: usize) -> Result<Vec<u8>, io::Error> {
    let bound = u64::try_from(max).unwrap_or(u64::MAX);
    let len = file.metadata()?.len();
    if len > bound {
        return Err(too_large(max));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0) + 1);
    file.take(bound.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > max { Err(too_large(max)) } else { Ok(bytes) }
}
