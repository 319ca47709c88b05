//! `check`: prints every problem of every document.

use std::fmt::Write as _;

use serde::Serialize;
use stagegate::{Document, Plan, PlanError, Problem};

use crate::args::{Check, Format};
use crate::document::{self, ProblemView};
use crate::excerpt::{self, Excerpts, Severity};
use crate::failure::{Answer, Failure};
use crate::output::Output;

pub(crate) fn run(args: &Check, output: &Output) -> Result<Answer, Failure> {
    let mut checked = Vec::with_capacity(args.documents.len());
    for path in &args.documents {
        let document = document::read(path, &args.reading)?;
        let read = Plan::parse(&document);
        let warnings = match &read {
            Ok(plan) => document::warnings(plan),
            Err(error) => error.warnings().to_vec(),
        };
        checked.push(Checked { document, read, warnings });
    }
    let good = checked.iter().all(|checked| checked.is_good(args.strict));
    match args.format {
        Format::Human => output.text(&human(&checked, args.strict))?,
        Format::Json => {
            let documents = checked.iter().map(|checked| checked.result(args.strict)).collect();
            output.json("check", &CheckResult { good, documents })?;
        }
    }
    Ok(if good { Answer::Yes } else { Answer::No })
}

struct Checked {
    document: Document,
    read: Result<Plan, PlanError>,
    warnings: Vec<Problem>,
}

impl Checked {
    fn is_good(&self, strict: bool) -> bool {
        self.read.is_ok() && (!strict || self.warnings.is_empty())
    }

    fn result(&self, strict: bool) -> DocumentResult<'_> {
        let (errors, unlisted) = match &self.read {
            Ok(_) => (&[][..], 0),
            Err(error) => (error.problems(), error.unlisted()),
        };
        let errors = errors.iter().map(ProblemView::error);
        DocumentResult {
            document: self.document.label(),
            good: self.is_good(strict),
            flags: self.read.as_ref().map_or(0, |plan| plan.flags().count()),
            problems: errors.chain(self.warnings.iter().map(ProblemView::warning)).collect(),
            unlisted,
        }
    }
}

fn human(checked: &[Checked], strict: bool) -> String {
    let mut text = String::new();
    for Checked { document, read, warnings } in checked {
        let name = document.label();
        match read {
            Err(error) => {
                text += &excerpt::render_error(document, error);
                let count = error.problems().len() + error.unlisted();
                let _ = writeln!(text, "{name}: {}", counted(count, "error"));
            }
            Ok(plan) => {
                let mut excerpts = Excerpts::of(document);
                for warning in warnings {
                    text += &excerpts.render(Severity::Warning, warning);
                    text += "\n";
                }
                let flags = counted(plan.flags().count(), "flag");
                let _ = match warnings.len() {
                    0 => writeln!(text, "{name}: good, {flags}"),
                    count => {
                        let verdict = if strict { "not good (--strict)" } else { "good" };
                        writeln!(text, "{name}: {verdict}, {flags}, {}", counted(count, "warning"))
                    }
                };
            }
        }
    }
    text
}

fn counted(count: usize, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

#[derive(Serialize)]
struct CheckResult<'d> {
    good: bool,
    documents: Vec<DocumentResult<'d>>,
}

#[derive(Serialize)]
struct DocumentResult<'d> {
    document: &'d str,
    good: bool,
    flags: usize,
    problems: Vec<ProblemView<'d>>,
    /// The number of problems beyond the limit of the list.
    unlisted: usize,
}
