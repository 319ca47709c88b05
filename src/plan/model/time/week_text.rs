//! The reader of hours of the week.

use thiserror::Error;

use crate::plan::error::Excerpt;
use crate::plan::fields::{array, text};
use crate::plan::limits::MAX_ITEMS;
use crate::plan::model::time::date::Weekday;
use crate::plan::model::time::week::{DAY, WeekHours};
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// Reads a list of hours. `None` if any entry is wrong, which is reported.
pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<WeekHours> {
    let hint = "write a list: [\"Mon-Fri 09:00-18:00\", \"Sat\"]";
    let items = array(node, path, hint, report)?;
    if items.is_empty() {
        let hint = "write at least one, or leave `hours` out for every hour of the week";
        report.found(node, path, "not hours of the week", hint);
        return None;
    }
    if items.len() > MAX_ITEMS {
        let message = format!("found {} entries, more than {MAX_ITEMS}", items.len());
        report.problem(node.span.clone(), path, message, "leave some out");
        return None;
    }
    let mut spans = Vec::with_capacity(items.len());
    let mut good = 0;
    for (index, item) in items.iter().enumerate() {
        let path = path.index(index);
        let Some(text) = text(item, &path, report) else { continue };
        match parse(text, &mut spans) {
            Ok(()) => good += 1,
            Err(error) => report.found(item, &path, error, error.hint()),
        }
    }
    (good == items.len()).then(|| WeekHours::of(spans))
}

/// Adds the minutes of a text such as `Mon-Fri 09:00-18:00`.
fn parse<'t>(text: &'t str, spans: &mut Vec<(u16, u16)>) -> Result<(), WeekHoursError<'t>> {
    if text.contains(['–', '—', '−']) {
        return Err(WeekHoursError::Dash);
    }
    let mut words = text.split_whitespace();
    let days = words.next().ok_or(WeekHoursError::Form)?;
    // Check the days first: the mistake in `Mon, Tue 09:00-12:00` is in the days.
    let days: Vec<(u16, u16)> = days.split(',').map(parse_days).collect::<Result<_, _>>()?;
    let (from, to) = match words.next() {
        Some(hours) => parse_hours(hours)?,
        None => (0, DAY),
    };
    if words.next().is_some() {
        return Err(WeekHoursError::Form);
    }
    let length = if to > from { to - from } else { to + DAY - from };
    for (first, last) in days {
        let count = (last + 7 - first) % 7 + 1;
        let begins = (first..first + count).map(|day| day % 7 * DAY + from);
        spans.extend(begins.map(|begin| (begin, begin + length)));
    }
    Ok(())
}

/// Reads `Mon-Fri` or `Mon`. Returns the numbers of the first and the last day.
fn parse_days(text: &str) -> Result<(u16, u16), WeekHoursError<'_>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok((parse_day(first)?, parse_day(last)?))
}

/// Returns the number of the day, 0 for Monday.
fn parse_day(text: &str) -> Result<u16, WeekHoursError<'_>> {
    let mut days = (0..).zip(Weekday::ALL);
    let found = days.find(|(_, day)| day.short_name() == text);
    let wrong = if text.is_empty() { WeekHoursError::NoDay } else { WeekHoursError::Day(text) };
    found.map(|(number, _)| number).ok_or(wrong)
}

/// Reads `09:00-18:00`. Returns minutes of the day; an end no later than the beginning is on the next day.
fn parse_hours(text: &str) -> Result<(u16, u16), WeekHoursError<'_>> {
    let (from, to) = text.split_once('-').ok_or(WeekHoursError::Hours(text))?;
    match (parse_time(from), parse_time(to)) {
        (Some(DAY) | None, _) => Err(WeekHoursError::Time(from)),
        (_, None) => Err(WeekHoursError::Time(to)),
        (Some(from), Some(to)) => Ok((from, to)),
    }
}

/// Reads `00:00` to `24:00`, with two digits each.
fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let is_number = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        is_number.then(|| digits.parse::<u16>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes).filter(|minute| *minute <= DAY)
}

