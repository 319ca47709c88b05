//! The lints.

use std::collections::HashSet;

use super::{Subject, is_whole};
use crate::key::{self, MAX_KEY_BYTES};
use crate::plan::error::Excerpt;
use crate::plan::fields::{nearest, one_of};
use crate::plan::model::time::date::{self, Date, TimeZone};
use crate::plan::model::time::week::WeekHours;
use crate::plan::model::timeline::open_days::Opening;
use crate::plan::model::timeline::{beginnings, whole_days};
use crate::plan::model::{Advance, IncidentKind, Stage, Template};
use crate::plan::node::{Node, Value};
use crate::plan::report::Report;

/// A stage with `advance = "auto"` and without any condition: the next tick promotes the flag.
pub(super) fn auto_advance_without_condition(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    let stages = it.path.field("stages");
    for (index, node) in it.items("stages").iter().enumerate() {
        let details = it.stages.details(index);
        let has_condition = details.min_duration.is_some()
            || details.watch.is_some()
            || details.conditions().next().is_some()
            || !details.metrics.is_empty();
        let advance = node.field("advance").filter(|_| details.advance == Advance::Auto);
        let Some(advance) = advance.filter(|_| !has_condition) else { continue };
        let message = "found \"auto\" in a stage that asks nothing: it is left at once".to_owned();
        let hint = "write a `min_duration`, a metric or a criterion, or leave `advance` out";
        report.warning(advance.span.clone(), &stages.index(index).field("advance"), message, hint);
    }
}

/// A trigger for an incident of the team's own, whose name is nearly one that every plan knows.
pub(super) fn incident_like_a_known_one(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    let triggers = it.path.field("triggers");
    for (index, trigger) in it.items("triggers").iter().enumerate() {
        let Some(node) = trigger.field("incident") else { continue };
        let Value::Text(name) = &node.value else { continue };
        let known = IncidentKind::KNOWN.iter().map(IncidentKind::as_str);
        let is_own = known.clone().all(|known| known != name);
        if !is_own || key::check(name, MAX_KEY_BYTES).is_err() {
            continue;
        }
        let Some(near) = nearest(name, known) else { continue };
        let message =
            format!("found \"{name}\", an incident of your own that is nearly \"{near}\"");
        let hint = format!("did you mean `{near}`? only what is reported as \"{name}\" fires it");
        let path = triggers.index(index);
        report.warning(node.span.clone(), &path.field("incident"), message, hint);
    }
}

/// A freeze of more than a year: its year is likely to be a typing error.
pub(super) fn long_freeze(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    const LONG: i32 = 366;
    let calendar = it.path.field("calendar");
    let freezes = calendar.field("freezes");
    let nodes = it.field("calendar").and_then(|calendar| calendar.field("freezes"));
    for (index, node) in nodes.map(Node::items).unwrap_or_default().iter().enumerate() {
        let (Some(from), Some(to)) = (node.field("from"), node.field("to")) else { continue };
        let (Ok(first), Ok(last)) = (date::parse(from, report), date::parse(to, report)) else {
            continue;
        };
        let days = first.days_until(last) + 1;
        if days > LONG {
            let message = format!("found a freeze of {days} days, from {first} to {last}");
            let hint = "check the years: nothing is promoted until the freeze is over";
            let path = freezes.index(index);
            report.warning(to.span.clone(), &path.field("to"), message, hint);
        }
    }
}

/// A promotion that the dates of the document put in a freeze.
///
/// A day without hours for promotions is no reason to warn. A freeze is not an error, because dates pass.
pub(super) fn promotion_in_a_freeze(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    let Some(flag) = it.flag else { return };
    let Some(start) = flag.start() else { return };
    let timeline = it.path.field("timeline");
    let in_timeline = timeline.field("start");
    let (span, path) = match it.field("timeline").and_then(|node| node.field("start")) {
        Some(node) => (&node.span, &in_timeline),
        // The flag has the start from its plan.
        None => (&it.entry.key_span, it.path),
    };
    let mut before = None;
    for (stage, beginning) in flag.stages().zip(beginnings(flag, start)) {
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

/// Returns what to add to the warning if the freeze makes a stage longer than its `max_duration`.
fn overdue(stage: Stage<'_>, begun: Date, until: Date) -> Option<String> {
    let most = whole_days(stage.details().max_duration?);
    let days = begun.days_until(until);
    let text = || format!(", so \"{}\" takes {days} days, more than its {most}", stage.name());
    (days > most).then(text)
}

/// A row of the responsibility table that never answers, because earlier rows cover all its hours.
///
/// Compares a row with the earlier rows of its time zone, and with earlier rows that cover every hour. The last row
/// has to cover every hour, so only another such row makes it idle.
pub(super) fn row_that_never_answers(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    let rows = &*it.sections.responsibility;
    let Some(list) = it.field("responsibility").filter(|list| is_whole(list, rows)) else { return };
    let path = it.path.field("responsibility");
    let mut covered: Vec<(&TimeZone, WeekHours)> = Vec::new();
    let mut is_all_covered = false;
    for (index, (row, node)) in rows.iter().zip(list.items()).enumerate() {
        let is_last = index + 1 == rows.len();
        let known = covered.iter_mut().find(|(zone, _)| **zone == row.time_zone);
        let is_covered = known.as_ref().is_some_and(|(_, hours)| hours.contain(&row.hours));
        if is_all_covered || is_covered && !is_last {
            let message = "found a row that never answers: those before it cover all its hours";
            let hint = "move it up or leave it out: of rows that cover a moment the first answers";
            report.warning(node.span.clone(), &path.index(index), message.to_owned(), hint);
        }
        is_all_covered |= row.hours.is_always();
        match known {
            Some((_, hours)) => *hours = hours.with(&row.hours),
            None => covered.push((&row.time_zone, row.hours.clone())),
        }
    }
}

/// A variable of a flag that no message of the flag uses.
///
/// A flag without messages of its own sends those of its plan. They use only variables that the plan has. The
/// variables of a shared plan are not checked, because the messages of any flag may use them.
pub(super) fn unused_variable(it: &Subject<'_, '_>, report: &mut Report<'_>) {
    let variables = it.field("variables").filter(|_| it.flag.is_some());
    let Some(Value::Table(entries)) = variables.map(|node| &node.value) else { return };
    let messages = &*it.sections.messages;
    let own_messages = it.field("messages");
    // A message that could not be read may use any variable.
    if own_messages.is_some_and(|list| !is_whole(list, messages)) {
        return;
    }
    let used: Option<HashSet<&str>> = own_messages.map(|_| {
        let templates = messages.iter().flat_map(|m| m.subject.iter().chain([&m.template]));
        templates.flat_map(Template::variables).collect()
    });
    let inherited = it.sections.variables.inherited();
    let is_inherited = |name: &str| inherited.is_some_and(|inherited| inherited.has(name));
    let is_used =
        |name: &str| used.as_ref().map_or_else(|| is_inherited(name), |used| used.contains(name));
    let path = it.path.field("variables");
    for entry in entries.iter().filter(|entry| !is_used(&entry.key)) {
        if report.is_warning_list_full() {
            return;
        }
        let message = format!("found `{}`, used by no message of this flag", Excerpt(&entry.key));
        let names: Vec<&str> =
            inherited.into_iter().flat_map(|it| it.iter().map(|(name, _)| name)).collect();
        let hint = match &used {
            None if !names.is_empty() => one_of(&entry.key, names.into_iter()),
            _ => "name it in a template, or leave it out".to_owned(),
        };
        report.warning(entry.key_span.clone(), &path.field(&entry.key), message, hint);
    }
}
