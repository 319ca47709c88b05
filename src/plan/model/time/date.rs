//! Dates and time zones.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use jiff::{Timestamp, ToSpan, civil, tz};
use thiserror::Error;

use crate::plan::node::{Node, Value};
use crate::plan::path::Path;
use crate::plan::report::Report;

/// A day of the Gregorian calendar in the years 1970 to 9000, without a time zone.
///
/// # Example
///
/// ```
/// use stagegate::model::{Date, Weekday};
///
/// let date: Date = "2026-01-05".parse()?;
/// assert_eq!(date.weekday(), Weekday::Monday);
/// assert_eq!(date.plus_days(7).to_string(), "2026-01-12");
/// assert!("2026-02-30".parse::<Date>().is_err());
/// # Ok::<(), stagegate::model::ParseDateError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// More days than lie between the first and the last date.
const MAX_DAYS: i32 = 3_000_000;

impl Date {
    /// The year.
    #[must_use]
    pub fn year(self) -> u16 {
        self.0.year().unsigned_abs()
    }

    /// The month, 1 to 12.
    #[must_use]
    pub fn month(self) -> u8 {
        self.0.month().unsigned_abs()
    }

    /// The day of the month, 1 to 31.
    #[must_use]
    pub fn day(self) -> u8 {
        self.0.day().unsigned_abs()
    }

    /// Returns the day of the week.
    #[must_use]
    pub fn weekday(self) -> Weekday {
        let index = self.0.weekday().to_monday_zero_offset();
        Weekday::ALL.get(usize::from(index.unsigned_abs())).copied().unwrap_or(Weekday::Sunday)
    }

    /// Returns the day this many days later; earlier, if negative. Stops at the first and the last date.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Date {
        // jiff refuses a span of more days than exist.
        let span = days.clamp(-MAX_DAYS, MAX_DAYS).days();
        Date::nearest(self.0.saturating_add(span))
    }

    /// Returns the number of days from this date to the other; negative if the other is earlier.
    #[must_use]
    pub fn days_until(self, other: Date) -> i32 {
        self.0.until(other.0).map_or(0, |span| span.get_days())
    }

    /// Returns the date of a moment in a time zone, or the nearest date that exists.
    #[must_use]
    pub fn of(at: SystemTime, zone: &TimeZone) -> Date {
        Date::of_time(zone.at(at))
    }

    /// Returns a time of this day. `None` if there is no such time.
    pub(in crate::plan::model) fn at(self, hour: i8, minute: i8) -> Option<civil::DateTime> {
        Some(self.0.to_datetime(civil::Time::new(hour, minute, 0, 0).ok()?))
    }

    pub(in crate::plan::model) fn of_time(time: civil::DateTime) -> Date {
        Date::nearest(time.date())
    }

    fn nearest(date: civil::Date) -> Date {
        Date(date.clamp(civil::date(1970, 1, 1), civil::date(9000, 12, 31)))
    }
}

impl FromStr for Date {
    type Err = ParseDateError;

    /// Reads `2026-01-05`.
    fn from_str(text: &str) -> Result<Date, ParseDateError> {
        let mut parts = text.split('-');
        let mut part = |len: usize| {
            let digits = parts.next().filter(|part| part.len() == len)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (year, month, day): (Option<i16>, _, _) = (part(4), part(2), part(2));
        let is_whole = parts.next().is_none();
        let narrow = |part: Option<i16>| i8::try_from(part?).ok();
        let date = || civil::Date::new(year?, narrow(month)?, narrow(day)?).ok();
        let date = date().filter(|_| is_whole).ok_or(ParseDateError(NoDate::NoDay))?;
        Some(Date::nearest(date))
            .filter(|near| near.0 == date)
            .ok_or(ParseDateError(NoDate::TooFar))
    }
}

/// In the form `2026-01-05`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error of a text that is not a date.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ParseDateError(NoDate);

#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum NoDate {
    #[error("not a day of the calendar")]
    NoDay,
    #[error("not a day from 1970-01-01 to 9000-12-31")]
    TooFar,
}

/// A day of the week, ordered from Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weekday {
    /// Mon
    Monday,
    /// Tue
    Tuesday,
    /// Wed
    Wednesday,
    /// Thu
    Thursday,
    /// Fri
    Friday,
    /// Sat
    Saturday,
    /// Sun
    Sunday,
}

