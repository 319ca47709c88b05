//! The power of triggers: how soon a stage finds a fault.

use std::time::Duration;

use super::Judge;
use super::bets::{evidence_per_trial, ln_spread};
use super::counts::ShareKind;
use super::share_limit::{fraction, odds_share};
use super::trigger::Test;
use crate::plan::model::DeclaredTraffic;

/// The traffic of a service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests per minute of all users together.
    pub requests_per_minute: f64,
    /// The share of requests that fails in a healthy service: 0.01 is one in a hundred.
    pub base_error_rate: f64,
}

/// Converts the traffic that a document declares.
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
            base_error_rate: fraction(declared.error_rate.ppm()),
        }
    }
}

/// The faults that a trigger finds in a stage, in four of five cases.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Power {
    /// The trigger's index in the plan, from 0.
    pub trigger: usize,
    /// The smallest error rate that the trigger finds within the stage's time, as a multiple of the base rate. `None`
    /// if it finds no fault in that time.
    pub smallest: Option<f64>,
    /// Time until the trigger finds an error rate of twice its limit. `None` if that takes more than a year. The limit
    /// of a comparison is the multiple of control's rate that it allows.
    pub twice_after: Option<Duration>,
}

/// The probability with which a fault is found by the forecast time.
const FOUR_OF_FIVE: f64 = 0.8;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The largest multiple of the base rate that is tried.
const LARGEST: f64 = 10_000.0;

impl Judge {
    /// Forecasts the faults that each trigger on errors finds in a stage of this duration with frequent looks.
    ///
    /// This covers triggers that judge at once, without `for`. The forecast treats the evidence as a Brownian motion
    /// with the same drift and variance. The time until such a motion reaches a level has an inverse Gaussian
    /// distribution (Wald 1947). `docs/guards.md` compares the forecast with simulations.
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
        let max_minutes = lasts.as_secs_f64() / 60.0;
        let power = self.limits().map(|(trigger, limit)| {
            let within = |times| self.minutes(limit, times, traffic) <= max_minutes;
            let smallest = smallest_where(1.0, LARGEST, within);
            Power { trigger, smallest, twice_after: self.twice_after(limit, traffic) }
        });
        power.collect()
    }

    /// Returns the limits on errors that judge at once, each with the trigger's index.
    pub(super) fn limits(&self) -> impl Iterator<Item = (usize, ErrorLimit)> {
        self.triggers.iter().enumerate().filter_map(|(trigger, judge)| match judge.test {
            Test::Above { kind: ShareKind::Errors, limit, .. } => {
                Some((trigger, ErrorLimit::Above(limit)))
            }
            Test::Worse { kind: ShareKind::Errors, times, .. } => {
                Some((trigger, ErrorLimit::Worse(times)))
            }
            _ => None,
        })
    }

    /// Returns the time until an error rate of twice the limit is found in four of five cases, or `None` if that takes
    /// more than a year.
    pub(super) fn twice_after(&self, limit: ErrorLimit, traffic: Traffic) -> Option<Duration> {
        duration(self.minutes(limit, 2.0 * limit.times_of(traffic.base_error_rate), traffic))
    }

    fn minutes(&self, limit: ErrorLimit, times: f64, traffic: Traffic) -> f64 {
        limit.minutes(times, self.share(), traffic, ln_spread() - self.alpha.ln())
    }
}

fn duration(minutes: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
    Some(time).filter(|time| *time <= YEAR)
}

/// The limit of a trigger on errors.
#[derive(Clone, Copy)]
pub(super) enum ErrorLimit {
    /// At most this error rate.
    Above(f64),
    /// At most this many times control's error rate.
    Worse(f64),
}

impl ErrorLimit {
    /// Returns the limit as a multiple of the base rate.
    fn times_of(self, base: f64) -> f64 {
        match self {
            ErrorLimit::Above(limit) => limit / base,
            ErrorLimit::Worse(times) => times,
        }
    }

