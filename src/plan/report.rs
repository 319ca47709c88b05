//! Collects what is wrong with a document while it is read on.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use super::error::{Excerpt, Place, PlanError, Problem};
use super::fields::Path;
use super::limits::MAX_PROBLEMS;
use super::lines::Lines;
use super::node::{Node, Value};

/// The problems found so far, and the text they are found in.
pub(super) struct Report<'a> {
    file: Arc<str>,
    text: &'a str,
    /// Made for the first problem: most documents have none.
    lines: OnceCell<Lines<'a>>,
    problems: Vec<Problem>,
    unlisted: usize,
    warnings: Vec<Problem>,
    /// Where the problems begin that are told once.
    once: BTreeSet<usize>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: Arc<str>) -> Report<'a> {
        Report {
            file,
            text: "",
            lines: OnceCell::new(),
            problems: Vec::new(),
            unlisted: 0,
            warnings: Vec::new(),
            once: BTreeSet::new(),
        }
    }

    /// Spans are of this text from now on.
    pub(super) fn read_from(&mut self, text: &'a str) {
        self.text = text;
        self.lines = OnceCell::new();
    }

    pub(super) fn slice(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    pub(super) fn place(&self, span: &Range<usize>) -> Place {
        self.lines.get_or_init(|| Lines::of(self.text.as_bytes())).place(span)
    }

    /// A problem of the document as a whole.
    pub(super) fn whole(&mut self, message: String, hint: &str) {
        self.problem(0..0, &Path::root(), message, hint);
    }

    /// `node` is not what it has to be.
    pub(super) fn found(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        wrong: impl Display,
        hint: impl Display,
    ) {
        let message = format!("found {}, {wrong}", self.describe(node));
        self.problem(node.span.clone(), path, message, hint);
    }

    /// Counts a problem that is not going to be listed: true when the list is full. What it costs
    /// to describe a problem is then not spent, however many a hostile document has.
    pub(super) fn count_only(&mut self) -> bool {
        let is_full = self.problems.len() >= MAX_PROBLEMS;
        self.count(usize::from(is_full));
        is_full
    }

    /// Counts problems that nobody lists.
    pub(super) fn count(&mut self, problems: usize) {
        self.unlisted += problems;
    }

    pub(super) fn problem(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) {
        if !self.count_only() {
            let problem = self.at(&span, path, message, hint);
            self.problems.push(problem);
        }
    }

    /// The same, but the first time alone of those that begin at the same place.
    pub(super) fn problem_once(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: impl FnOnce() -> String,
        hint: impl Display,
    ) {
        if self.once.insert(span.start) {
            self.problem(span, path, message(), hint);
        }
    }

    /// Something that is no error, but hardly what was meant. No more than errors are listed.
    pub(super) fn warning(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) {
        if !self.has_all_warnings() {
            let warning = self.at(&span, path, message, hint);
            self.warnings.push(warning);
        }
    }

    /// Whether no further warning is listed: what it costs to describe one is then not spent.
    pub(super) fn has_all_warnings(&self) -> bool {
        self.warnings.len() >= MAX_PROBLEMS
    }

    fn at(
        &self,
        span: &Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) -> Problem {
        Problem {
            file: Arc::clone(&self.file),
            place: self.place(span),
            path: path.to_string(),
            message,
            hint: hint.to_string(),
        }
    }

    pub(super) fn push(&mut self, problem: Problem) {
        if !self.count_only() {
            self.problems.push(problem);
        }
    }

    /// The text of these bytes, or a problem at the first that is not UTF-8.
    pub(super) fn utf8<'b>(&mut self, bytes: &'b [u8], what: &str) -> Option<&'b str> {
        let file = Arc::clone(&self.file);
        self.utf8_in(file, bytes, what, &Path::root())
    }

    /// The same for bytes of another file.
    pub(super) fn utf8_in<'b>(
        &mut self,
        file: Arc<str>,
        bytes: &'b [u8],
        what: &str,
        path: &Path<'_>,
    ) -> Option<&'b str> {
        let error = match std::str::from_utf8(bytes) {
            Ok(text) => return Some(text),
            Err(error) => error,
        };
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let place = Lines::of(bytes).place(&(at..at + 1));
        let message = format!("found byte 0x{byte:02x}, so {what} is not UTF-8 text");
        let hint = "save it as UTF-8".to_owned();
        self.push(Problem { file, place, path: path.to_string(), message, hint });
        None
    }

    /// How a message calls a value: text and numbers as they are written, tables by what they are.
    fn describe(&self, node: &Node<'_>) -> Cow<'static, str> {
        match &node.value {
            Value::Table(_) => "a table".into(),
            Value::Array(items) if items.is_empty() => "an empty array".into(),
            Value::Array(_) => "an array".into(),
            Value::Text(_) | Value::Number | Value::Other => {
                Excerpt(self.slice(&node.span)).to_string().into()
            }
        }
    }

    /// Everything found, in order of place: the error, when there is one, and else the warnings.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, PlanError> {
        let file = Arc::clone(&self.file);
        let by_place = |problem: &Problem| (problem.file != file, problem.place.span.start);
        self.problems.sort_by_key(by_place);
        self.warnings.sort_by_key(by_place);
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        let error = PlanError::of_problems(self.file, self.problems, self.unlisted);
        Err(error.with_warnings(self.warnings))
    }
}
