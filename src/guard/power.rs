//! What a stage would find, and how soon.

use std::time::Duration;

use super::Judge;
use super::bets::{ln_spread, told_by_a_trial};
use super::counted::odds_share;
use super::counts::Kind;
use super::trigger::Test;
use crate::plan::model::DeclaredTraffic;

/// What comes to a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests a minute, of all users together.
    pub requests_per_minute: f64,
    /// The share of them that fails where all is well: 0.01 is one in a hundred.
    pub base_error_rate: f64,
}

/// As a document says it.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
/// use stagegate::guard::Traffic;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     traffic = { requests_per_minute = 3000, error_rate = "0.4%" }
/// "#)?;
/// let traffic = Traffic::from(plan.flag("search").unwrap().traffic().unwrap());
/// assert_eq!(traffic, Traffic { requests_per_minute: 3_000.0, base_error_rate: 0.004 });
/// # Ok::<(), stagegate::PlanError>(())
/// ```
impl From<&DeclaredTraffic> for Traffic {
    fn from(declared: &DeclaredTraffic) -> Traffic {
        Traffic {
            requests_per_minute: declared.requests_per_minute as f64,
            base_error_rate: f64::from(declared.error_rate.ppm()) / 1e6,
        }
    }
}

/// What a trigger finds in a stage, in four of five cases.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Power {
    /// The trigger, by its place in the plan, from 0.
    pub trigger: usize,
    /// The smallest error rate, as a multiple of the base rate, that is found within the stage's time;
    /// `None` where none is.
    pub smallest: Option<f64>,
    /// When an error rate of twice the limit is found: twice the number, or twice as many times control's
    /// rate as it allows. `None`: not in a year.
    pub twice_after: Option<Duration>,
}

/// The cases in which it is found by then.
const FOUR_OF_FIVE: f64 = 0.8;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest multiple of the base rate that is looked for.
const LARGEST: f64 = 10_000.0;

impl Judge {
    /// What each trigger on errors finds, of those that a sequential test judges, if the stage lasts so
    /// long and is looked at often. By the time that a Brownian motion with the evidence's drift takes, whose
    /// distribution is inverse Gaussian (Wald 1947); the chapter on guards compares it with simulations.
    ///
    /// # Complexity
    ///
    /// Microseconds a trigger.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use stagegate::Plan;
    /// use stagegate::guard::{Judge, Traffic};
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     triggers = [
    ///         { metric = "error_rate", worse_than_control_by = "50%", no_data = "hold", action = "rollback" },
    ///     ]
    /// "#)?;
    /// let pilot = Judge::new(&plan.flag("search").unwrap(), "pilot").unwrap();
    /// let traffic = Traffic { requests_per_minute: 3_000.0, base_error_rate: 0.01 };
    /// let [in_an_hour, in_a_day] =
    ///     [1, 24].map(|hours| pilot.power(Duration::from_secs(3_600 * hours), traffic)[0].smallest);
    /// assert!(in_a_day.unwrap() < in_an_hour.unwrap());
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn power(&self, lasts: Duration, traffic: Traffic) -> Vec<Power> {
        let most = lasts.as_secs_f64() / 60.0;
        let power = self.limits().map(|(trigger, limit)| {
            let within = |times| self.minutes(limit, times, traffic) <= most;
            let smallest = first(1.0, LARGEST, within);
            Power { trigger, smallest, twice_after: self.twice_after(limit, traffic) }
        });
        power.collect()
    }

    /// The limits on errors that a sequential test judges, and which trigger each is of.
    pub(super) fn limits(&self) -> impl Iterator<Item = (usize, Limit)> {
        self.triggers.iter().enumerate().filter_map(|(trigger, judged)| match judged.test {
            Test::Above { kind: Kind::Errors, limit, .. } => Some((trigger, Limit::Above(limit))),
            Test::Worse { kind: Kind::Errors, times, .. } => Some((trigger, Limit::Worse(times))),
            _ => None,
        })
    }

    /// When an error rate of twice a limit is found, in four of five cases; `None`: not in a year.
    pub(super) fn twice_after(&self, limit: Limit, traffic: Traffic) -> Option<Duration> {
        duration(self.minutes(limit, 2.0 * limit.times_of(traffic.base_error_rate), traffic))
    }

    fn minutes(&self, limit: Limit, times: f64, traffic: Traffic) -> f64 {
        limit.minutes(times, self.share(), traffic, ln_spread() - self.alpha.ln())
    }
}

fn duration(minutes: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
    Some(time).filter(|time| *time <= YEAR)
}

/// What a trigger on errors allows.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// This error rate.
    Above(f64),
    /// So many times control's.
    Worse(f64),
}

impl Limit {
    /// As a multiple of the base rate.
    fn times_of(self, base: f64) -> f64 {
        match self {
            Limit::Above(limit) => limit / base,
            Limit::Worse(times) => times,
        }
    }

