//! Reading a document, and saying what is wrong with it.

use std::io::Read;
use std::path::Path;

use serde::Serialize;
use stagegate::model::FlagPlan;
use stagegate::{Document, Plan, Problem, guard, limits};

use crate::args::Format;
use crate::excerpt;
use crate::failure::Failure;
use crate::output::Output;

/// The bytes of a document; `-` is the standard input.
pub(crate) fn read(path: &Path) -> Result<Document, Failure> {
    if path.as_os_str() == "-" {
        let bound = u64::try_from(limits::MAX_DOCUMENT_BYTES).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        std::io::stdin()
            .take(bound.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Failure::io("cannot read the standard input", &error))?;
        return Ok(Document::new(bytes).name("(standard input)").directory("."));
    }
    Document::read(path).map_err(|error| Failure::Io(error.to_string()))
}

/// The plan of a document. What is wrong with one that is no plan is printed.
pub(crate) fn plan(
    path: &Path,
    verb: &str,
    format: Format,
    output: &Output,
) -> Result<Plan, Failure> {
    parse(&read(path)?, verb, format, output)
}

/// The plan of a document that has been read.
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
                    let problems: Vec<_> = error.problems().iter().map(Finding::error).collect();
                    output.json(verb, &BadDocument { error: error.to_string(), problems })?;
                }
                Format::Human => excerpt::to_stderr(document, &error),
            }
            Err(Failure::BadDocument)
        }
    }
}

/// What is doubtful about a plan, its stages at the declared traffic included, in order of place.
pub(crate) fn warnings(plan: &Plan) -> Vec<Problem> {
    let mut warnings = [plan.warnings(), &guard::warnings(plan)].concat();
    warnings.sort_by_key(|warning| warning.span().start);
    warnings
}

/// The flag of that key; without one, the only flag there is.
pub(crate) fn flag<'p>(plan: &'p Plan, key: Option<&str>) -> Result<FlagPlan<'p>, Failure> {
    let listed = || plan.flags().take(20).collect::<Vec<_>>().join(", ");
    match key {
        Some(key) => plan.flag(key).ok_or_else(|| {
            Failure::Usage(format!(
                "the document has no flag `{}`; it has: {}",
                key.escape_debug(),
                listed()
            ))
        }),
        None => match (plan.flags().next(), plan.flags().nth(1)) {
            (Some(only), None) => flag(plan, Some(only)),
            _ => Err(Failure::Usage(format!("which flag? Say `--flag` and one of: {}", listed()))),
        },
    }
}

/// A document that is no plan, as JSON.
#[derive(Serialize)]
struct BadDocument<'p> {
    error: String,
    problems: Vec<Finding<'p>>,
}

/// A problem as JSON.
#[derive(Serialize)]
pub(crate) struct Finding<'p> {
    severity: &'static str,
    file: &'p str,
    line: usize,
    column: usize,
    /// Offsets of bytes, the end not included.
    start: usize,
    end: usize,
    pub(crate) path: &'p str,
    pub(crate) message: &'p str,
    pub(crate) hint: &'p str,
}

impl<'p> Finding<'p> {
    pub(crate) fn error(problem: &'p Problem) -> Finding<'p> {
        Finding::new("error", problem)
    }

    pub(crate) fn warning(problem: &'p Problem) -> Finding<'p> {
        Finding::new("warning", problem)
    }

    fn new(severity: &'static str, problem: &'p Problem) -> Finding<'p> {
        Finding {
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
