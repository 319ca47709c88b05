//! The days on which a calendar allows promotions.

use crate::plan::model::calendar::{Calendar, Freeze};
use crate::plan::model::time::date::Date;

/// The open days of a calendar, prepared for many searches. Without a calendar every day is open.
pub(in crate::plan::model) struct OpenDays<'p> {
    calendar: Option<&'p Calendar>,
    /// For each freeze, in order of their first days: the freeze that ends last, among this one and all before it.
    /// Freezes may overlap. With this index a search looks at one freeze only.
    longest: Vec<&'p Freeze>,
}

/// The first open day on or after a day.
#[derive(Clone, Copy, Debug)]
pub(in crate::plan) struct Opening<'p> {
    /// The first open day, if there were no freezes.
    pub(in crate::plan) wished: Date,
    /// The freeze on the wished day.
    pub(in crate::plan) freeze: Option<&'p Freeze>,
    /// The first open day.
    pub(in crate::plan) date: Date,
}

impl<'p> OpenDays<'p> {
    pub(in crate::plan::model) fn of(calendar: Option<&'p Calendar>) -> OpenDays<'p> {
        let mut longest: Vec<&Freeze> = Vec::new();
        for freeze in calendar.into_iter().flat_map(|calendar| &calendar.freezes) {
            let before = longest.last().copied().filter(|before| before.to >= freeze.to);
            longest.push(before.unwrap_or(freeze));
        }
        OpenDays { calendar, longest }
    }

    /// Finds the first open day on or after a day. It exists, because freezes end. The search stops at the last date.
    pub(in crate::plan::model) fn from(&self, date: Date) -> Opening<'p> {
        let wished = self.weekday_from(date);
        let mut date = wished;
        while let Some(freeze) = self.freeze_on(date) {
            let after = self.weekday_from(freeze.to.plus_days(1));
            if after <= date {
                break;
            }
            date = after;
        }
        Opening { wished, freeze: self.freeze_on(wished), date }
    }

    /// Finds the first day on which the calendar has hours.
    fn weekday_from(&self, date: Date) -> Date {
        let Some(calendar) = self.calendar else { return date };
        let mut week = (0..7).map(|days| date.plus_days(days));
        week.find(|day| calendar.hours.touch(day.weekday())).unwrap_or(date)
    }

    fn freeze_on(&self, date: Date) -> Option<&'p Freeze> {
        let freezes = self.calendar.map_or(&[][..], |calendar| &calendar.freezes);
        let begun = freezes.partition_point(|freeze| freeze.from <= date);
        let longest = self.longest.get(begun.checked_sub(1)?).copied();
        longest.filter(|freeze| date <= freeze.to)
    }
}
