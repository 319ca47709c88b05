//! Why a document is no plan.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A document that is no plan: every problem of it, each with its place and the way out.
///
/// What is printed is made for people; programs ask [`problems`](PlanError::problems).
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

    /// The same with what is no error beside what is.
    pub(super) fn with_warnings(mut self, found: Vec<Problem>) -> PlanError {
        if let Kind::Problems { warnings, .. } = &mut self.kind {
            *warnings = found;
        }
        self
    }

    /// A reader gave up without a word: a mistake of this crate, told all the same.
    pub(super) fn unexplained(source: Arc<str>) -> PlanError {
        PlanError::of_problems(source, Vec::new(), 1)
    }

    /// What is wrong with the document, in order of place; empty when it could not be read at all.
    ///
    /// At most [`MAX_PROBLEMS`](crate::limits::MAX_PROBLEMS): the printed error says how many more.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match &self.kind {
            Kind::Problems { problems, .. } => problems,
            Kind::Unreadable { .. } => &[],
        }
    }

    /// What would be accepted but is hardly meant, as far as it was found beside the
    /// [`problems`](PlanError::problems); the printed error leaves it out.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        match &self.kind {
            Kind::Problems { warnings, .. } => warnings,
            Kind::Unreadable { .. } => &[],
        }
    }

    /// How many problems there are beyond those listed.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        match &self.kind {
            Kind::Problems { unlisted, .. } => *unlisted,
            Kind::Unreadable { .. } => 0,
        }
    }

    /// Whether the file could not be read, so that nothing is known of its content.
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

/// One thing wrong with a document.
///
/// Printed as `file:line:column: where: what was found` and, below, what to write instead. Text of
/// the document stands in it shortened and with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) file: Arc<str>,
    pub(crate) place: Place,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Where in a file something stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) span: Range<usize>,
}

impl Problem {
    /// The file with the problem: the document, or a `users_file` of it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.place.line
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.place.column
    }

    /// The offending bytes: offsets into the file, after a byte order mark if it has one.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.place.span.clone()
    }

    /// The field, from the top: `flags.new-checkout.stages[2].percent`, counting from 0. Empty for
    /// a problem of the document as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was found, and what is wrong with it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column, .. } = self.place;
        write!(f, "{}:{line}:{column}: ", Escaped(&self.file))?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}\n      {}", self.message, self.hint)
    }
}

/// Text of a document as it can stand in a message: [`Escaped`], and not too long.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

/// Characters of an excerpt before it is cut.
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

/// Text on one line: quotes and letters of every script stay as they are; what moves the cursor,
/// hides or turns text does not.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '"' | '\'' | '\\' => write!(f, "{c}"),
            _ => write!(f, "{}", c.escape_debug()),
        })
    }
}
