//! `timeline`: prints the dates of a rollout.

mod chart;
mod ics;
mod svg;
mod table;
mod view;

use crate::args::{Format, Timeline, TimelineFormat};
use crate::document;
use crate::failure::{Answer, Failure};
use crate::output::Output;
use crate::verbs::show::markdown;

pub(crate) use view::{CalendarView, TimelineView, UndatedView};

pub(crate) fn run(args: &Timeline, output: &Output) -> Result<Answer, Failure> {
    let problems = match args.format {
        TimelineFormat::Json => Format::Json,
        _ => Format::Human,
    };
    let plan =
        document::plan(&args.input.document, &args.input.reading, "timeline", problems, output)?;
    let flag = document::flag(&plan, args.input.flag.as_deref())?;
    let start = args.start.or(flag.start()).ok_or_else(|| {
        let key = flag.key();
        Failure::Usage(format!(
            "the plan of `{key}` has no start. Pass `--start 2026-01-05`, or write \
             `timeline = {{ start = \"2026-01-05\" }}` in `[flags.{key}]`"
        ))
    })?;
    let view = TimelineView::of(flag, start);
    match args.format {
        TimelineFormat::Table => output.text(&table::table(&view))?,
        TimelineFormat::Markdown => output.text(&markdown::timeline(&view)?)?,
        TimelineFormat::Ics => output.text(&ics::calendar(&view))?,
        TimelineFormat::Svg => output.text(&svg::chart(&view, flag.calendar()))?,
        TimelineFormat::Json => output.json("timeline", &view)?,
    }
    Ok(Answer::Yes)
}
