//! Whether a flag's timeline lands a promotion in a freeze.

use crate::plan::error::Excerpt;
use crate::plan::fields::Path;
use crate::plan::flags::PlannedFlag;
use crate::plan::model::flag::FlagPlan;
use crate::plan::model::stage::Stage;
use crate::plan::model::time::date::Date;
use crate::plan::model::timeline::open_days::Opening;
use crate::plan::model::timeline::{beginnings, whole_days};
use crate::plan::node::Entry;
use crate::plan::report::Report;

/// Warns of promotions that the document's own dates put in a freeze. Days that only have no hours
/// are not worth a word, and as dates pass none of it is an error.
pub(in crate::plan) fn check<'a>(
    planned: &PlannedFlag,
    entry: &Entry<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) {
    let flag = FlagPlan::new(planned);
    let Some(start) = flag.start() else { return };
    let beginnings = beginnings(flag, start);
    let timeline = path.field("timeline");
    let in_timeline = timeline.field("start");
    let (span, path) = match entry.node.field("timeline").and_then(|node| node.field("start")) {
        Some(node) => (&node.span, &in_timeline),
        None => (&entry.key_span, path),
    };
    let mut before = None;
    for (stage, beginning) in flag.stages().zip(beginnings) {
        let Opening { wished, freeze, date } = beginning.earliest;
        if let Some(freeze) = freeze {
            let what = match before {
                None if wished == start => format!("a start on {wished}"),
                None => format!("a start on {start}, moved by the hours to {wished}"),
                Some(_) => format!("a promotion to \"{}\" on {wished}", stage.name()),
            };
            let mut message = format!(
                "found {what}, in the freeze \"{}\" of {} to {}",
                Excerpt(&freeze.reason),
                freeze.from,
                freeze.to,
            );
            let overdue = before.and_then(|(stage, begun)| overdue(stage, begun, date));
            message.push_str(&overdue.unwrap_or_default());
            let hint = format!("start later or earlier, or expect it on {date}");
            report.warning(span.clone(), path, message, hint);
        }
        before = Some((stage, date));
    }
}

/// What to say of a stage that the freeze makes longer than it may be.
fn overdue(stage: Stage<'_>, begun: Date, until: Date) -> Option<String> {
    let most = whole_days(stage.details().max_duration?);
    let days = begun.days_until(until);
    let text = || format!(", so \"{}\" takes {days} days, more than its {most}", stage.name());
    (days > most).then(text)
}
