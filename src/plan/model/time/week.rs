//! Hours of the week.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil;

use crate::plan::model::time::date::Weekday;

/// Minutes of a day.
pub(in crate::plan::model) const DAY: u16 = 24 * 60;

/// Minutes of a week.
pub(in crate::plan::model) const WEEK: u16 = 7 * DAY;

/// Returns the minute of the week that a wall clock shows, counted from Monday 00:00.
pub(in crate::plan::model) fn minute(time: civil::DateTime) -> u16 {
    let day = u16::from(time.weekday().to_monday_zero_offset().unsigned_abs());
    let (hour, minute) = (time.hour().unsigned_abs(), time.minute().unsigned_abs());
    day * DAY + u16::from(hour) * 60 + u16::from(minute)
}

/// Hours of the week on a wall clock: `["Mon-Fri 09:00-18:00", "Sat"]`.
///
/// A day without hours is the whole day. Hours that end no later than they begin last until the next day:
/// `"Fri 18:00-09:00"` ends on Saturday morning. They print in this form, with days of the same hours together:
/// `Mon-Fri 09:00-18:00, Sat`.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     calendar.hours = ["Mon 09:00-12:00", "Tue 09:00-12:00", "Mon 11:00-12:00"]
/// "#)?;
/// let hours = &plan.flag("search").unwrap().calendar().unwrap().hours;
/// assert_eq!(hours.to_string(), "Mon-Tue 09:00-12:00");
/// assert!(!hours.is_always());
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeekHours {
    /// Minutes since Monday 00:00, without the end. At least one span; in order, with gaps between them.
    spans: Box<[(u16, u16)]>,
}

impl WeekHours {
    /// Returns every hour of the week.
    #[must_use]
    pub fn always() -> WeekHours {
        WeekHours { spans: [(0, WEEK)].into() }
    }

    /// Returns whether this is every hour of the week.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self.spans == [(0, WEEK)]
    }

    /// Returns the hours of these spans, which may have any order. Minutes after Sunday continue on Monday.
    pub(in crate::plan::model) fn of(spans: impl IntoIterator<Item = (u16, u16)>) -> WeekHours {
        WeekHours { spans: normal(spans).into() }
    }

    /// Returns these hours and the others together.
    pub(in crate::plan) fn with(&self, others: &WeekHours) -> WeekHours {
        WeekHours::of(self.spans.iter().chain(&others.spans).copied())
    }

    /// Returns whether the others are all among these hours.
    pub(in crate::plan) fn contain(&self, others: &WeekHours) -> bool {
        let mut others = others.spans.iter();
        others.all(|(begin, end)| self.span_at(*begin).is_some_and(|(_, last)| end <= last))
    }

    /// Returns the span that has this minute, counted from Monday 00:00.
    fn span_at(&self, minute: u16) -> Option<&(u16, u16)> {
        let after = self.spans.partition_point(|(begin, _)| *begin <= minute);
        let last = after.checked_sub(1).and_then(|index| self.spans.get(index));
        last.filter(|(_, end)| minute < *end)
    }

    /// Returns whether a minute, counted from Monday 00:00, is among these hours.
    pub(in crate::plan::model) fn contains(&self, minute: u16) -> bool {
        self.span_at(minute).is_some()
    }

    /// Returns whether any of these hours is on that day.
    pub(in crate::plan::model) fn touch(&self, day: Weekday) -> bool {
        let midnight = day.number() * DAY;
        self.spans.iter().any(|(begin, end)| *begin < midnight + DAY && midnight < *end)
    }
}

/// Sorts the spans and joins spans that meet.
fn normal(spans: impl IntoIterator<Item = (u16, u16)>) -> Vec<(u16, u16)> {
    let mut cut = Vec::new();
    for (begin, end) in spans {
        cut.push((begin, end.min(WEEK)));
        if end > WEEK {
            cut.push((0, end - WEEK));
        }
    }
    cut.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(cut.len());
    for (begin, end) in cut {
        match merged.last_mut() {
            Some((_, last)) if begin <= *last => *last = end.max(*last),
            _ => merged.push((begin, end)),
        }
    }
    merged
}

/// In the form of a document: `Mon-Fri 09:00-18:00, Sat`.
impl fmt::Display for WeekHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, hours) in daily(&self.spans).iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            write!(f, "{}", hours.days)?;
            if (hours.from, hours.to) != (0, DAY) {
                write!(f, " {}-{}", Time(hours.from), Time(hours.to))?;
            }
        }
        Ok(())
    }
}

/// The same hours of one or more days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Daily {
    days: Days,
    /// The minute of the day.
    from: u16,
    /// The minute of the day, or of the next day if it is no later than `from`.
    to: u16,
}

/// Groups normal spans by the hours of the day.
fn daily(spans: &[(u16, u16)]) -> Vec<Daily> {
    // A span at the end of Sunday continues at the beginning of Monday.
    let turns = match (spans.first(), spans.last()) {
        (Some((0, end)), Some((_, WEEK))) if spans.len() > 1 => Some(*end),
        _ => None,
    };
    let mut by_hours: BTreeMap<(u16, u16), Days> = BTreeMap::new();
    for (mut begin, end) in spans.iter().copied().skip(usize::from(turns.is_some())) {
        let end = if end == WEEK { WEEK + turns.unwrap_or(0) } else { end };
        while begin < end {
            let (day, from) = (begin / DAY, begin % DAY);
            let midnight = (day + 1) * DAY;
            let is_one_night = from > 0 && end - begin < DAY;
            let until = if is_one_night { end } else { end.min(midnight) };
            let to = if until > midnight { until - midnight } else { until + DAY - midnight };
            by_hours.entry((from, to)).or_default().add(day % 7);
            begin = until;
        }
    }
    let mut daily: Vec<Daily> =
        by_hours.into_iter().map(|((from, to), days)| Daily { days, from, to }).collect();
    daily.sort_unstable_by_key(|hours| (hours.days.first(), hours.from, hours.to));
    daily
}

/// A set of days of the week: one bit for each day, from Monday on.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Days(u8);

impl Days {
    fn add(&mut self, day: u16) {
        self.0 |= 1 << day;
    }

    fn has(self, day: usize) -> bool {
        self.0 & (1 << (day % 7)) != 0
    }

    fn first(self) -> u32 {
        self.0.trailing_zeros()
    }
}

/// As `Mon-Fri`, `Mon,Wed` or `Fri-Mon`.
impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: usize| Weekday::ALL.get(day % 7).copied().unwrap_or(Weekday::Sunday);
        let starts_run = |day: usize| self.has(day) && (!self.has(day + 6) || self.0 == 0x7f);
        let mut separator = "";
        for day in (0..7).filter(|day| starts_run(*day)) {
            let last = (day..day + 7).take_while(|day| self.has(*day)).last().unwrap_or(day);
            write!(f, "{separator}{}", name(day))?;
            if last > day {
                write!(f, "-{}", name(last))?;
            }
            if last == day + 6 {
                break;
            }
            separator = ",";
        }
        Ok(())
    }
}

/// A minute of the day, as `09:00`.
struct Time(u16);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}
