//! `calendar`: the times at which a flag may be promoted.

use std::time::SystemTime;

use crate::plan::fields::Fields;
use crate::plan::model::time::date::{self, Date, TimeZone};
use crate::plan::model::time::week::{self, WeekHours};
use crate::plan::model::{list, time::week_text};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The times at which a flag may be promoted: within the hours, and not in a freeze.
///
/// The calendar never refuses a rollback or another move down.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use stagegate::Plan;
/// use stagegate::model::Date;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search.calendar]
///     time_zone = "Europe/Berlin"
///     hours = ["Mon-Thu 09:00-16:00"]
///     freezes = [{ from = "2026-12-20", to = "2027-01-03", reason = "holidays" }]
/// "#)?;
/// let calendar = plan.flag("search").unwrap().calendar().unwrap();
/// // Thursday 2026-01-01 at 08:00 in Berlin.
/// let new_year = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_250_800);
/// assert!(!calendar.allows(new_year));
/// assert!(calendar.allows(new_year + Duration::from_secs(3600)));
///
/// assert!(!calendar.allows_on("2027-01-03".parse::<Date>()?));
/// assert!(calendar.allows_on("2027-01-04".parse::<Date>()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calendar {
    /// The time zone of hours and dates.
    pub time_zone: TimeZone,
    /// The hours of the week in which a flag may be promoted.
    pub hours: WeekHours,
    /// The freezes, sorted by first day.
    pub freezes: Vec<Freeze>,
}

/// A period of days without promotions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freeze {
    /// The first day.
    pub from: Date,
    /// The last day, no earlier than the first.
    pub to: Date,
    /// The reason for the freeze.
    pub reason: Box<str>,
}

impl Calendar {
    /// Returns whether a flag may be promoted at a moment.
    #[must_use]
    pub fn allows(&self, at: SystemTime) -> bool {
        let at = self.time_zone.at(at);
        self.hours.contains(week::minute(at)) && self.freeze_on(Date::of_time(at)).is_none()
    }

    /// Returns whether there is a time on a day at which a flag may be promoted.
    #[must_use]
    pub fn allows_on(&self, date: Date) -> bool {
        self.hours.touch(date.weekday()) && self.freeze_on(date).is_none()
    }

    /// Returns the freeze that a day is in.
    #[must_use]
    pub fn freeze_on(&self, date: Date) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.from <= date && date <= freeze.to)
    }
}

pub(super) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Calendar> {
    let mut fields = Fields::open(node, path, report)?;
    let time_zone = fields.optional("time_zone", report, date::read_zone);
    let hours = fields.optional("hours", report, week_text::read);
    let freezes = fields.read("freezes", report, read_freezes);
    fields.finish(report);
    Some(Calendar {
        time_zone: time_zone?.unwrap_or(TimeZone::UTC),
        hours: hours?.unwrap_or_else(WeekHours::always),
        freezes: freezes.unwrap_or_default(),
    })
}

fn read_freezes<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Vec<Freeze> {
    let hint = "write a list of freezes: [{ from = \"2026-12-20\", to = \"2027-01-03\", reason = \"holidays\" }]";
    let items = list::read(node, path, hint, report).iter().enumerate();
    let mut freezes: Vec<Freeze> =
        items.filter_map(|(index, item)| read_freeze(item, &path.index(index), report)).collect();
    freezes.sort_by_key(|freeze| freeze.from);
    freezes
}

fn read_freeze<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Freeze> {
    let mut fields = Fields::open(node, path, report)?;
    let hint = "write its first day, for example \"2026-12-20\"";
    let from = fields.required("from", hint, report, date::read);
    let hint = "write its last day, for one day the same as `from`";
    let last = fields.required("to", hint, report, date::read);
    let reason = fields.required_text("reason", "write why", report);
    fields.finish(report);
    let (from, last) = (from?, last?);
    if let Some(node) = fields.take("to").filter(|_| last < from) {
        let wrong = format!("a day before {from}, the first one");
        report.found(node, &path.field("to"), wrong, "write the last day of the freeze");
        return None;
    }
    Some(Freeze { from, to: last, reason: reason?.into() })
}
