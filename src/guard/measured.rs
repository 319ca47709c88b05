//! What a flag's metrics have come to lately, as numbers.

use std::fmt;
use std::time::Duration;

use super::counted::Measured;
use super::counters::{Arm, Counters, Total};
use super::counts::Share;
use super::histogram::Classes;
use super::outcome::Mark;
use super::recent::Snapshot;
use crate::percent::Percent;
use crate::plan::model::{Better, Quantity};

/// What a metric that is counted where requests are served has come to: in the last hour, or in as much more of
/// the stage as it takes for 100 requests.
///
/// It is of all requests of those who have the flag, by a list too, and of users who had errors before: what
/// people mean by an error rate. Triggers are judged by other counts (`docs/guards.md`). While the flag is off it is of
/// everybody.
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
    /// A share, rounded to a millionth towards the worse; or a percentile of latencies, rounded up to a sixteenth and a whole
    /// millisecond.
    pub value: Quantity,
    /// Between which two the value is with a certainty of 95%.
    pub between: (Quantity, Quantity),
    /// The same for users who do not have the flag by their bucket, where there are some.
    pub control: Option<Quantity>,
    /// Of how many requests.
    pub samples: u64,
}

/// As `error_rate is 0.4% (0.35% to 0.46%), 0.39% without the flag, of 52000 requests`.
impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measurement { metric, value, between: (low, high), control, samples } = self;
        write!(f, "{metric} is {value} ({low} to {high})")?;
        if let Some(control) = control {
            write!(f, ", {control} without the flag")?;
        }
        write!(f, ", of {samples} requests")
    }
}

/// Of fewer requests one more or less is more than a percent.
const ENOUGH: u64 = 100;

/// What there is to measure.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) metric: Box<str>,
    pub(super) measured: Measured,
    pub(super) better: Option<Better>,
    /// Of a share that is marked.
    pub(super) mark: Mark,
}

/// Whose requests are measured: those who have it, or everybody while nobody does.
pub(super) fn arms(is_off: bool) -> &'static [Arm] {
    const WITH: &[Arm] = &[Arm::Treatment, Arm::Listed];
    const ALL: &[Arm] = &[Arm::Treatment, Arm::Listed, Arm::Control, Arm::Apart];
    if is_off { ALL } else { WITH }
}

/// How many requests have come between two moments.
pub(super) fn requests(counters: &Counters, is_off: bool, between: [&Total; 2]) -> u64 {
    arms(is_off).iter().map(|arm| counters.all(*arm, None, between).1).sum()
}

/// Whether enough have come to measure anything.
pub(super) fn is_enough(requests: u64) -> bool {
    requests >= ENOUGH
}

/// What a metric has come to between two moments; `None` of too few requests.
pub(super) fn measure(
    wanted: &Wanted,
    counters: &Counters,
    is_off: bool,
    [before, now]: [&Snapshot; 2],
) -> Option<Measurement> {
    let between = [&before.total, &now.total];
    let mark = (wanted.measured == Measured::Marked).then_some(wanted.mark);
    let share_of = |arms: &[Arm]| {
        let mut share = Share::default();
        for arm in arms {
            let (hits, of) = counters.all(*arm, mark, between);
            share.add(Share { hits, of });
        }
        Some(share).filter(|share| is_enough(share.of))
    };
    let (value, between, control, samples) = match wanted.measured {
        Measured::Latency(slower) => {
            let mut took = now.with.since(&before.with);
            let without = now.without.since(&before.without);
            if is_off {
                took.add(&without);
            }
            let quantile = |classes: &Classes| {
                let counts = Some(classes).filter(|classes| is_enough(classes.count()))?;
                Some(counts.quantile_between(1.0 - slower)?.map(millis))
            };
            let [low, value, high] = quantile(&took)?;
            let control = if is_off { None } else { quantile(&without) };
            (value, (low, high), control.map(|[_, value, _]| value), took.count())
        }
        Measured::Errors | Measured::Marked => {
            let share = share_of(arms(is_off))?;
            let (low, high) = share.between(1.96);
            let control = if is_off { None } else { share_of(&[Arm::Control]) };
            let between = (percent(low), percent(high));
            let exact = |share: Share| exact(share, wanted.better);
            (exact(share), between, control.map(exact), share.of)
        }
    };
    Some(Measurement { metric: wanted.metric.clone(), value, between, control, samples })
}

/// Never better than it is: rounded down where more is better, else up.
fn exact(share: Share, better: Option<Better>) -> Quantity {
    let (hits, of) = (u128::from(share.hits) * 1_000_000, u128::from(share.of.max(1)));
    let ppm = if better == Some(Better::More) { hits / of } else { hits.div_ceil(of) };
    of_ppm(u32::try_from(ppm).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share, between 0 and 1"
)]
fn percent(share: f64) -> Quantity {
    of_ppm((share * 1e6).round() as u32)
}

fn of_ppm(ppm: u32) -> Quantity {
    Quantity::Percent(Percent::from_ppm(ppm).unwrap_or(Percent::ALL))
}

/// Up to the next whole millisecond, as documents write durations: at least one.
fn millis(time: Duration) -> Quantity {
    let millis = time.as_nanos().div_ceil(1_000_000).max(1);
    Quantity::Duration(Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}
