//! One trigger, judged.

use std::sync::Arc;
use std::time::Duration;

use super::bets::{Bets, WORSE};
use super::counted::{Counting, ShareLimit, odds_share};
use super::counts::{Kind, Look, Share};
use super::sustained::{Pair, Windows};
use super::verdict::{Evidence, Missing, Verdict};
use crate::plan::model::{Better, Limit, Metric, Quantity, TriggerCause};

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
    /// More than so many times control's share, or less where more is better.
    Worse { kind: Kind, times: f64, better: Better, bets: Bets, before: Option<Share> },
    /// The same for a time.
    Sustained { kind: Kind, limit: ShareLimit, windows: Windows },
    /// A value that is read.
    Value {
        metric: Arc<Metric>,
        limit: Limit,
        lasts: Duration,
        since: Option<Duration>,
        /// And of control.
        value: Option<(Quantity, Option<Quantity>)>,
    },
    /// What a person or a program reports.
    Incident,
}

impl Judged {
    pub(super) fn new(cause: &TriggerCause, counted: &mut Counting<'_>) -> Judged {
        let (test, minimum_sample, stale_after) = match cause {
            TriggerCause::Incident(_) => (Test::Incident, 0, Duration::MAX),
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } => (
                Test::new(metric, *limit, sustained.map(|lasts| *lasts), counted),
                minimum_sample.unwrap_or(0),
                *metric.stale_after,
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
        // Only where less is better. The guard ignores users after their first mark, so the share of marks falls with time.
        if let Test::Worse { kind, better: Better::Less, before, .. } = &mut self.test {
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
            Test::Worse { times, better, bets, before, .. } => {
                let hits = treatment.hits.saturating_add(control.hits);
                let (with, without) = (treatment.of as f64, control.of as f64);
                match (before, better) {
                    (Some(before), _) if control.of == 0 => {
                        let limit = (*times * before.at_most()).min(1.0);
                        bets.look(treatment.hits, treatment.of, limit);
                    }
                    (_, Better::Less) => {
                        bets.look(treatment.hits, hits, odds_share(with, without, *times));
                    }
                    // Too few of treatment's are too many of control's.
                    (_, Better::More) => {
                        bets.look(control.hits, hits, odds_share(without, with, 1.0 / *times));
                    }
                }
            }
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
            Test::Sustained { limit: ShareLimit::OfControl { .. }, .. } if self.control.of == 0 => {
                Verdict::Insufficient(Missing::Control)
            }
            Test::Above { bets, .. } | Test::Worse { bets, .. } => {
                let evidence = bets.ln_evidence();
                if evidence < -alpha.ln() {
                    return Verdict::Pass;
                }
                let pair = |share: Share| (share.hits, share.of);
                let before = match &self.test {
                    Test::Worse { before, .. } => before.map(pair),
                    _ => None,
                };
                let control = Some(pair(self.recent.control)).filter(|(_, of)| *of > 0).or(before);
                let treatment = pair(self.recent.treatment);
                let since = at.saturating_sub(self.since.unwrap_or(at));
                let ratio = evidence.exp();
                Verdict::Breach(Evidence::Sequential { since, treatment, control, ratio })
            }
            Test::Sustained { windows, limit, .. } => windows.verdict(at, *limit),
            Test::Value { .. } | Test::Incident => Verdict::NoData,
        };
        match HITS.checked_sub(self.telling_hits()).filter(|missing| *missing > 0) {
            Some(missing) if verdict.is_breach() => Verdict::Insufficient(Missing::Hits(missing)),
            _ => self.test.told(verdict),
        }
    }

    /// Hits that speak against the flag: control's where more is better, as treatment lacks them.
    fn telling_hits(&self) -> u64 {
        match &self.test {
            Test::Worse { better: Better::More, .. }
            | Test::Sustained {
                limit: ShareLimit::OfControl { better: Better::More, .. }, ..
            } => self.recent.control.hits,
            _ => self.recent.treatment.hits,
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
            let control = control.filter(|_| matches!(limit, Limit::WorseThanControlBy { .. }));
            (self.last, *value) = (Some(look.at), Some((*read, control)));
        }
        let Some((last, (value, control))) = self.last.zip(*value) else { return Verdict::NoData };
        let age = look.at.saturating_sub(last);
        if age > self.stale_after {
            return Verdict::Stale(age);
        }
        let Some(since) = since.map(|since| look.at.saturating_sub(since)) else {
            return Verdict::Pass;
        };
        match lasts.checked_sub(since).filter(|missing| !missing.is_zero()) {
            Some(missing) => Verdict::Insufficient(Missing::Time(missing)),
            None => Verdict::Breach(Evidence::Value { value, control, since }),
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
            (None, ShareLimit::OfControl { times, better }) => {
                Test::Worse { kind, times, better, bets: Bets::new(WORSE), before: None }
            }
        }
    }

    /// Turns figures of requests without a mark into figures of requests with it, as the metric has them.
    fn told(&self, verdict: Verdict) -> Verdict {
        let (Test::Above { kind, .. } | Test::Sustained { kind, .. }) = self else {
            return verdict;
        };
        if !matches!(kind, Kind::Unmarked(_)) {
            return verdict;
        }
        let others = |(hits, of): (u64, u64)| (of.saturating_sub(hits), of);
        match verdict {
            Verdict::Breach(Evidence::Sequential { since, treatment, control, ratio }) => {
                let (treatment, control) = (others(treatment), control.map(others));
                Verdict::Breach(Evidence::Sequential { since, treatment, control, ratio })
            }
            Verdict::Breach(Evidence::Windows { treatment, control, windows }) => {
                let (treatment, control) = (others(treatment), control.map(others));
                Verdict::Breach(Evidence::Windows { treatment, control, windows })
            }
            _ => verdict,
        }
    }

    pub(super) fn is_sequential(&self) -> bool {
        matches!(self, Test::Above { .. } | Test::Worse { .. })
    }
}
