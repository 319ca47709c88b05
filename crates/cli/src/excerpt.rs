//! Problems of a document, printed with the lines around them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use stagegate::{Document, PlanError, Problem};

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// A renderer for the problems of one document, with colours.
pub(crate) struct Excerpts<'d> {
    document: &'d Document,
    /// The texts of other files with problems. `None` if a file is not readable text.
    other_files: HashMap<String, Option<String>>,
    renderer: Renderer,
}

impl<'d> Excerpts<'d> {
    pub(crate) fn of(document: &'d Document) -> Excerpts<'d> {
        Excerpts { document, other_files: HashMap::new(), renderer: Renderer::styled() }
    }

    /// Renders the value found, the lines around it, and the text to write instead.
    pub(crate) fn render(&mut self, severity: Severity, problem: &Problem) -> String {
        let level = match severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let path = if problem.path().is_empty() { "" } else { ": " };
        let title = format!("{}{path}{}", problem.path(), problem.message());
        let hint = problem.hint();
        let renderer = self.renderer.clone();
        let window = self.text_of(problem).and_then(|text| Window::around(text, &problem.span()));
        let Some(Window { text, span }) = window else {
            // No text to point at: the problem is about the whole file, or the file is not text.
            let place = format!("{}:{}:{}", problem.file(), problem.line(), problem.column());
            let report = [level
                .primary_title(title)
                .elements([Level::NOTE.message(place), Level::HELP.message(hint)])];
            return renderer.render(&report) + "\n";
        };
        let snippet = Snippet::source(text)
            .line_start(problem.line())
            .path(problem.file())
            .annotation(AnnotationKind::Primary.span(span));
        let group: Group<'_> =
            level.primary_title(title).element(snippet).element(Level::HELP.message(hint));
        renderer.render(&[group]) + "\n"
    }

    fn text_of(&mut self, problem: &Problem) -> Option<&str> {
        if problem.file() == self.document.label() {
            return self.document.text();
        }
        let read = |file: &str| std::fs::read_to_string(file).ok();
        let text = self
            .other_files
            .entry(problem.file().to_owned())
            .or_insert_with(|| read(problem.file()));
        text.as_deref().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

/// The line of a span. Long lines are cut, because a line may have megabytes.
struct Window<'t> {
    text: &'t str,
    span: Range<usize>,
}

/// The bytes shown of a line before and after the span.
const CONTEXT_BYTES: usize = 300;
/// The most bytes of a span that are marked.
const MAX_MARKED_BYTES: usize = 300;

impl<'t> Window<'t> {
    fn around(text: &'t str, span: &Range<usize>) -> Option<Window<'t>> {
        let before = text.get(..span.start)?;
        if text.is_empty() {
            return None;
        }
        let line_begin = before.rfind('\n').map_or(0, |at| at + 1);
        // A problem of several lines is shown by its first line.
        let line_end = text.get(span.start..)?.find('\n').map_or(text.len(), |at| span.start + at);
        let end = span.end.min(line_end).min(span.start + MAX_MARKED_BYTES).max(span.start);
        let begin =
            line_begin.max(next_char_boundary(text, span.start.saturating_sub(CONTEXT_BYTES)));
        let last = line_end.min(next_char_boundary(text, end + CONTEXT_BYTES));
        let end = next_char_boundary(text, end).min(last);
        let shown = text.get(begin..last)?;
        Some(Window { text: shown, span: span.start - begin..end - begin })
    }
}

/// Returns the first character boundary at or after a byte offset.
fn next_char_boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Prints all problems of a document to standard error.
pub(crate) fn print_to_stderr(document: &Document, error: &PlanError) {
    let text = render_error(document, error);
    // If standard error is closed, the exit code still reports the failure.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Renders all problems of a document.
pub(crate) fn render_error(document: &Document, error: &PlanError) -> String {
    let mut excerpts = Excerpts::of(document);
    let mut text = String::new();
    for problem in error.problems() {
        text += &excerpts.render(Severity::Error, problem);
        text += "\n";
    }
    for warning in error.warnings() {
        text += &excerpts.render(Severity::Warning, warning);
        text += "\n";
    }
    if error.unlisted() > 0 {
        let _ = writeln!(text, "and {} more", error.unlisted());
    }
    text
}
