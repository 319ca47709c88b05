//! Errors of plan documents.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// The error of an invalid document: every problem, each with its position and a hint that fixes it.
///
/// The printed text is for people. Programs use [`problems`](PlanError::problems).
///
/// # Example
///
/// ```
/// use stagegate::{Document, Plan};
///
/// let document = Document::new("schema = 1\n[flags.a]\nstage = \"pilto\"\n").name("rollout.toml");
/// let error = Plan::parse(document).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "rollout document `rollout.toml` has 1 problem\n  \
///        rollout.toml:3:9: flags.a.stage: found \"pilto\", not a stage of this flag\n      \
///            did you mean `pilot`? write one of: off, internal, pilot, expanded, ga",
/// );
/// assert_eq!(error.problems()[0].line(), 3);
/// ```
#[derive(Clone, Debug)]
pub struct PlanError {
    source: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Unreadable { cause: Arc<io::Error> },
    Problems { problems: Vec<Problem>, unlisted: usize, warnings: Vec<Problem> },
}

impl PlanError {
    pub(super) fn unreadable(source: Arc<str>, cause: io::Error) -> PlanError {
        PlanError { source, kind: Kind::Unreadable { cause: Arc::new(cause) } }
    }

    pub(crate) fn of_problems(
        source: Arc<str>,
        problems: Vec<Problem>,
        unlisted: usize,
    ) -> PlanError {
        PlanError { source, kind: Kind::Problems { problems, unlisted, warnings: Vec::new() } }
    }

    /// Adds the warnings that were found besides the errors.
    pub(super) fn with_warnings(mut self, found: Vec<Problem>) -> PlanError {
        if let Kind::Problems { warnings, .. } = &mut self.kind {
            *warnings = found;
        }
        self
    }

    /// Returns an error without a listed problem, for a reader that failed without a report. That is a bug of this
    /// crate.
    pub(super) fn unexplained(source: Arc<str>) -> PlanError {
        PlanError::of_problems(source, Vec::new(), 1)
    }

    /// Returns the problems in order of position. Empty if the document could not be read.
    ///
    /// Lists at most [`MAX_PROBLEMS`](crate::limits::MAX_PROBLEMS). The printed error gives the number of further ones.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &self.kind {
            Kind::Problems { problems, .. } => problems,
            Kind::Unreadable { .. } => &[],
        }
    }

    /// Returns the warnings that were found besides the [`problems`](PlanError::problems).
    ///
    /// A warning alone does not refuse a document. The printed error leaves warnings out.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        match &self.kind {
            Kind::Problems { warnings, .. } => warnings,
            Kind::Unreadable { .. } => &[],
        }
    }

    /// Returns the number of problems that are not listed.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        match &self.kind {
            Kind::Problems { unlisted, .. } => *unlisted,
            Kind::Unreadable { .. } => 0,
        }
    }

    /// Returns whether the file could not be read. Its content is unknown then.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        matches!(self.kind, Kind::Unreadable { .. })
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = Escaped(&self.source);
        match &self.kind {
            Kind::Unreadable { cause } => {
                write!(f, "rollout document `{source}` cannot be read: {cause}")
            }
            Kind::Problems { problems, unlisted, .. } => {
                let count = problems.len() + unlisted;
                let noun = if count == 1 { "problem" } else { "problems" };
                write!(f, "rollout document `{source}` has {count} {noun}")?;
                for problem in problems {
                    write!(f, "\n  {problem}")?;
                }
                if *unlisted > 0 {
                    write!(f, "\n  and {unlisted} more")?;
                }
                Ok(())
            }
        }
    }
}

impl Error for PlanError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.kind {
            Kind::Unreadable { cause } => Some(cause),
            Kind::Problems { .. } => None,
        }
    }
}

/// One problem of a document.
///
/// Printed as `file:line:column: field: message`, with the hint on the next line. Quotations from the document are
/// shortened, and their control characters are escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) file: Arc<str>,
    pub(crate) location: Location,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// A position in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Location {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// Byte offsets.
    pub(crate) span: Range<usize>,
}

impl Problem {
    /// Returns the file with the problem: the document, or one of its `users_file`s.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Returns the line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.location.line
    }

    /// Returns the column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.location.column
    }

    /// Returns the byte offsets of the problem in the file, not counting a byte order mark.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.location.span.clone()
    }

    /// Returns the path of the field: `flags.new-checkout.stages[2].percent`, with indexes from 0. Empty for a problem
    /// of the whole document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the value that was found, and the reason why it is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the text to write instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Location { line, column, .. } = self.location;
        write!(f, "{}:{line}:{column}: ", Escaped(&self.file))?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}\n      {}", self.message, self.hint)
    }
}

/// A quotation from a document for a message: [`Escaped`], and shortened if it is long.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

/// The number of characters that an excerpt shows.
const EXCERPT_CHARS: usize = 60;

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(EXCERPT_CHARS) {
            None => Escaped(self.0).fmt(f),
            Some((cut, _)) => {
                let begin = self.0.get(..cut).unwrap_or_default();
                write!(f, "{}... ({} bytes)", Escaped(begin), self.0.len())
            }
        }
    }
}

/// Text that prints on one line. Quotes and letters of every script stay. Characters that move the cursor, hide text or
/// reverse its direction are escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\'' | '\\' => write!(f, "{c}"),
            _ => write!(f, "{}", c.escape_debug()),
        })
    }
}
