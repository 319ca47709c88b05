//! `show`: prints a flag's plan, for people and for programs.

mod human;
pub(crate) mod markdown;
mod sections;
mod stage;
mod view;

use crate::args::{Format, Show, ShowFormat};
use crate::document;
use crate::failure::{Answer, Failure};
use crate::output::Output;

use view::DocumentView;

/// The most flags whose whole plans are shown at once. A plan takes about ten kilobytes.
const MAX_WHOLE_PLANS: usize = 1000;

pub(crate) fn run(args: &Show, output: &Output) -> Result<Answer, Failure> {
    let problems = match args.format {
        ShowFormat::Json => Format::Json,
        ShowFormat::Human | ShowFormat::Markdown => Format::Human,
    };
    let plan = document::plan(&args.document, &args.reading, "show", problems, output)?;
    let only = match args.flag.as_deref() {
        Some(key) => Some(document::flag(&plan, Some(key))?),
        None => None,
    };
    let warnings = document::warnings(&plan);
    let shown = if only.is_some() { 1 } else { plan.flags().count() };
    if args.format == ShowFormat::Human && shown > 1 {
        output.text(&human::flag_table(&plan, warnings.len()))?;
        return Ok(Answer::Yes);
    }
    if shown > MAX_WHOLE_PLANS {
        return Err(Failure::Usage(format!(
            "the document has {shown} flags, but at most {MAX_WHOLE_PLANS} whole plans are shown at \
             once. Choose a flag with `--flag`"
        )));
    }
    let view = DocumentView::of(&plan, only, &warnings);
    match args.format {
        ShowFormat::Human => output.text(&human::summary(&view))?,
        ShowFormat::Markdown => output.text(&markdown::plans(&view)?)?,
        ShowFormat::Json => output.json("show", &view)?,
    }
    Ok(Answer::Yes)
}
