//! The values of the variables in messages.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use stagegate::StageName;
use stagegate::model::{Date, FlagPlan, Occasion, StagePeriod, TimeZone, VARIABLES, When};

use super::Due;

/// The values of a flag's variables for one message, which [`at`](Values::at) selects.
pub(super) struct Values<'p, 'g> {
    flag: FlagPlan<'p>,
    /// Empty if the rollout has no start.
    periods: Vec<StagePeriod<'p>>,
    given: &'g BTreeMap<&'g str, &'g str>,
    stage: StageName,
    date: Option<Date>,
    /// Whether the message is sent as soon as something happens, on any day.
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

    /// Selects a message. Later values are for it.
    pub(super) fn at(&mut self, due: &Due<'_>) {
        (self.stage, self.date) = (due.stage, due.date);
        self.is_at_once = matches!(due.message.when, When::Rollback | When::AsNeeded);
    }

    /// Returns the value of a variable. A value from `--set` wins over the document's.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.given.get(name) {
            return Some((*value).to_owned());
        }
        let mut occasion = Occasion::new(self.stage, self.moment());
        occasion.date = self.day();
        occasion.period = days_of(self.stage, &self.periods);
        self.flag.variable(name, &occasion)
    }

    /// Returns the message's day, or today for a message that is sent at once.
    fn day(&self) -> Option<Date> {
        let today = || Date::of(SystemTime::now(), &TimeZone::UTC);
        self.date.or_else(|| self.is_at_once.then(today))
    }

    /// Returns noon of the given `date` or else of the message's day. Without a day, returns now.
    fn moment(&self) -> SystemTime {
        let given = self.given.get("date").and_then(|date| date.parse().ok());
        given.or(self.date).and_then(noon).unwrap_or_else(SystemTime::now)
    }
}

/// Returns the occasion of a message about a stage on a day.
pub(crate) fn occasion(stage: StageName, date: Date, periods: &[StagePeriod<'_>]) -> Occasion {
    let mut occasion = Occasion::new(stage, noon(date).unwrap_or(SystemTime::UNIX_EPOCH));
    occasion.date = Some(date);
    occasion.period = days_of(stage, periods);
    occasion
}

/// Returns the earliest day on which a stage begins, and the latest day on which it ends.
fn days_of(stage: StageName, periods: &[StagePeriod<'_>]) -> Option<(Date, Date)> {
    let period = periods.iter().find(|period| period.stage == stage)?;
    Some((period.begins.earliest, period.ends.latest))
}

/// Returns 12:00 UTC of a day.
fn noon(date: Date) -> Option<SystemTime> {
    let first: Date = "1970-01-01".parse().ok()?;
    let days = u64::try_from(first.days_until(date)).ok()?;
    let seconds = days.checked_mul(24 * 60 * 60)?.checked_add(12 * 60 * 60)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Returns the meaning of a variable, in words.
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
