//! The judge of one trigger.

use std::sync::Arc;
use std::time::Duration;

use super::bets::{Bets, WORSE};
use super::counts::{ArmShares, Look, Share, ShareKind};
use super::share_limit::{ShareLimit, TriggerShares, odds_share};
use super::verdict::{Evidence, Missing, Verdict};
use super::windows::Windows;
use crate::plan::model::{Better, Limit, Metric, Quantity, TriggerCause};

/// Hits (errors, slow or marked requests) that a breach needs.
const MIN_HITS: u64 = 4;

/// The judge of one trigger in one stage: its test, and the counts so far.
#[derive(Clone, Debug)]
pub(super) struct TriggerJudge {
    pub(super) test: Test,
    minimum_sample: u64,
    stale_after: Duration,
    /// Time of the last request or reading.
    last_data_at: Option<Duration>,
    /// Counts of the whole stage.
    stage: ArmShares,
    /// Control's counts at the look where the lower bound of its rate was highest. That is mostly early in the stage,
    /// because users with an error are ignored later.
    worst_control: Share,
    /// Whether listed users had requests.
    has_listed: bool,
    /// Counts since the last healthy look.
    recent: ArmShares,
    /// Time of the last healthy look, or of the first look.
    recent_since: Option<Duration>,
}

/// The test that a trigger's limit asks for.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// At once: is the share of hits above this limit?
    Above { kind: ShareKind, limit: f64, bets: Bets },
    /// At once: is the share of hits above `times` control's share, or below it if more is better? `control_before` is
    /// control in the stage before.
    Worse { kind: ShareKind, times: f64, better: Better, bets: Bets, control_before: Option<Share> },
    /// For a time: is the share beyond the limit in every window of that time?
    Sustained { kind: ShareKind, limit: ShareLimit, windows: Windows },
    /// Is the value of a reading beyond the limit, for as long as `lasts`?
    Value {
        metric: Arc<Metric>,
        limit: Limit,
        lasts: Duration,
        /// Since when the readings have been beyond the limit.
        since: Option<Duration>,
        /// The last reading: the value, and control's value.
        value: Option<(Quantity, Option<Quantity>)>,
    },
    /// Not a test: a person or a program reports an incident.
    Incident,
}

impl TriggerJudge {
    pub(super) fn new(cause: &TriggerCause, shares: &mut TriggerShares<'_>) -> TriggerJudge {
        let (test, minimum_sample, stale_after) = match cause {
            TriggerCause::Incident(_) => (Test::Incident, 0, Duration::MAX),
            TriggerCause::Metric { metric, limit, sustained, minimum_sample, .. } => (
                Test::new(metric, *limit, sustained.map(|lasts| *lasts), shares),
                minimum_sample.unwrap_or(0),
                *metric.stale_after,
            ),
        };
        TriggerJudge {
            test,
            minimum_sample,
            stale_after,
            last_data_at: None,
            stage: ArmShares::default(),
            worst_control: Share::default(),
            has_listed: false,
            recent: ArmShares::default(),
            recent_since: None,
        }
    }

    /// Compares with control in the stage before, if this stage has no control.
    pub(super) fn use_control_of(&mut self, before: &TriggerJudge) {
        // After a pause at 100%, the stage before had no control either. Use what that stage compared with.
        let earlier = match &before.test {
            Test::Worse { control_before, .. } => *control_before,
            _ => None,
        };
        self.use_control_share(|_| earlier.unwrap_or(before.worst_control));
    }

    /// Compares with these shares of control in the stage before, if this stage has no control.
    pub(super) fn use_control_share(&mut self, share: impl Fn(ShareKind) -> Share) {
        // Only if less is better. The guard ignores users after their first mark, so the share of marks falls with
        // time. Compared with the early share of the stage before, that would be a breach.
        if let Test::Worse { kind, better: Better::Less, control_before, .. } = &mut self.test {
            *control_before = Some(share(*kind)).filter(|share| share.of > 0);
        }
    }

