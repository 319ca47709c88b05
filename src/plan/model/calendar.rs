//! `calendar`: when a flag may be promoted.

use std::time::SystemTime;

use crate::plan::fields::{Fields, Path};
use crate::plan::model::time::date::{self, Date, TimeZone};
use crate::plan::model::time::week::{self, WeekHours};
use crate::plan::model::{list, time::week_text};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// When a flag may be promoted: in the hours, and on no day of a freeze.
///
/// Going down is never refused, whatever the calendar says.
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
    /// Days on which none is, in order of their first ones.
    pub freezes: Vec<Freeze>,
}

/// Days on which nothing advances.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Freeze {
    /// The first day.
    pub from: Date,
    /// The last day, no earlier than the first.
    pub to: Date,
    /// Why.
    pub reason: Box<str>,
}

impl Calendar {
    /// Whether a flag may be promoted at a moment.
    #[must_use]
    pub fn allows(&self, at: SystemTime) -> bool {
        let at = self.time_zone.at(at);
        self.hours.contains(week::minute(at)) && self.freeze_on(Date::of_time(at)).is_none()
    }

    /// Whether a flag may be promoted at any time of a day.
    #[must_use]
    pub fn allows_on(&self, date: Date) -> bool {
        self.hours.touch(date.weekday()) && self.freeze_on(date).is_none()
    }

    /// The freeze that a day is in.
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
    let (time_zone, hours) = (fields.take("time_zone"), fields.take("hours"));
    let freezes = fields.take("freezes");
    fields.finish(report);
    let time_zone = match time_zone {
        Some(node) => date::read_zone(node, &path.field("time_zone"), report),
        None => Some(TimeZone::UTC),
    };
    let hours = match hours {
        Some(node) => week_text::read(node, &path.field("hours"), report),
        None => Some(WeekHours::always()),
    };
    let freezes = match freezes {
        Some(node) => read_freezes(node, &path.field("freezes"), report),
        None => Vec::new(),
    };
    Some(Calendar { time_zone: time_zone?, hours: hours?, freezes })
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
    let (from, to, reason) = (fields.take("from"), fields.take("to"), fields.take("reason"));
    fields.finish(report);
    let hint = "write its first day, for example \"2026-12-20\"";
    let from = read_day(&fields, "from", from, hint, report);
    let hint = "write its last day, for one day the same as `from`";
    let last = read_day(&fields, "to", to, hint, report);
    let reason = list::required_text(&fields, "reason", reason, "write why", report);
    let (from, last) = (from?, last?);
    if let Some(node) = to.filter(|_| last < from) {
        let wrong = format!("a day before {from}, the first one");
        report.found(node, &path.field("to"), wrong, "write the last day of the freeze");
        return None;
    }
    Some(Freeze { from, to: last, reason: reason?.into() })
}

fn read_day<'a>(
    fields: &Fields<'_, 'a>,
    name: &'static str,
    node: Option<&Node<'a>>,
    hint: &str,
    report: &mut Report<'a>,
) -> Option<Date> {
    if node.is_none() {
        fields.missing(name, hint, report);
    }
    date::read(node?, &fields.path().field(name), report)
}
