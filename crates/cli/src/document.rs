//! Plan documents: reading, parsing and reporting their problems.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use stagegate::model::FlagPlan;
use stagegate::{Document, Plan, Problem, guard, limits};

use crate::args::{Format, Reading};
use crate::excerpt;
use crate::failure::Failure;
use crate::output::Output;

/// Reads a document as the arguments say. `-` is standard input.
pub(crate) fn read(path: &Path, reading: &Reading) -> Result<Document, Failure> {
    let document = reading.lists_from.iter().fold(read_alone(path)?, Document::allowing);
    Ok(match &reading.environment {
        Some(name) => document.environment(&**name),
        None => document,
    })
}

fn read_alone(path: &Path) -> Result<Document, Failure> {
    if path.as_os_str() == "-" {
        let bound = u64::try_from(limits::MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(bound.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::io("cannot read standard input", &error))?;
        return Ok(Document::new(bytes).name("(standard input)").directory("."));
    }
    Document::read(path).map_err(|error| Failure::Io(error.to_string()))
}

/// Reads and parses a document. Prints the problems of an invalid one.
pub(crate) fn plan(
    path: &Path,
    reading: &Reading,
    verb: &str,
    format: Format,
    output: &Output,
) -> Result<Plan, Failure> {
    parse(&read(path, reading)?, verb, format, output)
}

/// Parses a document. Prints the problems of an invalid one.
pub(crate) fn parse(
    document: &Document,
    verb: &str,
    format: Format,
    output: &Output,
) -> Result<Plan, Failure> {
    match Plan::parse(document) {
        Ok(plan) => Ok(plan),
        Err(error) => {
            match format {
                Format::Json => {
                    let problems: Vec<_> =
                        error.problems().iter().map(ProblemView::error).collect();
                    output.json(
                        verb,
                        &InvalidDocumentResult { error: error.to_string(), problems },
                    )?;
                }
                Format::Human => excerpt::print_to_stderr(document, &error),
            }
            Err(Failure::InvalidDocument)
        }
    }
}

/// Returns all warnings about a plan in order of position. They include stages that are too short for the declared
/// traffic.
pub(crate) fn warnings(plan: &Plan) -> Vec<Problem> {
    let mut warnings = [plan.warnings(), &guard::warnings(plan)].concat();
    let document = plan.document().label();
    // The document first, then each users file.
    warnings.sort_by(|a, b| {
        let place = |it: &Problem| (it.file() != document, it.file().to_owned(), it.span().start);
        place(a).cmp(&place(b))
    });
    warnings
}

/// Returns the flag with this key or further name, or the document's only flag.
pub(crate) fn flag<'p>(plan: &'p Plan, name: Option<&str>) -> Result<FlagPlan<'p>, Failure> {
    let listed = || plan.flags().take(20).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => plan.key_of(name).and_then(|key| plan.flag(key)).ok_or_else(|| {
            Failure::Usage(format!(
                "the document has no flag `{}`; it has: {}",
                name.escape_debug(),
                listed()
            ))
        }),
        None => match (plan.flags().next(), plan.flags().nth(1)) {
            (Some(only), None) => flag(plan, Some(only)),
            _ => Err(Failure::Usage(format!(
                "the document has several flags. Pass `--flag` with one of: {}",
                listed()
            ))),
        },
    }
}

/// An invalid document, as JSON.
#[derive(Serialize)]
struct InvalidDocumentResult<'p> {
    error: String,
    problems: Vec<ProblemView<'p>>,
}

/// A problem as JSON.
#[derive(Serialize)]
pub(crate) struct ProblemView<'p> {
    severity: &'static str,
    file: &'p str,
    line: usize,
    column: usize,
    /// Byte offset. The end is exclusive.
    start: usize,
    end: usize,
    pub(crate) path: &'p str,
    pub(crate) message: &'p str,
    pub(crate) hint: &'p str,
}

impl<'p> ProblemView<'p> {
    pub(crate) fn error(problem: &'p Problem) -> ProblemView<'p> {
        ProblemView::new("error", problem)
    }

    pub(crate) fn warning(problem: &'p Problem) -> ProblemView<'p> {
        ProblemView::new("warning", problem)
    }

    fn new(severity: &'static str, problem: &'p Problem) -> ProblemView<'p> {
        ProblemView {
            severity,
            file: problem.file(),
            line: problem.line(),
            column: problem.column(),
            start: problem.span().start,
            end: problem.span().end,
            path: problem.path(),
            message: problem.message(),
            hint: problem.hint(),
        }
    }
}