    pub(super) fn look(&mut self, look: &Look, alpha: f64) -> Verdict {
        let (treatment, control) = match &self.test {
            Test::Incident => return Verdict::Reported,
            Test::Value { .. } => return self.look_at_value(look),
            Test::Above { kind, .. }
            | Test::Sustained { kind, limit: ShareLimit::Fixed(_), .. } => {
                let mut all = Share::new(&look.treatment, *kind);
                all.add(Share::new(&look.listed, *kind));
                (all, Share::default())
            }
            Test::Worse { kind, .. } | Test::Sustained { kind, .. } => {
                self.has_listed |= Share::new(&look.listed, *kind).of > 0;
                (Share::new(&look.treatment, *kind), Share::new(&look.control, *kind))
            }
        };
        let arms = ArmShares { treatment, control };
        self.stage.add(arms);
        if self.stage.control.at_least() >= self.worst_control.at_least() {
            self.worst_control = self.stage.control;
        }
        if treatment.of > 0 {
            self.last_data_at = Some(look.at);
        }
        match &mut self.test {
            Test::Above { limit, bets, .. } => bets.look(treatment.hits, treatment.of, *limit),
            Test::Worse { times, better, bets, control_before, .. } => {
                let hits = treatment.hits.saturating_add(control.hits);
                let (with, without) = (treatment.of as f64, control.of as f64);
                match (control_before, better) {
                    (Some(before), _) if control.of == 0 => {
                        let limit = (*times * before.at_most()).min(1.0);
                        bets.look(treatment.hits, treatment.of, limit);
                    }
                    (_, Better::Less) => {
                        bets.look(treatment.hits, hits, odds_share(with, without, *times));
                    }
                    // Too few hits in treatment are too many in control.
                    (_, Better::More) => {
                        bets.look(control.hits, hits, odds_share(without, with, 1.0 / *times));
                    }
                }
            }
            Test::Sustained { windows, .. } => windows.look(look.at, arms),
            Test::Value { .. } | Test::Incident => {}
        }
        self.recent.add(arms);
        if let Test::Above { bets, .. } | Test::Worse { bets, .. } = &self.test
            && bets.has_no_recent_evidence()
        {
            (self.recent, self.recent_since) = (ArmShares::default(), Some(look.at));
        }
        self.recent_since.get_or_insert(look.at);
        self.verdict(look.at, alpha)
    }

    fn verdict(&self, at: Duration, alpha: f64) -> Verdict {
        let Some(last) = self.last_data_at else {
            // Only listed users have the flag, so there is no control.
            let only_listed = self.has_listed.then_some(Verdict::Insufficient(Missing::Control));
            return only_listed.unwrap_or(Verdict::NoData);
        };
        let age = at.saturating_sub(last);
        if age > self.stale_after {
            return Verdict::Stale(age);
        }
        if let Some(missing) =
            self.minimum_sample.checked_sub(self.stage.treatment.of).filter(|missing| *missing > 0)
        {
            return Verdict::Insufficient(Missing::Requests(missing));
        }
        let verdict = match &self.test {
            Test::Worse { control_before: None, .. }
            | Test::Sustained { limit: ShareLimit::OfControl { .. }, .. }
                if self.stage.control.of == 0 =>
            {
                Verdict::Insufficient(Missing::Control)
            }
            Test::Above { bets, .. } | Test::Worse { bets, .. } => {
                let evidence = bets.ln_evidence();
                if evidence < -alpha.ln() {
                    return Verdict::Pass;
                }
                let pair = |share: Share| (share.hits, share.of);
                let before = match &self.test {
                    Test::Worse { control_before, .. } => control_before.map(pair),
                    _ => None,
                };
                let control = Some(pair(self.recent.control)).filter(|(_, of)| *of > 0).or(before);
                let treatment = pair(self.recent.treatment);
                let since = at.saturating_sub(self.recent_since.unwrap_or(at));
                let ratio = evidence.exp();
                Verdict::Breach(Evidence::Sequential { since, treatment, control, ratio })
            }
            Test::Sustained { windows, limit, .. } => windows.verdict(at, *limit),
            Test::Value { .. } | Test::Incident => Verdict::NoData,
        };
        match MIN_HITS.checked_sub(self.hits_against_flag()).filter(|missing| *missing > 0) {
            Some(missing) if verdict.is_breach() => Verdict::Insufficient(Missing::Hits(missing)),
            _ => self.test.as_marked(verdict),
        }
    }

    /// Returns the hits that are evidence against the flag: treatment's, or control's if more is better.
    fn hits_against_flag(&self) -> u64 {
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
        if let Some((read, control)) = look.readings.get(&metric.name) {
            // After a gap between readings, it is unknown whether the value was beyond the limit in between.
            let is_gap = self
                .last_data_at
                .is_none_or(|last| look.at.saturating_sub(last) > self.stale_after);
            if !limit.is_exceeded(*read, *control) {
                *since = None;
            } else if since.is_none() || is_gap {
                *since = Some(look.at);
            }
            let control = control.filter(|_| matches!(limit, Limit::WorseThanControlBy { .. }));
            (self.last_data_at, *value) = (Some(look.at), Some((*read, control)));
        }
        let Some((last, (value, control))) = self.last_data_at.zip(*value) else {
            return Verdict::NoData;
        };
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
        shares: &mut TriggerShares<'_>,
    ) -> Test {
        let is_read = shares.read_metrics.contains(&&*metric.name);
        let Some((kind, limit)) = shares.add(metric, limit).filter(|_| !is_read) else {
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
            (None, ShareLimit::Fixed(limit)) => Test::Above { kind, limit, bets: Bets::new(WORSE) },
            (None, ShareLimit::OfControl { times, better }) => {
                Test::Worse { kind, times, better, bets: Bets::new(WORSE), control_before: None }
            }
        }
    }

    /// Converts the counts of unmarked requests in a verdict to marked requests, as the metric counts them.
    fn as_marked(&self, verdict: Verdict) -> Verdict {
        let (Test::Above { kind, .. } | Test::Sustained { kind, .. }) = self else {
            return verdict;
        };
        if !matches!(kind, ShareKind::Unmarked(_)) {
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
