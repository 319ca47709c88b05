//! The requests that a trigger counts, and its limit as a share.

use std::time::Duration;

use super::counts::{Kind, Share};
use super::sustained::Pair;
use crate::percent::Percent;
use crate::plan::model::{Better, Increase, Limit, Metric, MetricSource, Quantity, Unit};

/// From when on a request is slow.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// From this.
    Limit(Duration),
    /// From what that share of requests without the flag does not exceed: 0.95 for `latency_p95`.
    OfControl(f64),
}

/// From which share of hits on a trigger is beyond its limit.
#[derive(Clone, Copy, Debug)]
pub(super) enum ShareLimit {
    /// Beyond is more than this.
    Is(f64),
    /// Beyond is more than so many times control's share, or less where more is better.
    OfControl { times: f64, better: Better },
}

impl ShareLimit {
    /// The share of treatment that is the limit, by control's.
    fn of(self, control: Share) -> f64 {
        match self {
            ShareLimit::Is(limit) => limit,
            ShareLimit::OfControl { times, .. } => times * control.rate(),
        }
    }

    /// The share of the rarer requests at the limit: hits or others.
    pub(super) fn expected(self, control: Share) -> f64 {
        match self {
            ShareLimit::Is(limit) => limit.min(1.0 - limit),
            ShareLimit::OfControl { .. } => self.of(control),
        }
    }

    pub(super) fn is_beyond(self, pair: &Pair) -> bool {
        let (rate, limit) = (pair.treatment.rate(), self.of(pair.control));
        match self {
            ShareLimit::OfControl { better: Better::More, .. } => rate < limit,
            ShareLimit::Is(_) | ShareLimit::OfControl { .. } => rate > limit,
        }
    }
}

/// What the triggers of a flag count besides requests and errors.
#[derive(Debug, Default)]
pub(super) struct Counting<'r> {
    pub(super) latencies: Vec<Latency>,
    pub(super) marked: Vec<Box<str>>,
    pub(super) unmarked: Vec<Box<str>>,
    /// Metrics that are read, whatever could be counted.
    pub(super) read: &'r [&'r str],
}

impl Counting<'_> {
    /// As which share a metric is counted, and its limit; `None` for one that is read.
    pub(super) fn of(&mut self, metric: &Metric, limit: Limit) -> Option<(Kind, ShareLimit)> {
        let times = |by: Increase, better: Better| {
            let by = f64::from(by.ppm()) / 1e6;
            let times = match better {
                Better::Less => 1.0 + by,
                Better::More => 1.0 - by,
            };
            ShareLimit::OfControl { times, better }
        };
        match (Measured::of(metric)?, limit) {
            (Measured::Latency(slower), Limit::Above(Quantity::Duration(limit))) => {
                self.latencies.push(Latency::Limit(limit));
                Some((Kind::Slow(self.latencies.len() - 1), ShareLimit::Is(slower)))
            }
            (Measured::Latency(slower), Limit::WorseThanControlBy { by, better }) => {
                self.latencies.push(Latency::OfControl(1.0 - slower));
                Some((Kind::Slow(self.latencies.len() - 1), times(by, better)))
            }
            (measured, Limit::Above(Quantity::Percent(limit))) => {
                let limit = ShareLimit::Is(f64::from(limit.ppm()) / 1e6);
                Some((self.share(measured, &metric.name), limit))
            }
            // A share of marks below the limit is a share of other requests above its complement.
            (Measured::Marked, Limit::Below(Quantity::Percent(limit))) => {
                let others = Percent::ALL.ppm().saturating_sub(limit.ppm());
                let kind = Kind::Unmarked(place(&mut self.unmarked, &metric.name));
                Some((kind, ShareLimit::Is(f64::from(others) / 1e6)))
            }
            (measured, Limit::WorseThanControlBy { by, better }) => {
                Some((self.share(measured, &metric.name), times(by, better)))
            }
            _ => None,
        }
    }

    fn share(&mut self, measured: Measured, name: &str) -> Kind {
        if measured == Measured::Errors {
            return Kind::Errors;
        }
        Kind::Marked(place(&mut self.marked, name))
    }
}

/// The place of a name, which is added where it is new.
fn place(names: &mut Vec<Box<str>>, name: &str) -> usize {
    let known = names.iter().position(|known| **known == *name);
    known.unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    })
}

/// What of requests a metric is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measured {
    Errors,
    /// The share that may be slower: a twentieth for `latency_p95`.
    Latency(f64),
    /// A share that the application marks.
    Marked,
}

impl Measured {
    /// `None` for a metric that is no matter of requests.
    pub(super) fn of(metric: &Metric) -> Option<Measured> {
        if metric.source != MetricSource::Application {
            return None;
        }
        let percentile = metric.name.strip_prefix("latency_p").and_then(|it| it.parse().ok());
        let slower = percentile.and_then(|percentile: u32| 100_u32.checked_sub(percentile));
        match (slower, metric.unit) {
            _ if *metric.name == *"error_rate" => Some(Measured::Errors),
            (Some(slower), Unit::Duration) => Some(Measured::Latency(f64::from(slower) / 100.0)),
            (_, Unit::Percent) => Some(Measured::Marked),
            _ => None,
        }
    }
}

/// The share of all hits that are treatment's if it has so many times control's rate: what one of them
/// is treatment's with, given that it happened. Each look has its own split, so that a fault that both
/// share, or a split that changes, is no evidence (Przyborowski and Wilenski 1940).
pub(super) fn odds_share(treatment: f64, control: f64, times: f64) -> f64 {
    let treatment = treatment * times;
    if treatment > 0.0 { treatment / (treatment + control) } else { 0.0 }
}
