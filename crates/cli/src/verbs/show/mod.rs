//! `show`: the plan of a flag, for people and for programs.

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

pub(crate) fn run(args: &Show, output: &Output) -> Result<Answer, Failure> {
    let problems = match args.format {
        ShowFormat::Json => Format::Json,
        ShowFormat::Human | ShowFormat::Markdown => Format::Human,
    };
    let plan = document::plan(&args.document, "show", problems, output)?;
    let only = match args.flag.as_deref() {
        Some(key) => Some(document::flag(&plan, Some(key))?),
        None => None,
    };
    let view = DocumentView::of(&plan, only);
    match args.format {
        ShowFormat::Human => output.text(&human::summary(&view))?,
        ShowFormat::Markdown => output.text(&markdown::plans(&view)?)?,
        ShowFormat::Json => output.json("show", &view)?,
    }
    Ok(Answer::Yes)
}