impl Weekday {
    /// From Monday to Sunday.
    pub const ALL: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];

    /// Returns the number of the day, 0 for Monday.
    pub(in crate::plan::model) fn number(self) -> u16 {
        self as u16
    }

    /// Returns the name in documents: `Mon`.
    pub(in crate::plan::model) fn short_name(self) -> &'static str {
        match self {
            Weekday::Monday => "Mon",
            Weekday::Tuesday => "Tue",
            Weekday::Wednesday => "Wed",
            Weekday::Thursday => "Thu",
            Weekday::Friday => "Fri",
            Weekday::Saturday => "Sat",
            Weekday::Sunday => "Sun",
        }
    }
}

/// As `Mon`.
impl fmt::Display for Weekday {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short_name())
    }
}

/// A time zone of the IANA database that is built into this crate: `Europe/Berlin`, `UTC`.
///
/// The machine's own database is not used. So a document is valid on every machine or on none.
///
/// # Example
///
/// ```
/// use stagegate::model::TimeZone;
///
/// let berlin: TimeZone = "Europe/Berlin".parse()?;
/// assert_eq!(berlin.to_string(), "Europe/Berlin");
/// assert!("Europe/Berlim".parse::<TimeZone>().is_err());
/// # Ok::<(), stagegate::model::ParseTimeZoneError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TimeZone(tz::TimeZone);

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: TimeZone = TimeZone(tz::TimeZone::UTC);

    /// Returns the time on a wall clock. Stops at the first and the last moment of the calendar.
    pub(in crate::plan::model) fn at(&self, at: SystemTime) -> civil::DateTime {
        let bound = if at < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        self.0.to_datetime(Timestamp::try_from(at).unwrap_or(bound))
    }

    /// Returns the first moment of a day.
    pub(in crate::plan::model) fn start_of(&self, day: Date) -> SystemTime {
        let midnight = self.0.to_ambiguous_timestamp(day.0.to_datetime(civil::Time::midnight()));
        // Where clocks skip midnight, the day begins after the gap. Where they repeat it, with the first midnight.
        midnight.compatible().map_or(SystemTime::UNIX_EPOCH, SystemTime::from)
    }

    /// Returns the moment at which clocks show a time, and never an earlier one. A time that clocks skip is as long
    /// after the gap as it is after the gap's beginning. Of a time that clocks repeat, it is the second.
    pub(in crate::plan::model) fn moment(&self, time: civil::DateTime) -> SystemTime {
        let moment = self.0.to_ambiguous_timestamp(time).later();
        moment.map_or(SystemTime::UNIX_EPOCH, SystemTime::from)
    }
}

impl FromStr for TimeZone {
    type Err = ParseTimeZoneError;

    /// Reads a name of the IANA database.
    fn from_str(text: &str) -> Result<TimeZone, ParseTimeZoneError> {
        tz::db().get(text).map(TimeZone).map_err(|_| ParseTimeZoneError(()))
    }
}

/// The name in the database.
impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error of a text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a time zone of the IANA database")]
pub struct ParseTimeZoneError(());

/// Reads a day, in quotes or as TOML writes a date.
pub(in crate::plan) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Date> {
    match parse(node, report) {
        Ok(date) => Some(date),
        Err(error) => {
            report.found(node, path, &error, "write a day, for example \"2026-01-05\"");
            None
        }
    }
}

/// Returns the day that a value says, without reporting an error.
pub(in crate::plan) fn parse(node: &Node<'_>, report: &Report<'_>) -> Result<Date, ParseDateError> {
    match &node.value {
        Value::Text(text) => text.parse(),
        _ => report.slice(&node.span).parse(),
    }
}

/// Reads a time zone by its name.
pub(in crate::plan::model) fn read_zone<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<TimeZone> {
    let text = crate::plan::fields::text(node, path, report)?;
    match text.parse() {
        Ok(zone) => Some(zone),
        Err(error) => {
            report.found(node, path, &error, zone_hint(text));
            None
        }
    }
}

/// Returns what to write instead of an unknown time zone. It names a zone only if the text is that name but for case,
/// blanks, `_` and `-`. A zone with a similar name has another time, and the wrong time looks right.
pub(in crate::plan::model) fn zone_hint(found: &str) -> String {
    let plain = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        name.replace([' ', '-'], "_")
    };
    // In `Etc/GMT-1`, the sign has a meaning.
    let has_sign = |name: &str| name.starts_with("Etc/") || name.contains("GMT");
    let is_meant = |name: &String| !has_sign(name) && plain(name) == plain(found);
    let meant = tz::db().available().map(|name| name.to_string()).find(is_meant);
    match meant {
        Some(name) => format!("write \"{name}\""),
        None => "write a name such as \"Europe/Berlin\" or \"UTC\"".to_owned(),
    }
}