    /// Returns the minutes until an error rate of `times` the base rate is found, or infinity if it never is.
    ///
    /// `share` is the share of users with the flag, and `evidence` the natural logarithm of the evidence needed.
    fn minutes(self, times: f64, share: f64, traffic: Traffic, evidence: f64) -> f64 {
        let base = traffic.base_error_rate;
        let failing = (base * times).min(1.0);
        let (trials, truth, p) = match self {
            ErrorLimit::Above(limit) => (share, failing, limit),
            ErrorLimit::Worse(most) => {
                // The test looks at the errors of both arms, and asks which of them are treatment's.
                let (with, without) = (share * failing, (1.0 - share) * base);
                let errors = with + without;
                (errors, with / errors.max(f64::MIN_POSITIVE), odds_share(share, 1.0 - share, most))
            }
        };
        let (mean, variance) = evidence_per_trial(truth, p);
        let trials_per_minute = traffic.requests_per_minute * trials;
        if mean <= 0.0 || trials_per_minute <= 0.0 {
            return f64::INFINITY;
        }
        let found_by =
            |trials| probability_reached(trials, mean, variance, evidence) >= FOUR_OF_FIVE;
        smallest_where(1.0, 1e15, found_by)
            .map_or(f64::INFINITY, |trials| trials / trials_per_minute)
    }
}

/// Returns the smallest number for which `holds`, at most a thousandth too large. `holds` must be monotonic.
fn smallest_where(least: f64, most: f64, holds: impl Fn(f64) -> bool) -> Option<f64> {
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

/// Returns the probability that a Brownian motion with this drift and variance per unit of time has reached `level`
/// by `time`.
fn probability_reached(time: f64, drift: f64, variance: f64, level: f64) -> f64 {
    let deviation = (variance * time).sqrt();
    if deviation == 0.0 {
        return if drift * time >= level { 1.0 } else { 0.0 };
    }
    let above = scaled_tail((level - drift * time) / deviation, 0.0);
    above + scaled_tail((level + drift * time) / deviation, 2.0 * drift * level / variance)
}

/// Returns `e^log` times the probability that a standard normal variable is above `x`.
fn scaled_tail(x: f64, log: f64) -> f64 {
    let scaled = x.abs() / std::f64::consts::SQRT_2;
    let tail = 0.5 * scaled_erfc(scaled) * (log - scaled * scaled).exp();
    if x < 0.0 { log.exp() - tail } else { tail }
}

/// Returns `e^(x^2) erfc(x)` for `x` of 0 or more, to twelve digits (`erfc` is the complementary error function).
///
/// For `x` below 2 it uses the series in Abramowitz and Stegun 7.1.6, which has few terms and little cancellation
/// there. For larger `x` it uses their continued fraction 7.1.14.
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
    fn scaled_erfc_is_that_of_scipy() {
        for row in rows("erfcx") {
            let [x, known] = numbers(&row);
            assert!(is_near(scaled_erfc(x), known, TWELVE_DIGITS), "{}: {row}", scaled_erfc(x));
        }
    }

    /// Nine digits: an exponent of half a million is accurate to ten decimals only.
    #[test]
    fn tails_are_those_of_the_normal_distribution() {
        for row in rows("tail") {
            let [x, log, known] = numbers(&row);
            let found = scaled_tail(x, log);
            assert!(is_near(found, known, NINE_DIGITS), "{found}: {row}");
        }
    }

    /// Nine digits, for the same reason.
    #[test]
    fn a_level_is_reached_as_the_inverse_gaussian_distribution_says() {
        for row in rows("passed") {
            let [time, drift, variance, level, known] = numbers(&row);
            let found = probability_reached(time, drift, variance, level);
            assert!(is_near(found, known, NINE_DIGITS), "{found}: {row}");
        }
    }

    /// The forecast is never early. It is late by at most a thousandth, the precision of the search.
    #[test]
    fn the_forecast_is_the_quantile_of_that_distribution() {
        for row in rows("minutes") {
            let [times, share, requests_per_minute, base_error_rate, alpha] =
                [2, 3, 4, 5, 6].map(|column| number(&row[column]));
            let limit = match row[0].as_str() {
                Some("above") => ErrorLimit::Above(number(&row[1])),
                _ => ErrorLimit::Worse(number(&row[1])),
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
