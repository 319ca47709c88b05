//! `diff`: prints the changes for users between two documents.

mod change;
mod compare;
mod report;
mod tally;

use std::path::Path;

use stagegate::{Gate, Plan, UpdateError};

use crate::args::Diff;
use crate::document;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::users;
use compare::Comparison;
use tally::Tally;

pub(crate) fn run(args: &Diff, output: &Output) -> Result<Answer, Failure> {
    only_one_from_stdin(args)?;
    let old = document::plan(&args.old, &args.reading, "diff", args.format, output)?;
    let document = document::read(&args.new, &args.reading)?;
    let new = document::parse(&document, "diff", args.format, output)?;
    let comparison = Comparison::of(&old, &new);
    let tally = match &args.users {
        Some(file) => Some(evaluate(file, &old, &new, &comparison)?),
        None => None,
    };
    let refused = Gate::from_plan(&old).update(&document).err();
    let report = report::Report {
        names: (&args.old, &args.new),
        comparison: &comparison,
        tally: tally.as_ref(),
        refused: refused.as_ref().map(UpdateError::problems).unwrap_or_default(),
    };
    report.print(args.format, output)?;
    Ok(Answer::Yes)
}

/// Returns the changes for users between two plans, as text.
pub(crate) fn summary(old: &Plan, new: &Plan) -> String {
    let comparison = Comparison::of(old, new);
    report::human(&comparison, None, &[])
}

/// Evaluates every user of a file in both documents, for the flags with changes that users may notice.
fn evaluate<'p>(
    file: &Path,
    old: &Plan,
    new: &Plan,
    comparison: &Comparison<'p>,
) -> Result<Tally<'p>, Failure> {
    let flags = comparison.flags.iter().filter(|flag| !flag.changes.is_empty());
    let mut tally = Tally::new(old, new, flags.map(|flag| flag.key));
    users::read(file, |user| tally.count(user))?;
    Ok(tally)
}

fn only_one_from_stdin(args: &Diff) -> Result<(), Failure> {
    let files = [Some(&args.old), Some(&args.new), args.users.as_ref()];
    let from_stdin = files.into_iter().flatten().filter(|file| file.as_os_str() == "-");
    if from_stdin.count() > 1 {
        return Err(Failure::Usage("only one file can be standard input (`-`)".to_owned()));
    }
    Ok(())
}
