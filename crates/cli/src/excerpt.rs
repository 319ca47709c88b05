//! Problems beside the lines they are in.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use stagegate::{Document, PlanError, Problem};

/// How serious a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// The problems of one document, as text with colours.
pub(crate) struct Excerpts<'d> {
    document: &'d Document,
    /// The text of every other file with a problem; `None` where it cannot be read as text.
    others: HashMap<String, Option<String>>,
    renderer: Renderer,
}

impl<'d> Excerpts<'d> {
    pub(crate) fn of(document: &'d Document) -> Excerpts<'d> {
        Excerpts { document, others: HashMap::new(), renderer: Renderer::styled() }
    }

    /// One problem: what was found, the lines around it, and what to write instead.
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
            // Nothing to point at: the file as a whole, or no text.
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
        let text =
            self.others.entry(problem.file().to_owned()).or_insert_with(|| read(problem.file()));
        text.as_deref().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text))
    }
}

/// Lines of a file around a span of it. A line of megabytes is cut to what is near the span.
struct Window<'t> {
    text: &'t str,
    span: Range<usize>,
}

/// Bytes shown of a line before and after the span.
const NEAR: usize = 300;
/// Bytes of a span that are marked.
const MARKED: usize = 300;

impl<'t> Window<'t> {
    fn around(text: &'t str, span: &Range<usize>) -> Option<Window<'t>> {
        let before = text.get(..span.start)?;
        if text.is_empty() {
            return None;
        }
        let line_begin = before.rfind('\n').map_or(0, |at| at + 1);
        // A problem that goes on for lines is shown by its first.
        let line_end = text.get(span.start..)?.find('\n').map_or(text.len(), |at| span.start + at);
        let end = span.end.min(line_end).min(span.start + MARKED).max(span.start);
        let begin = line_begin.max(ceil(text, span.start.saturating_sub(NEAR)));
        let last = line_end.min(ceil(text, end + NEAR));
        let end = ceil(text, end).min(last);
        let shown = text.get(begin..last)?;
        Some(Window { text: shown, span: span.start - begin..end - begin })
    }
}

/// The first end of a character at or after a byte.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// Everything wrong with a document, on the standard error.
pub(crate) fn to_stderr(document: &Document, error: &PlanError) {
    let text = of_error(document, error);
    // Where nothing can be written to, the exit code has to do.
    let _ = anstream::stderr().write_all(text.as_bytes());
}

/// Everything wrong with a document.
pub(crate) fn of_error(document: &Document, error: &PlanError) -> String {
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
