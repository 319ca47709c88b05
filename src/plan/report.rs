//! The report of a document: it collects problems while reading goes on.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use super::error::{Excerpt, Location, PlanError, Problem};
use super::limits::MAX_PROBLEMS;
use super::lines::Lines;
use super::node::{Node, Value};
use super::path::Path;

/// The problems and warnings found so far, and the text that they refer to.
pub(super) struct Report<'a> {
    file: Arc<str>,
    text: &'a str,
    /// Whether the document was checked before, perhaps by an earlier version.
    is_kept: bool,
    /// Computed for the first problem, because most documents have none.
    lines: OnceCell<Lines<'a>>,
    problems: Vec<Problem>,
    unlisted: usize,
    warnings: Vec<Problem>,
    /// Start offsets of the problems of [`problem_once`](Report::problem_once).
    reported_once: BTreeSet<usize>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: Arc<str>) -> Report<'a> {
        Report {
            file,
            text: "",
            is_kept: false,
            lines: OnceCell::new(),
            problems: Vec::new(),
            unlisted: 0,
            warnings: Vec::new(),
            reported_once: BTreeSet::new(),
        }
    }

    /// Sets the text that spans refer to.
    pub(super) fn read_from(&mut self, text: &'a str) {
        self.text = text;
        self.lines = OnceCell::new();
    }

    /// Notes that the document was checked before. [`found_in_new`](Report::found_in_new) then warns.
    pub(super) fn accept_kept(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }

    /// Returns the text of a span.
    pub(super) fn slice(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// Returns the line and column of a span.
    pub(super) fn location_of(&self, span: &Range<usize>) -> Location {
        self.lines.get_or_init(|| Lines::of(self.text.as_bytes())).location_of(span)
    }

    /// Adds a problem of the whole document.
    pub(super) fn document_problem(&mut self, message: String, hint: &str) {
        self.problem(0..0, &Path::root(), message, hint);
    }

    /// Adds the problem `found NODE, WRONG`.
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

    /// Like [`found`](Report::found), for a value that earlier versions accepted. A document that a store keeps gets a
    /// warning instead, because a journal must still open.
    pub(super) fn found_in_new(
        &mut self,
        node: &Node<'_>,
        path: &Path<'_>,
        wrong: impl Display,
        hint: impl Display,
    ) {
        if self.is_kept {
            let message = format!("found {}, {wrong}", self.describe(node));
            self.warning(node.span.clone(), path, message, hint);
        } else {
            self.found(node, path, wrong, hint);
        }
    }

    /// Counts a problem and returns true if the list is full. The caller then need not describe the problem, so a
    /// hostile document with many problems costs little.
    pub(super) fn count_if_full(&mut self) -> bool {
        let is_full = self.problems.len() >= MAX_PROBLEMS;
        self.count_unlisted(usize::from(is_full));
        is_full
    }

    /// Counts problems that are not listed.
    pub(super) fn count_unlisted(&mut self, problems: usize) {
        self.unlisted += problems;
    }

    /// Adds a problem at a span.
    pub(super) fn problem(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) {
        if !self.count_if_full() {
            let problem = self.build_problem(&span, path, message, hint);
            self.problems.push(problem);
        }
    }

    /// Adds a problem at a span, unless an earlier call had a span with the same start.
    pub(super) fn problem_once(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: impl FnOnce() -> String,
        hint: impl Display,
    ) {
        if self.reported_once.insert(span.start) {
            self.problem(span, path, message(), hint);
        }
    }

    /// Adds a warning: a valid value that is probably a mistake. Drops it if the list has [`MAX_PROBLEMS`].
    pub(super) fn warning(
        &mut self,
        span: Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) {
        if !self.is_warning_list_full() {
            let warning = self.build_problem(&span, path, message, hint);
            self.warnings.push(warning);
        }
    }

    /// Adds a warning of any file. Drops it if the list has [`MAX_PROBLEMS`].
    pub(super) fn add_warning(&mut self, warning: Problem) {
        if !self.is_warning_list_full() {
            self.warnings.push(warning);
        }
    }

    /// Returns whether further warnings are dropped. The caller then need not describe them.
    pub(super) fn is_warning_list_full(&self) -> bool {
        self.warnings.len() >= MAX_PROBLEMS
    }

    fn build_problem(
        &self,
        span: &Range<usize>,
        path: &Path<'_>,
        message: String,
        hint: impl Display,
    ) -> Problem {
        Problem {
            file: Arc::clone(&self.file),
            location: self.location_of(span),
            path: path.to_string(),
            message,
            hint: hint.to_string(),
        }
    }

    /// Adds a problem of any file.
    pub(super) fn add(&mut self, problem: Problem) {
        if !self.count_if_full() {
            self.problems.push(problem);
        }
    }

    /// Adds the problems and warnings of an environment, at `path`, that the document does not have without it.
    pub(super) fn add_new(&mut self, other: Report<'a>, path: &Path<'_>) {
        let placed = |problem: Problem| {
            let dot = if problem.path.is_empty() { "" } else { "." };
            Problem { path: format!("{path}{dot}{}", problem.path), ..problem }
        };
        let problems =
            other.problems.into_iter().filter(|problem| !self.problems.contains(problem));
        let problems: Vec<Problem> = problems.map(placed).collect();
        let warnings =
            other.warnings.into_iter().filter(|warning| !self.warnings.contains(warning));
        let warnings: Vec<Problem> = warnings.map(placed).collect();
        problems.into_iter().for_each(|problem| self.add(problem));
        self.warnings.extend(warnings);
        self.warnings.truncate(MAX_PROBLEMS);
    }

    /// Returns the bytes as text. Adds a problem at the first byte that is not UTF-8.
    pub(super) fn utf8<'b>(&mut self, bytes: &'b [u8], what: &str) -> Option<&'b str> {
        let file = Arc::clone(&self.file);
        self.utf8_in(file, bytes, what, &Path::root())
    }

    /// Like [`utf8`](Report::utf8), for bytes of another file. `path` is the field that names the file.
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
        let location = Lines::of(bytes).location_of(&(at..at + 1));
        let message = format!("found byte 0x{byte:02x}, so {what} is not UTF-8 text");
        let hint = "save it as UTF-8".to_owned();
        self.add(Problem { file, location, path: path.to_string(), message, hint });
        None
    }

    /// Returns a value as a message shows it: texts and numbers as written, tables and arrays by their type.
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

    /// Returns the warnings in order of position, or an error if there are problems.
    pub(super) fn finish(mut self) -> Result<Vec<Problem>, PlanError> {
        let file = Arc::clone(&self.file);
        // The document first, then each users file.
        let by_location = |a: &Problem, b: &Problem| {
            let place =
                |it: &Problem| (it.file != file, Arc::clone(&it.file), it.location.span.start);
            place(a).cmp(&place(b))
        };
        self.problems.sort_by(by_location);
        self.warnings.sort_by(by_location);
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        let error = PlanError::of_problems(self.file, self.problems, self.unlisted);
        Err(error.with_warnings(self.warnings))
    }
}