/// The reason why a text is not hours of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
enum WeekHoursError<'t> {
    #[error("with a day missing")]
    NoDay,
    #[error("with `{}`, not a day of the week", Excerpt(.0))]
    Day(&'t str),
    #[error("with `{}`, not hours of a day", Excerpt(.0))]
    Hours(&'t str),
    #[error("with `{}`, not a time of day", Excerpt(.0))]
    Time(&'t str),
    #[error("with another dash than `-`")]
    Dash,
    #[error("not days and hours of the week")]
    Form,
}

impl WeekHoursError<'_> {
    fn hint(self) -> &'static str {
        match self {
            WeekHoursError::NoDay => {
                "write days without spaces, for example \"Mon-Fri\" or \"Mon,Wed,Fri\""
            }
            WeekHoursError::Day(_) => {
                "write Mon, Tue, Wed, Thu, Fri, Sat or Sun, for example \"Mon-Fri 09:00-18:00\""
            }
            WeekHoursError::Time(_) => {
                "write two digits each, for example \"09:00-18:00\"; only an end may be \"24:00\""
            }
            WeekHoursError::Dash => "write \"-\" between days and between times",
            WeekHoursError::Hours(_) | WeekHoursError::Form => {
                "write days, then hours: \"Mon-Fri 09:00-18:00\", or only days: \"Sat\""
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::model::time::week::WEEK;
    use proptest::prelude::*;

    fn hours<'t>(texts: impl IntoIterator<Item = &'t str>) -> WeekHours {
        let mut spans = Vec::new();
        for text in texts {
            assert_eq!(parse(text, &mut spans), Ok(()), "{text}");
        }
        WeekHours::of(spans)
    }

    #[test]
    fn hours_print_as_a_document_writes_them() {
        for (texts, printed) in [
            (&["Mon-Fri 09:00-18:00", "Sat"][..], "Mon-Fri 09:00-18:00, Sat"),
            (&["Mon-Sun"], "Mon-Sun"),
            (&["Wed-Tue 00:00-00:00"], "Mon-Sun"),
            (&["Fri-Mon"], "Fri-Mon"),
            (&["Sat", "Fri", "Wed", "Mon"], "Mon,Wed,Fri-Sat"),
            (&["Mon,Wed,Fri 10:00-12:00"], "Mon,Wed,Fri 10:00-12:00"),
            (&["Mon-Fri 18:00-09:00"], "Mon-Fri 18:00-09:00"),
            (&["Sun 18:00-09:00"], "Sun 18:00-09:00"),
            (&["Sun 18:00-18:00"], "Mon 00:00-18:00, Sun 18:00-24:00"),
            (&["Mon-Sun 18:00-18:00"], "Mon-Sun"),
            (&["Fri 18:00-24:00", "Sat"], "Fri 18:00-24:00, Sat"),
            (&["Mon 09:00-12:00", "Mon 11:00-18:00"], "Mon 09:00-18:00"),
            (&["Mon 09:00-12:00", "Mon 12:00-18:00"], "Mon 09:00-18:00"),
            (&["Mon 00:00-00:01", "Sun 23:59-24:00"], "Sun 23:59-00:01"),
            (
                &["Mon-Fri 13:00-18:00", "Mon-Fri 09:00-12:00"],
                "Mon-Fri 09:00-12:00, Mon-Fri 13:00-18:00",
            ),
            (
                &["Fri 18:00-24:00", "Sat-Sun", "Mon 00:00-09:00"],
                "Mon 00:00-09:00, Fri 18:00-24:00, Sat-Sun",
            ),
        ] {
            assert_eq!(hours(texts.iter().copied()).to_string(), printed, "{texts:?}");
        }
    }

    #[test]
    fn only_days_and_hours_are_hours() {
        use WeekHoursError::{Dash, Day, Form, Hours, NoDay, Time};
        for (text, error) in [
            ("", Form),
            ("mon", Day("mon")),
            ("Monday", Day("Monday")),
            ("09:00-18:00", Day("09:00")),
            ("Mon, Tue 09:00-10:00", NoDay),
            ("Mon-", NoDay),
            ("Mon-Wed-Fri", Day("Wed-Fri")),
            ("Mon,,Tue", NoDay),
            ("Mon–Tue 09:00-10:00", Dash),
            ("Mon 9:00-18:00", Time("9:00")),
            ("Mon 09:00-24:01", Time("24:01")),
            ("Mon 24:00-09:00", Time("24:00")),
            ("Mon 09:60-10:00", Time("09:60")),
            ("Mon 09:00-1x:00", Time("1x:00")),
            ("Mon 09:00-+1:00", Time("+1:00")),
            ("Mon 09:00", Hours("09:00")),
            ("Mon 09:00-10:00 11:00-12:00", Form),
        ] {
            assert_eq!(parse(text, &mut Vec::new()), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_hour_is_what_the_spans_say(
            spans in prop::collection::vec((0..WEEK, 1..=WEEK), 1..8),
        ) {
            let spans: Vec<_> = spans.iter().map(|(begin, len)| (*begin, begin + len)).collect();
            let week = WeekHours::of(spans.iter().copied());
            let printed = week.to_string();
            prop_assert_eq!(&hours(printed.split(", ")), &week, "{}", printed);
            for minute in 0..WEEK {
                let is_in = |(begin, end): &(u16, u16)| {
                    (*begin..*end).contains(&minute) || (*begin..*end).contains(&(minute + WEEK))
                };
                let naive = spans.iter().any(is_in);
                prop_assert_eq!(week.contains(minute), naive);
            }
        }

        #[test]
        fn hours_contain_others_minute_by_minute(
            spans in prop::collection::vec((0..WEEK, 1..=WEEK), 1..4),
            others in prop::collection::vec((0..WEEK, 1..=200_u16), 1..3),
        ) {
            let hours = |spans: &[(u16, u16)]| {
                WeekHours::of(spans.iter().map(|(begin, len)| (*begin, begin + len)))
            };
            let (hours, others) = (hours(&spans), hours(&others));
            let naive = (0..WEEK).all(|minute| hours.contains(minute) || !others.contains(minute));
            prop_assert_eq!(hours.contain(&others), naive);
            let both = hours.with(&others);
            prop_assert!(both.contain(&hours) && both.contain(&others));
            for minute in 0..WEEK {
                let naive = hours.contains(minute) || others.contains(minute);
                prop_assert_eq!(both.contains(minute), naive);
            }
        }
    }
}
