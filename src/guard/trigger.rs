//! One trigger, judged.

use std::sync::Arc;
use std::time::Duration;

use super::bets::{Bets, WORSE};
use super::counts::{Kind, Look, Share};
use super::sustained::{Pair, Windows};
use super::verdict::{Evidence, Missing, Verdict};
use crate::plan::model::{Increase, Limit, Metric, MetricSource, Quantity, TriggerCause, Unit};

/// From when on a request is slow.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Latency {
    /// From this.
    Limit(Duration),
    /// From what that share of requests without the flag does not exceed: 0.95 for `latency_p95`.
    OfControl(f64),
}

/// Errors, or slow requests, without which nothing is a breach.
const HITS: u64 = 4;

#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) test: Test,
    minimum_sample: u64,
    stale_after: Duration,
    /// When there was something last.
    last: Option<Duration>,
    /// Of the whole stage.
    treatment: Share,
    control: Share,
    /// Control's as it was when it was worst for certain: mostly of the stage's beginning, as who errs counts no more.
    worst: Share,
    /// Whether there were requests of users on a list.
    listed: bool,
    /// Since all was well last: when that was.
    recent: Pair,
    since: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    /// More of the requests than this.
    Above { kind: Kind, limit: f64, bets: Bets },
    /// So many times control's share.
    Worse { kind: Kind, times: f64, bets: Bets, before: Option<Share> },
    /// The same for a time: so many times control's share, or than this share.
    Sustained { kind: Kind, limit: ShareLimit, windows: Windows },
    /// A value that is read.
    Value {
        metric: Arc<Metric>,
        limit: Limit,
        lasts: Duration,
        since: Option<Duration>,
        value: Option<Quantity>,
    },
    /// What a person or a program reports.
    Incident,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ShareLimit {
    Is(f64),
    OfControl(f64),
}

impl Judged {
    pub(super) fn new(cause: &TriggerCause, counted: &mut Counting<'_>) -> Judged {
        let (test, minimum_sample, stale_after) = match cause {
            TriggerCause::Incident(_) => (Test::Incident, 0, Duration::MAX),
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } => (
                Test::new(metric, *limit, *sustained, counted),
                minimum_sample.unwrap_or(0),
                metric.stale_after,
            ),
        };
        Judged {
            test,
            minimum_sample,
            stale_after,
            last: None,
            treatment: Share::default(),
            control: Share::default(),
            worst: Share::default(),
            listed: false,
            recent: Pair::default(),
            since: None,
        }
    }

    /// Has control's figures to compare with, where nobody is without the flag by chance, of the judge of the stage before.
    pub(super) fn compare_with(&mut self, before: &Judged) {
        self.compare_with_share(|_| before.worst);
    }

    pub(super) fn compare_with_share(&mut self, share: impl Fn(Kind) -> Share) {
        if let Test::Worse { kind, before, .. } = &mut self.test {
            *before = Some(share(*kind)).filter(|share| share.of > 0);
        }
    }

    pub(super) fn look(&mut self, look: &Look, alpha: f64) -> Verdict {
        let (treatment, control) = match &self.test {
            Test::Incident => return Verdict::Reported,
            Test::Value { .. } => return self.look_at_value(look),
            Test::Above { kind, .. } | Test::Sustained { kind, limit: ShareLimit::Is(_), .. } => {
                let mut all = Share::new(&look.treatment, *kind);
                all.add(Share::new(&look.listed, *kind));
                (all, Share::default())
            }
            Test::Worse { kind, .. } | Test::Sustained { kind, .. } => {
                self.listed |= Share::new(&look.listed, *kind).of > 0;
                (Share::new(&look.treatment, *kind), Share::new(&look.control, *kind))
            }
        };
        self.treatment.add(treatment);
        self.control.add(control);
        if self.control.at_least() >= self.worst.at_least() {
            self.worst = self.control;
        }
        if treatment.of > 0 {
            self.last = Some(look.at);
        }
        match &mut self.test {
            Test::Above { limit, bets, .. } => bets.look(treatment.hits, treatment.of, *limit),
            Test::Worse { times, bets, before, .. } => match before {
                Some(before) if control.of == 0 => {
                    bets.look(treatment.hits, treatment.of, (*times * before.at_most()).min(1.0));
                }
                _ => bets.look(
                    treatment.hits,
                    treatment.hits.saturating_add(control.hits),
                    odds_share(treatment.of as f64, control.of as f64, *times),
                ),
            },
            Test::Sustained { windows, .. } => windows.look(look.at, Pair { treatment, control }),
            Test::Value { .. } | Test::Incident => {}
        }
        self.recent.treatment.add(treatment);
        self.recent.control.add(control);
        if let Test::Above { bets, .. } | Test::Worse { bets, .. } = &self.test
            && bets.is_well()
        {
            (self.recent, self.since) = (Pair::default(), Some(look.at));
        }
        self.since.get_or_insert(look.at);
        self.verdict(look.at, alpha)
    }

    fn verdict(&self, at: Duration, alpha: f64) -> Verdict {
        let Some(last) = self.last else {
            // All who have it are on a list.
            let alone = self.listed.then_some(Verdict::Insufficient(Missing::Control));
            return alone.unwrap_or(Verdict::NoData);
        };
        let age = at.saturating_sub(last);
        if age > self.stale_after {
            return Verdict::Stale(age);
        }
        if let Some(missing) =
            self.minimum_sample.checked_sub(self.treatment.of).filter(|missing| *missing > 0)
        {
            return Verdict::Insufficient(Missing::Requests(missing));
        }
        let verdict = match &self.test {
            Test::Worse { before: None, .. } if self.control.of == 0 => {
                Verdict::Insufficient(Missing::Control)
            }
            Test::Sustained { limit: ShareLimit::OfControl(_), .. } if self.control.of == 0 => {
                Verdict::Insufficient(Missing::Control)
            }
            Test::Above { bets, .. } | Test::Worse { bets, .. } => {
                let evidence = bets.ln_evidence();
                if evidence < -alpha.ln() {
                    return Verdict::Pass;
                }
                let pair = |share: Share| (share.hits, share.of);
                let control = Some(pair(self.recent.control)).filter(|(_, of)| *of > 0);
                let treatment = pair(self.recent.treatment);
                let since = at.saturating_sub(self.since.unwrap_or(at));
                let ratio = evidence.exp();
                Verdict::Breach(Evidence::Sequential { since, treatment, control, ratio })
            }
            Test::Sustained { windows, limit, .. } => windows.verdict(at, |control| match limit {
                ShareLimit::Is(limit) => *limit,
                ShareLimit::OfControl(times) => times * control.rate(),
            }),
            Test::Value { .. } | Test::Incident => Verdict::NoData,
        };
        match HITS.checked_sub(self.recent.treatment.hits).filter(|missing| *missing > 0) {
            Some(missing) if verdict.is_breach() => Verdict::Insufficient(Missing::Hits(missing)),
            _ => verdict,
        }
    }

    fn look_at_value(&mut self, look: &Look) -> Verdict {
        let Test::Value { metric, limit, lasts, since, value } = &mut self.test else {
            return Verdict::NoData;
        };
        if let Some((read, control)) = look.values.get(&metric.name) {
            // A gap in what is read is no proof that it was beyond the limit in between.
            let is_gap =
                self.last.is_none_or(|last| look.at.saturating_sub(last) > self.stale_after);
            if !limit.is_exceeded(*read, *control) {
                *since = None;
            } else if since.is_none() || is_gap {
                *since = Some(look.at);
            }
            (self.last, *value) = (Some(look.at), Some(*read));
        }
        let Some((last, value)) = self.last.zip(*value) else { return Verdict::NoData };
        let age = look.at.saturating_sub(last);
        if age > self.stale_after {
            return Verdict::Stale(age);
        }
        let Some(since) = since.map(|since| look.at.saturating_sub(since)) else {
            return Verdict::Pass;
        };
        match lasts.checked_sub(since).filter(|missing| !missing.is_zero()) {
            Some(missing) => Verdict::Insufficient(Missing::Time(missing)),
            None => Verdict::Breach(Evidence::Value { value, since }),
        }
    }
}

