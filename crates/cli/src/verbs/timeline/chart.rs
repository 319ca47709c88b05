//! The layout of a chart: positions of days on an axis, and widths of texts.

use stagegate::model::Date;

/// A horizontal axis of days, in whole pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    first: Date,
    days: i64,
    left: i64,
    width: i64,
}

/// A labelled mark on the axis.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tick {
    pub(super) date: Date,
    pub(super) label: String,
}

/// The least distance between two ticks, in pixels, so that their labels fit.
const MIN_TICK_WIDTH: i64 = 64;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Axis {
    /// Returns an axis from the beginning of the first day to the end of the last.
    pub(super) fn new(first: Date, last: Date, left: i64, width: i64) -> Axis {
        let days = i64::from(first.days_until(last)).max(0) + 1;
        Axis { first, days, left, width }
    }

    /// Returns the pixel at which a day begins. A day beyond the axis gets the nearest end.
    pub(super) fn x(&self, date: Date) -> i64 {
        let days = i64::from(self.first.days_until(date)).clamp(0, self.days);
        self.left + days * self.width / self.days
    }

    /// Returns the pixel at which a day ends.
    pub(super) fn end_of(&self, date: Date) -> i64 {
        let days = (i64::from(self.first.days_until(date)) + 1).clamp(0, self.days);
        self.left + days * self.width / self.days
    }

    /// Returns whether a single day is wide enough to be visible.
    pub(super) fn shows_days(&self) -> bool {
        self.width >= self.days * 4
    }

    pub(super) fn dates(&self) -> impl Iterator<Item = Date> + use<> {
        let first = self.first;
        (0..self.days).filter_map(move |day| Some(first.plus_days(i32::try_from(day).ok()?)))
    }

    /// Returns ticks with the smallest step at which the labels fit.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let fits = |days: i64| self.width * days >= MIN_TICK_WIDTH * self.days;
        match [1, 2, 7, 14].into_iter().find(|days| fits(*days)) {
            Some(step) => self.days_apart(step),
            None => {
                let steps = [1, 2, 3, 6, 12, 24, 60, 120, 600, 1200];
                let step = steps.into_iter().find(|months| fits(i64::from(*months) * 28));
                self.months_apart(step.unwrap_or(12_000))
            }
        }
    }

    /// Returns a tick every `step` days. Steps of whole weeks start on a Monday.
    fn days_apart(&self, step: i64) -> Vec<Tick> {
        let monday = stagegate::model::Weekday::Monday;
        let from = if step % 7 == 0 {
            self.dates().position(|date| date.weekday() == monday)
        } else {
            Some(0)
        };
        let dates = self.dates().skip(from.unwrap_or(0));
        let dates = dates.step_by(usize::try_from(step).unwrap_or(1));
        dates.map(|date| Tick { date, label: format!("{} {}", date.day(), month(date)) }).collect()
    }

    /// Returns a tick every `step` months, counted from January, so that ticks match quarters and years.
    fn months_apart(&self, step: u32) -> Vec<Tick> {
        let first = u32::from(self.first.year()) * 12 + u32::from(self.first.month()) - 1;
        // A month that began before the first day gets no tick.
        let first = if self.first.day() == 1 { first } else { first + 1 };
        let last = self.first.plus_days(i32::try_from(self.days - 1).unwrap_or(i32::MAX));
        let months = (first.next_multiple_of(step)..).step_by(usize::try_from(step).unwrap_or(1));
        let date = |month: u32| format!("{:04}-{:02}-01", month / 12, month % 12 + 1).parse().ok();
        let dates = months.map_while(date).take_while(|date: &Date| *date <= last);
        let label = |date: Date| match step {
            12.. => date.year().to_string(),
            _ => format!("{} {}", month(date), date.year()),
        };
        dates.map(|date| Tick { date, label: label(date) }).collect()
    }
}

fn month(date: Date) -> &'static str {
    MONTHS.get(usize::from(date.month()) - 1).copied().unwrap_or_default()
}

/// Cuts a text to a width in pixels. `font` is the font size in pixels; the font itself is unknown.
pub(super) fn truncated(text: &str, width: i64, font: i64) -> String {
    if width_of(text, font) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        if width_of(&kept, font) + width_of("…", font) > width {
            kept.pop();
            break;
        }
    }
    format!("{}…", kept.trim_end())
}

/// Returns an upper bound for the width of a text, in pixels.
pub(super) fn width_of(text: &str, font: i64) -> i64 {
    let hundredths: i64 = text.chars().map(width_of_char).sum();
    (hundredths * font + 99) / 100
}

/// Returns an upper bound for the width of a character, in hundredths of the font size.
fn width_of_char(c: char) -> i64 {
    match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | ' ' | '.' | ',' | ':' | ';' | '|' | '\''
        | '!' => 42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '–' | '…' => 100,
        'A'..='Z' | '&' => 76,
        c if c.is_ascii() => 62,
        // Chinese characters and emoji are as wide as they are high.
        _ => 105,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn axis(first: &str, days: i32) -> Axis {
        let first: Date = first.parse().unwrap();
        Axis::new(first, first.plus_days(days - 1), 100, 700)
    }

    #[test]
    fn days_are_placed_by_their_number() {
        let axis = axis("2026-01-05", 7);
        let day = |text: &str| axis.x(text.parse().unwrap());
        assert_eq!((day("2026-01-05"), day("2026-01-06"), day("2026-01-12")), (100, 200, 800));
        assert_eq!((day("2025-12-01"), day("2027-01-01")), (100, 800));
        assert_eq!(axis.end_of("2026-01-11".parse().unwrap()), 800);
    }

    #[test]
    fn tick_labels_fit_and_start_at_weeks_months_or_years() {
        let labels = |first: &str, days: i32| -> Vec<String> {
            axis(first, days).ticks().into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels("2026-01-05", 7).len(), 7);
        assert_eq!(labels("2026-01-05", 7)[0], "5 Jan");
        // Weeks, from the first Monday.
        assert_eq!(labels("2026-01-01", 60)[..2], ["5 Jan", "12 Jan"]);
        assert_eq!(labels("2026-01-15", 200)[..2], ["Feb 2026", "Mar 2026"]);
        assert_eq!(labels("2026-01-15", 730)[..2], ["Apr 2026", "Jul 2026"]);
        assert_eq!(labels("2026-01-15", 3650)[..2], ["2027", "2028"]);
        for days in (1..4000).step_by(13) {
            let axis = axis("2026-02-28", days);
            let ticks = axis.ticks();
            let places: Vec<i64> = ticks.iter().map(|tick| axis.x(tick.date)).collect();
            assert!(
                places.windows(2).all(|two| two[1] - two[0] >= MIN_TICK_WIDTH - 1),
                "{days}: {places:?}"
            );
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(truncated("pilot", 100, 13), "pilot");
        assert_eq!(truncated("a very long name of a stage", 100, 13), "a very long…");
        assert_eq!(truncated("東京東京東京東京", 60, 13), "東京東…");
        assert_eq!(truncated("x", 0, 13), "…");
    }
}
