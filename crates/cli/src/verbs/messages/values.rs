//! What each variable of a message stands for.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use stagegate::StageName;
use stagegate::model::{Date, FlagPlan, Occasion, StagePeriod, TimeZone, VARIABLES, When};

use super::Due;

/// The values of one flag's variables; those about a message are those of the last
/// [`at`](Values::at).
pub(super) struct Values<'p, 'g> {
    flag: FlagPlan<'p>,
    /// Empty where the rollout has no start.
    periods: Vec<StagePeriod<'p>>,
    given: &'g BTreeMap<&'g str, &'g str>,
    stage: StageName,
    date: Option<Date>,
    /// Whether it is sent on any day, as soon as something happens.
    is_at_once: bool,
}

impl<'p, 'g> Values<'p, 'g> {
    pub(super) fn new(
        flag: FlagPlan<'p>,
        start: Option<Date>,
        given: &'g BTreeMap<&'g str, &'g str>,
    ) -> Values<'p, 'g> {
        let periods = start.map(|start| flag.timeline(start).stages).unwrap_or_default();
        Values { flag, periods, given, stage: StageName::OFF, date: None, is_at_once: true }
    }

    /// From now on they are about this message.
    pub(super) fn at(&mut self, due: &Due<'_>) {
        (self.stage, self.date) = (due.stage, due.date);
        self.is_at_once = matches!(due.message.when, When::RollBack | When::AsNeeded);
    }

    /// What is given outweighs what the document says.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.given.get(name) {
            return Some((*value).to_owned());
        }
        let mut occasion = Occasion::new(self.stage, self.moment());
        occasion.date = self.day();
        occasion.period = days_of(self.stage, &self.periods);
        self.flag.variable(name, &occasion)
    }

    /// The message's day; today where it is sent at once.
    fn day(&self) -> Option<Date> {
        let today = || Date::of(SystemTime::now(), &TimeZone::UTC);
        self.date.or_else(|| self.is_at_once.then(today))
    }

    /// Noon of the message's day, or of the one given in its place. A message without a day: now.
    fn moment(&self) -> SystemTime {
        let given = self.given.get("date").and_then(|date| date.parse().ok());
        given.or(self.date).and_then(noon).unwrap_or_else(SystemTime::now)
    }
}

/// The occasion of a message about a stage on a day.
pub(crate) fn occasion(stage: StageName, date: Date, periods: &[StagePeriod<'_>]) -> Occasion {
    let mut occasion = Occasion::new(stage, noon(date).unwrap_or(SystemTime::UNIX_EPOCH));
    occasion.date = Some(date);
    occasion.period = days_of(stage, periods);
    occasion
}

/// The day a stage begins at the earliest, and the day it ends at the latest.
fn days_of(stage: StageName, periods: &[StagePeriod<'_>]) -> Option<(Date, Date)> {
    let period = periods.iter().find(|period| period.stage == stage)?;
    Some((period.begins.earliest, period.ends.latest))
}

/// 12:00 UTC of a day.
fn noon(date: Date) -> Option<SystemTime> {
    let first: Date = "1970-01-01".parse().ok()?;
    let days = u64::try_from(first.days_until(date)).ok()?;
    let seconds = days.checked_mul(24 * 60 * 60)?.checked_add(12 * 60 * 60)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// What a variable is, in words.
pub(super) fn meaning(name: &str) -> &'static str {
    let known = VARIABLES.iter().find(|(known, _)| *known == name);
    known.map_or("a variable of the plan", |(_, meaning)| meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noon_is_twelve_hours_into_the_day() {
        let at = noon("2026-01-05".parse().expect("in range")).expect("in range");
        assert_eq!(
            jiff::Timestamp::try_from(at).expect("in range").to_string(),
            "2026-01-05T12:00:00Z"
        );
    }
}
