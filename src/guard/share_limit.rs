//! A trigger's limit as a share of requests, and the metrics that are such shares.

use std::time::Duration;

use super::counts::{ArmShares, Share, ShareKind};
use crate::percent::{PPM, Percent};
use crate::plan::model::{Better, Increase, Limit, Metric, MetricSource, Quantity, Unit};

/// The limit above which a request is slow.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LatencyLimit {
    /// This latency.
    Fixed(Duration),
    /// The latency that this share of control's requests does not exceed: 0.95 for `latency_p95`.
    OfControl(f64),
}

/// A trigger's limit on a share of requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum ShareLimit {
    /// A fixed share. More is beyond the limit.
    Fixed(f64),
    /// `times` control's share. More is beyond the limit, or less if more is better.
    OfControl { times: f64, better: Better },
}

impl ShareLimit {
    /// Returns the limit on treatment's share, given control's.
    fn of(self, control: Share) -> f64 {
        match self {
            ShareLimit::Fixed(limit) => limit,
            ShareLimit::OfControl { times, .. } => times * control.rate(),
        }
    }

    /// Returns the share of hits at the limit, or of other requests if these are rarer.
    pub(super) fn expected(self, control: Share) -> f64 {
        match self {
            ShareLimit::Fixed(limit) => limit.min(1.0 - limit),
            ShareLimit::OfControl { .. } => self.of(control),
        }
    }

    pub(super) fn is_beyond(self, arms: &ArmShares) -> bool {
        let (rate, limit) = (arms.treatment.rate(), self.of(arms.control));
        match self {
            ShareLimit::OfControl { better: Better::More, .. } => rate < limit,
            ShareLimit::Fixed(_) | ShareLimit::OfControl { .. } => rate > limit,
        }
    }
}

/// The shares that a flag's triggers count in addition to errors.
#[derive(Debug, Default)]
pub(super) struct TriggerShares<'r> {
    pub(super) latencies: Vec<LatencyLimit>,
    pub(super) marked: Vec<Box<str>>,
    pub(super) unmarked: Vec<Box<str>>,
    /// Metrics that are read, even if the application could count them.
    pub(super) read_metrics: &'r [&'r str],
}

impl TriggerShares<'_> {
    /// Adds the share that a trigger on this metric counts. Returns the share and its limit, or `None` if the metric is
    /// read and not counted.
    pub(super) fn add(&mut self, metric: &Metric, limit: Limit) -> Option<(ShareKind, ShareLimit)> {
        let times = |by: Increase, better: Better| {
            let by = fraction(by.ppm());
            let times = match better {
                Better::Less => 1.0 + by,
                Better::More => 1.0 - by,
            };
            ShareLimit::OfControl { times, better }
        };
        match (RequestMetric::of(metric)?, limit) {
            (RequestMetric::Latency(slower), Limit::Above(Quantity::Duration(limit))) => {
                self.latencies.push(LatencyLimit::Fixed(limit));
                Some((ShareKind::Slow(self.latencies.len() - 1), ShareLimit::Fixed(slower)))
            }
            (RequestMetric::Latency(slower), Limit::WorseThanControlBy { by, better }) => {
                self.latencies.push(LatencyLimit::OfControl(1.0 - slower));
                Some((ShareKind::Slow(self.latencies.len() - 1), times(by, better)))
            }
            (measured, Limit::Above(Quantity::Percent(limit))) => {
                let limit = ShareLimit::Fixed(fraction(limit.ppm()));
                Some((self.share(measured, &metric.name), limit))
            }
            // A share of marked requests below the limit is a share of unmarked requests above its complement.
            (RequestMetric::Marked, Limit::Below(Quantity::Percent(limit))) => {
                let others = Percent::ALL.ppm().saturating_sub(limit.ppm());
                let kind = ShareKind::Unmarked(index_of(&mut self.unmarked, &metric.name));
                Some((kind, ShareLimit::Fixed(fraction(others))))
            }
            (measured, Limit::WorseThanControlBy { by, better }) => {
                Some((self.share(measured, &metric.name), times(by, better)))
            }
            _ => None,
        }
    }

    fn share(&mut self, measured: RequestMetric, name: &str) -> ShareKind {
        if measured == RequestMetric::Errors {
            return ShareKind::Errors;
        }
        ShareKind::Marked(index_of(&mut self.marked, name))
    }
}

/// Returns the index of a name, and adds the name if it is new.
fn index_of(names: &mut Vec<Box<str>>, name: &str) -> usize {
    let known = names.iter().position(|known| **known == *name);
    known.unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    })
}

/// A metric that the guard measures from requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RequestMetric {
    Errors,
    /// The share of requests that may be slower: 0.05 for `latency_p95`.
    Latency(f64),
    /// The share of requests that the application marks.
    Marked,
}

impl RequestMetric {
    /// Returns the kind of the metric, or `None` if requests say nothing about it.
    pub(super) fn of(metric: &Metric) -> Option<RequestMetric> {
        if metric.source != MetricSource::Application {
            return None;
        }
        let percentile = metric.name.strip_prefix("latency_p").and_then(|it| it.parse().ok());
        let slower = percentile.and_then(|percentile: u32| 100_u32.checked_sub(percentile));
        match (slower, metric.unit) {
            _ if *metric.name == *"error_rate" => Some(RequestMetric::Errors),
            (Some(slower), Unit::Duration) => {
                Some(RequestMetric::Latency(f64::from(slower) / 100.0))
            }
            (_, Unit::Percent) => Some(RequestMetric::Marked),
            _ => None,
        }
    }
}

/// Converts parts per million to a fraction of 1.
pub(super) fn fraction(ppm: u32) -> f64 {
    f64::from(ppm) / f64::from(PPM)
}

/// Returns the probability that a hit is treatment's, if treatment's rate is `times` control's (Przyborowski and
/// Wilenski 1940).
///
/// That is `m n_T / (m n_T + n_C)`. Here `m` is `times`, and `n_T` and `n_C` are the requests of treatment and
/// control. Each look has its own requests, so a fault in both arms, or a split that changes, is no evidence.
pub(super) fn odds_share(treatment: f64, control: f64, times: f64) -> f64 {
    let treatment = treatment * times;
    if treatment > 0.0 { treatment / (treatment + control) } else { 0.0 }
}
