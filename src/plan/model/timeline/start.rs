//! `timeline.start`: the moment at which a rollout begins.

use std::fmt;
use std::time::SystemTime;

use jiff::civil;

use crate::plan::Excerpt;
use crate::plan::fields::string;
use crate::plan::model::time::date::{self, Date, TimeZone};
use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A start, as a document writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Start {
    /// The beginning of a day, in the time zone of the plan's calendar.
    Day(Date),
    /// A time on the clocks of a time zone.
    Moment(civil::DateTime, TimeZone),
}

/// The moment before which a flag does not begin (`timeline.start`). It prints as `2026-01-05 09:00, Europe/Berlin`, or
/// without the time if the document has a day.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     timeline = { start = "2026-01-05T09:00[Europe/Berlin]" }
/// "#)?;
/// let start = plan.flag("search").unwrap().start_moment().unwrap();
/// // Berlin is one hour ahead of UTC in winter.
/// assert_eq!(start.at, SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_600_000));
/// assert_eq!(start.to_string(), "2026-01-05 09:00, Europe/Berlin");
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StartMoment {
    /// The moment.
    pub at: SystemTime,
    /// The time zone in which the document states it. For a day, the time zone of the calendar.
    pub time_zone: TimeZone,
    /// The day that the document states. `None` if it states a moment.
    pub day: Option<Date>,
}

impl Start {
    /// Returns the moment, in a plan whose calendar has this time zone.
    pub(in crate::plan::model) fn moment(&self, calendar: &TimeZone) -> StartMoment {
        match self {
            Start::Day(day) => StartMoment {
                at: calendar.start_of(*day),
                time_zone: calendar.clone(),
                day: Some(*day),
            },
            Start::Moment(time, zone) => {
                StartMoment { at: zone.moment(*time), time_zone: zone.clone(), day: None }
            }
        }
    }
}

impl fmt::Display for StartMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            Some(day) => write!(f, "{day}, {}", self.time_zone),
            None => {
                let time = self.time_zone.at(self.at);
                let (hour, minute) = (time.hour(), time.minute());
                write!(f, "{} {hour:02}:{minute:02}, {}", time.date(), self.time_zone)
            }
        }
    }
}

/// Reads a day, or a moment with its time zone: `2026-01-05T09:00[Europe/Berlin]`.
pub(super) fn read<'a>(node: &Node<'a>, path: &Path<'_>, report: &mut Report<'a>) -> Option<Start> {
    let error = match date::parse(node, report) {
        Ok(day) => return Some(Start::Day(day)),
        Err(error) => error,
    };
    // TOML writes moments, too, but without the name of a time zone.
    let text = match &node.value {
        Value::Text(_) => string(node, path, report)?.to_string(),
        _ => report.slice(&node.span).to_owned(),
    };
    let Some((day, rest)) = text.split_once('T') else {
        report.found(node, path, &error, HINT);
        return None;
    };
    let day = match day.parse::<Date>() {
        Ok(day) => day,
        Err(error) => {
            report.found(node, path, &error, HINT);
            return None;
        }
    };
    let (clock, zone) = match rest.split_once('[') {
        Some((clock, zone)) => (clock, zone.strip_suffix(']')),
        None => (rest, None),
    };
    let time = parse_clock(clock).map(|(hour, minute)| (day.at(hour, minute), hour, minute));
    match (time, zone) {
        (Some((Some(time), ..)), Some(zone)) => match zone.parse() {
            Ok(zone) => Some(Start::Moment(time, zone)),
            Err(error) => {
                let wrong = format!("whose `{}` is {error}", Excerpt(zone));
                let hint = format!("between the brackets, {}", date::zone_hint(zone));
                report.found(node, path, wrong, hint);
                None
            }
        },
        (Some((_, hour, minute)), None) => {
            let hint = format!(
                "name the time zone: \"{day}T{hour:02}:{minute:02}[Europe/Berlin]\" \
                 or another name of the IANA database"
            );
            report.found(node, path, "a moment without a time zone", hint);
            None
        }
        _ => {
            report.found(node, path, "not a time from 00:00 to 23:59 in a time zone", HINT);
            None
        }
    }
}

const HINT: &str = "write a day, \"2026-01-05\", or a moment with its time zone, \"2026-01-05T09:00[Europe/Berlin]\"";

/// Returns the hour and minute of `09:00`. Also accepts whole minutes as TOML writes them, `09:00:00`.
fn parse_clock(text: &str) -> Option<(i8, i8)> {
    let text = text.strip_suffix(":00").filter(|rest| rest.len() == 5).unwrap_or(text);
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, most: i8| {
        let is_plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.filter(|number| *number <= most)
    };
    Some((number(hour, 23)?, number(minute, 59)?))
}