impl Test {
    fn new(
        metric: &Arc<Metric>,
        limit: Limit,
        sustained: Option<Duration>,
        counted: &mut Counting<'_>,
    ) -> Test {
        let is_read = counted.read.contains(&&*metric.name);
        let Some((kind, limit)) = counted.of(metric, limit).filter(|_| !is_read) else {
            return Test::Value {
                metric: Arc::clone(metric),
                limit,
                lasts: sustained.unwrap_or_default(),
                since: None,
                value: None,
            };
        };
        match (sustained, limit) {
            (Some(lasts), limit) => Test::Sustained { kind, limit, windows: Windows::new(lasts) },
            (None, ShareLimit::Is(limit)) => Test::Above { kind, limit, bets: Bets::new(WORSE) },
            (None, ShareLimit::OfControl(times)) => {
                Test::Worse { kind, times, bets: Bets::new(WORSE), before: None }
            }
        }
    }

    pub(super) fn is_sequential(&self) -> bool {
        matches!(self, Test::Above { .. } | Test::Worse { .. })
    }
}

/// What the triggers of a flag have counted, beside requests and errors.
#[derive(Debug, Default)]
pub(super) struct Counting<'r> {
    pub(super) latencies: Vec<Latency>,
    pub(super) marked: Vec<Box<str>>,
    /// Metrics that are read, whatever could be counted.
    pub(super) read: &'r [&'r str],
}

impl Counting<'_> {
    /// As which share a metric is counted, and its limit; `None` for one that is read.
    fn of(&mut self, metric: &Metric, limit: Limit) -> Option<(Kind, ShareLimit)> {
        let times = |more: Increase| ShareLimit::OfControl(1.0 + f64::from(more.ppm()) / 1e6);
        match (Measured::of(metric)?, limit) {
            (Measured::Latency(slower), Limit::Above(Quantity::Duration(limit))) => {
                self.latencies.push(Latency::Limit(limit));
                Some((Kind::Slow(self.latencies.len() - 1), ShareLimit::Is(slower)))
            }
            (Measured::Latency(slower), Limit::WorseThanControlBy(more)) => {
                self.latencies.push(Latency::OfControl(1.0 - slower));
                Some((Kind::Slow(self.latencies.len() - 1), times(more)))
            }
            (measured, Limit::Above(Quantity::Percent(limit))) => {
                let limit = ShareLimit::Is(f64::from(limit.ppm()) / 1e6);
                Some((self.share(measured, &metric.name), limit))
            }
            (measured, Limit::WorseThanControlBy(more)) => {
                Some((self.share(measured, &metric.name), times(more)))
            }
            _ => None,
        }
    }

    fn share(&mut self, measured: Measured, name: &str) -> Kind {
        if measured == Measured::Errors {
            return Kind::Errors;
        }
        let known = self.marked.iter().position(|known| **known == *name);
        Kind::Marked(known.unwrap_or_else(|| {
            self.marked.push(name.into());
            self.marked.len() - 1
        }))
    }
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
