//! Recent values of a flag's metrics, measured from counts.

use std::fmt;
use std::time::Duration;

use super::counters::{Arm, Counters, Total};
use super::counts::{Share, Z_95};
use super::histogram::BinCounts;
use super::outcome::Mark;
use super::recent::CountSnapshot;
use super::share_limit::RequestMetric;
use crate::percent::{PPM, Percent};
use crate::plan::model::{Better, Quantity};

/// The recent value of a metric that the guard counts.
///
/// It covers the last hour, or as much more of the stage as 100 requests take. It includes all requests of users with
/// the flag, also of listed users and of users with earlier errors. Triggers are judged by other counts
/// (`docs/guards.md`). While the flag is off, the value covers all users.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::guard::{Guard, Outcome};
/// use stagegate::{Gate, Plan};
///
/// let plan = Plan::parse("schema = 1\n[flags.search]\nstage = \"ga\"")?;
/// let guard = Guard::new(&Gate::from_plan(&plan), plan);
/// guard.look(Duration::ZERO);
/// let search = guard.flag("search");
/// for user in 0..1_000 {
///     search.record(user, if user < 20 { Outcome::error() } else { Outcome::ok() });
/// }
/// let measured = &guard.look(Duration::from_secs(10))[0].measured[0];
/// assert_eq!(measured.to_string(), "error_rate is 2% (1.2984% to 3.069%), of 1000 requests");
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The metric's name.
    pub metric: Box<str>,
    /// A share, rounded to a millionth in the worse direction; or a latency percentile, rounded up to the end of its
    /// bin (a sixteenth) and to a whole millisecond.
    pub value: Quantity,
    /// The 95% confidence interval: lower and upper bound.
    pub interval: (Quantity, Quantity),
    /// The value for users who lack the flag because of their bucket, if there are enough of their requests.
    pub control: Option<Quantity>,
    /// The number of requests measured.
    pub samples: u64,
}

/// Writes, for example, `error_rate is 0.4% (0.35% to 0.46%), 0.39% without the flag, of 52000 requests`.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measurement { metric, value, interval: (low, high), control, samples } = self;
        write!(f, "{metric} is {value} ({low} to {high})")?;
        if let Some(control) = control {
            write!(f, ", {control} without the flag")?;
        }
        write!(f, ", of {samples} requests")
    }
}

/// Requests that a measurement needs. With fewer, a single request changes a share by more than 1%.
const MIN_REQUESTS: u64 = 100;

/// A metric that the guard measures.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MeasuredMetric {
    pub(super) name: Box<str>,
    pub(super) kind: RequestMetric,
    pub(super) better: Option<Better>,
    /// The mark, for a marked share.
    pub(super) mark: Mark,
}

/// Returns the arms to measure: those with the flag, or all while the flag is off.
pub(super) fn arms(is_off: bool) -> &'static [Arm] {
    const WITH: &[Arm] = &[Arm::Treatment, Arm::Listed];
    const ALL: &[Arm] = &[Arm::Treatment, Arm::Listed, Arm::Control, Arm::Excluded];
    if is_off { ALL } else { WITH }
}

/// Returns the number of requests between two moments.
pub(super) fn requests(counters: &Counters, is_off: bool, between: [&Total; 2]) -> u64 {
    arms(is_off).iter().map(|arm| counters.hits_and_requests(*arm, None, between).1).sum()
}

/// Returns whether these requests are enough to measure a metric.
pub(super) fn is_enough(requests: u64) -> bool {
    requests >= MIN_REQUESTS
}

/// Measures a metric between two moments. `None` if there are too few requests.
pub(super) fn measure(
    metric: &MeasuredMetric,
    counters: &Counters,
    is_off: bool,
    [before, now]: [&CountSnapshot; 2],
) -> Option<Measurement> {
    let between = [&before.total, &now.total];
    let mark = (metric.kind == RequestMetric::Marked).then_some(metric.mark);
    let share_of = |arms: &[Arm]| {
        let mut share = Share::default();
        for arm in arms {
            let (hits, of) = counters.hits_and_requests(*arm, mark, between);
            share.add(Share { hits, of });
        }
        Some(share).filter(|share| is_enough(share.of))
    };
    let (value, interval, control, samples) = match metric.kind {
        RequestMetric::Latency(slower) => {
            let mut took = now.with.since(&before.with);
            let without = now.without.since(&before.without);
            if is_off {
                took.add(&without);
            }
            let quantile = |bins: &BinCounts| {
                let counts = Some(bins).filter(|bins| is_enough(bins.count()))?;
                Some(counts.quantile_interval(1.0 - slower)?.map(millis))
            };
            let [low, value, high] = quantile(&took)?;
            let control = if is_off { None } else { quantile(&without) };
            (value, (low, high), control.map(|[_, value, _]| value), took.count())
        }
        RequestMetric::Errors | RequestMetric::Marked => {
            let share = share_of(arms(is_off))?;
            let (low, high) = share.interval(Z_95);
            let control = if is_off { None } else { share_of(&[Arm::Control]) };
            let interval = (percent(low), percent(high));
            let rounded_to_worse = |share: Share| rounded_to_worse(share, metric.better);
            (rounded_to_worse(share), interval, control.map(rounded_to_worse), share.of)
        }
    };
    Some(Measurement { metric: metric.name.clone(), value, interval, control, samples })
}

/// Rounds a share in the worse direction: down if more is better, else up.
fn rounded_to_worse(share: Share, better: Option<Better>) -> Quantity {
    let (hits, of) = (u128::from(share.hits) * u128::from(PPM), u128::from(share.of.max(1)));
    let ppm = if better == Some(Better::More) { hits / of } else { hits.div_ceil(of) };
    of_ppm(u32::try_from(ppm).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share, between 0 and 1"
)]
fn percent(share: f64) -> Quantity {
    of_ppm((share * f64::from(PPM)).round() as u32)
}

fn of_ppm(ppm: u32) -> Quantity {
    Quantity::Percent(Percent::from_ppm(ppm).unwrap_or(Percent::ALL))
}

/// Rounds up to a whole millisecond, at least one: the precision of durations in documents.
fn millis(time: Duration) -> Quantity {
    let millis = time.as_nanos().div_ceil(1_000_000).max(1);
    Quantity::Duration(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}
