//! `responsibility`: the contact for every hour of the week.

use std::sync::Arc;
use std::time::SystemTime;

use crate::plan::error::Excerpt;
use crate::plan::fields::{Fields, text};
use crate::plan::model::time::date::{self, TimeZone};
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::time::week::{self, WeekHours};
use crate::plan::model::{list, time::duration, time::week_text};
use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A row of the responsibility table.
///
/// The first row that covers a moment answers for it. The last row covers every hour, so every moment has a row.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [[flags.search.responsibility]]
///     hours = ["Mon-Fri 09:00-18:00"]
///     time_zone = "Europe/Berlin"
///     contact = "tech lead"
///     [[flags.search.responsibility]]
///     contact = "on call"
/// "#)?;
/// let flag = plan.flag("search").unwrap();
/// // Monday 2026-01-05, 08:00 in UTC and 09:00 in Berlin.
/// let monday = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_600_000);
/// let before = monday - Duration::from_nanos(1);
/// assert_eq!(&*flag.responsible(monday).unwrap().1.contact, "tech lead");
/// assert_eq!(&*flag.responsible(before).unwrap().1.contact, "on call");
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Responsibility {
    /// The row's name: `"Business hours"`.
    pub name: Option<Box<str>>,
    /// The hours that the row covers.
    pub hours: WeekHours,
    /// The time zone of the hours.
    pub time_zone: TimeZone,
    /// The person or role that is responsible.
    pub contact: Box<str>,
    /// The contacts to ask next, in order.
    pub escalation: Vec<Box<str>>,
    /// How long to wait for an answer before asking the next contact.
    pub escalate_after: Option<WrittenDuration>,
}

impl Responsibility {
    /// Returns whether the row covers a moment: whether a wall clock in its time zone shows one of its hours.
    ///
    /// When clocks go back, the clock shows one hour twice. The row covers that hour both times.
    #[must_use]
    pub fn covers(&self, at: SystemTime) -> bool {
        self.hours.contains(week::minute(self.time_zone.at(at)))
    }
}

/// Reads the list of rows.
pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Arc<[Responsibility]> {
    let hint = "write a list of rows: [{ contact = \"on call\" }]";
    if matches!(&node.value, Value::Array(items) if items.is_empty()) {
        let hint = "write at least one row with a `contact`, or leave `responsibility` out";
        report.found(node, path, "in which no one is responsible", hint);
        return Arc::default();
    }
    let items = list::read(node, path, hint, report);
    let mut rows = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        let row = read_row(item, &path, report);
        if index + 1 == items.len() {
            check_last(row.as_ref(), item, &path, report);
        }
        rows.extend(row);
    }
    rows.into()
}

/// Refuses a last row with hours: no one would answer outside them.
///
/// A solver could find out whether the rows cover every minute together. It would need years of clock changes of
/// every time zone, and a team could not check its answer by reading the table.
fn check_last(
    row: Option<&Responsibility>,
    item: &Node<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) {
    let hours = item.field("hours").zip(row).filter(|(_, row)| !row.hours.is_always());
    if let Some((node, row)) = hours {
        let hours = row.hours.to_string();
        let message = format!(
            "found {} in the last row, so no one is responsible at other times",
            Excerpt(&hours),
        );
        let hint = "leave `hours` out of the last row, \
                    or add a last row without them: { contact = \"on call\" }";
        report.problem(node.span.clone(), &path.field("hours"), message, hint);
    }
}

fn read_row<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Responsibility> {
    let mut fields = Fields::open(node, path, report)?;
    let name = fields.take_text("name", report).map(Box::from);
    let hours = fields.optional("hours", report, week_text::read);
    let time_zone = fields.optional("time_zone", report, date::read_zone);
    let hint = "write who is responsible, for example `contact = \"on call\"`";
    let contact = fields.required_text("contact", hint, report);
    let escalation = fields.read("escalation", report, read_escalation);
    let escalate_after = fields.read("escalate_after", report, |node, path, report| {
        let after = duration::read(node, path, report)?;
        if escalation.is_none() {
            let hint = "write who is asked next, for example `escalation = [\"CTO\"]`";
            report.found(node, path, "without an `escalation`", hint);
        }
        Some(after)
    });
    fields.finish(report);
    Some(Responsibility {
        name,
        hours: hours?.unwrap_or_else(WeekHours::always),
        time_zone: time_zone?.unwrap_or(TimeZone::UTC),
        contact: contact?.into(),
        escalation: escalation.unwrap_or_default(),
        escalate_after: escalate_after.flatten(),
    })
}

fn read_escalation<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Vec<Box<str>> {
    let hint = "write a list of who is asked next: [\"CTO\"]";
    if matches!(&node.value, Value::Array(items) if items.is_empty()) {
        report.found(node, path, "without anyone to ask", "write someone or leave the field out");
        return Vec::new();
    }
    let items = list::read(node, path, hint, report).iter().enumerate();
    items.filter_map(|(index, item)| Some(text(item, &path.index(index), report)?.into())).collect()
}