    /// Minutes until so many times the base rate are found; infinite where they never are.
    fn minutes(self, times: f64, share: f64, traffic: Traffic, wanted: f64) -> f64 {
        let base = traffic.base_error_rate;
        let failing = (base * times).min(1.0);
        let (trials, truth, p) = match self {
            Limit::Above(limit) => (share, failing, limit),
            Limit::Worse(most) => {
                // Of the errors of both, which are what is tested.
                let (with, without) = (share * failing, (1.0 - share) * base);
                let errors = with + without;
                (errors, with / errors.max(f64::MIN_POSITIVE), odds_share(share, 1.0 - share, most))
            }
        };
        let (mean, variance) = told_by_a_trial(truth, p);
        let a_minute = traffic.requests_per_minute * trials;
        if mean <= 0.0 || a_minute <= 0.0 {
            return f64::INFINITY;
        }
        let found_by = |trials| passed(trials, mean, variance, wanted) >= FOUR_OF_FIVE;
        first(1.0, 1e15, found_by).map_or(f64::INFINITY, |trials| trials / a_minute)
    }
}

/// The least number from which on something holds, to a thousandth of it.
fn first(least: f64, most: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
    let (mut low, mut high) = (least, most);
    if !holds(high) {
        return None;
    }
    while high > low * 1.001 {
        let middle = (low * high).sqrt();
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

/// The probability that a Brownian motion of that drift and variance has reached a level by a time.
fn passed(time: f64, drift: f64, variance: f64, level: f64) -> f64 {
    let deviation = (variance * time).sqrt();
    if deviation == 0.0 {
        return if drift * time >= level { 1.0 } else { 0.0 };
    }
    let above = half_erfc((level - drift * time) / deviation, 0.0);
    above + half_erfc((level + drift * time) / deviation, 2.0 * drift * level / variance)
}

/// `e^log` times the probability that a standard normal deviate is above `x`.
fn half_erfc(x: f64, log: f64) -> f64 {
    let scaled = x.abs() / std::f64::consts::SQRT_2;
    let tail = 0.5 * scaled_erfc(scaled) * (log - scaled * scaled).exp();
    if x < 0.0 { log.exp() - tail } else { tail }
}

/// `e^(x^2) erfc(x)` of what is not negative, to twelve digits: Abramowitz and Stegun 7.1.6 for small ones,
/// where its terms are few and little cancels, and the continued fraction 7.1.14 for others.
fn scaled_erfc(x: f64) -> f64 {
    let root = std::f64::consts::PI.sqrt();
    let steps = (1..=40).rev().map(f64::from);
    if x < 2.0 {
        let series = steps.fold(1.0, |sum, k| 1.0 + 2.0 * x * x / (2.0 * k + 1.0) * sum);
        return (x * x).exp() - 2.0 / root * x * series;
    }
    1.0 / (root * steps.fold(x, |sum, k| x + k / 2.0 / sum))
}

#[cfg(test)]
mod tests {
    use super::super::oracle::{NINE_DIGITS, TWELVE_DIGITS, is_near, number, numbers, rows};
    use super::*;

    #[test]
    fn scaled_tails_are_those_of_scipy() {
        for row in rows("erfcx") {
            let [x, known] = numbers(&row);
            assert!(is_near(scaled_erfc(x), known, TWELVE_DIGITS), "{}: {row}", scaled_erfc(x));
        }
    }

    /// To nine digits: an exponent of half a million is known to the tenth place only.
    #[test]
    fn tails_are_those_of_the_normal_distribution() {
        for row in rows("tail") {
            let [x, log, known] = numbers(&row);
            let found = half_erfc(x, log);
            assert!(is_near(found, known, NINE_DIGITS), "{found}: {row}");
        }
    }

    /// To nine digits, for the same reason.
    #[test]
    fn a_level_is_passed_as_the_inverse_gaussian_distribution_says() {
        for row in rows("passed") {
            let [time, drift, variance, level, known] = numbers(&row);
            let found = passed(time, drift, variance, level);
            assert!(is_near(found, known, NINE_DIGITS), "{found}: {row}");
        }
    }

    /// Never early, and late by the thousandth at most to which it is looked for.
    #[test]
    fn a_fault_is_foretold_by_the_quantile_of_that_distribution() {
        for row in rows("minutes") {
            let [times, share, requests_per_minute, base_error_rate, alpha] =
                [2, 3, 4, 5, 6].map(|column| number(&row[column]));
            let limit = match row[0].as_str() {
                Some("above") => Limit::Above(number(&row[1])),
                _ => Limit::Worse(number(&row[1])),
            };
            let traffic = Traffic { requests_per_minute, base_error_rate };
            let found = limit.minutes(times, share, traffic, ln_spread() - alpha.ln());
            match row[7].as_f64() {
                Some(known) => {
                    let late = found / known - 1.0;
                    assert!((-NINE_DIGITS..=0.001).contains(&late), "{found}: {row}");
                }
                None => assert!(found.is_infinite(), "{found}: {row}"),
            }
        }
    }
}
