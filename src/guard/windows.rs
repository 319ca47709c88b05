//! The test for a trigger with `for`: every window of that time is beyond the limit.

use std::collections::VecDeque;
use std::time::Duration;

use super::counts::ArmShares;
use super::share_limit::ShareLimit;
use super::verdict::{Evidence, Missing, Verdict};

/// The counts of a trigger's `for`, window by window.
///
/// A window has a twelfth of that time. It is large enough if [`MIN_EXPECTED_HITS`] hits are expected at the limit, or
/// as many other requests if these are rarer. A smaller window is joined to the next one, and the last ones to those
/// before. If no request comes for more than a quarter of the time, there is no verdict.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    lasts: Duration,
    /// Time of the first counts.
    begin: Option<Duration>,
    /// The windows with requests: the beginning and the counts of each.
    windows: VecDeque<(Duration, ArmShares)>,
}

/// Hits that a window must expect at the limit. With 16, a rate of 1.5 times the limit nearly always shows as beyond
/// it, and a rate of half the limit nearly never does.
const MIN_EXPECTED_HITS: f64 = 16.0;

/// Windows in a trigger's `for`.
const WINDOWS: u32 = 12;

impl Windows {
    pub(super) fn new(lasts: Duration) -> Windows {
        Windows { lasts, begin: None, windows: VecDeque::new() }
    }

    pub(super) fn look(&mut self, at: Duration, arms: ArmShares) {
        if arms.treatment.of > 0 {
            self.begin.get_or_insert(at);
            let width = (self.lasts / WINDOWS).max(Duration::from_millis(1));
            match self.windows.back_mut() {
                Some((begin, last)) if at.saturating_sub(*begin) < width => {
                    last.add(arms);
                }
                _ => self.windows.push_back((at, arms)),
            }
        }
        while self.windows.front().is_some_and(|(begin, _)| at.saturating_sub(*begin) > self.lasts)
        {
            self.windows.pop_front();
        }
    }

    pub(super) fn verdict(&self, at: Duration, limit: ShareLimit) -> Verdict {
        let seen = self.begin.map_or(Duration::ZERO, |begin| at.saturating_sub(begin));
        if let Some(missing) = self.lasts.checked_sub(seen).filter(|missing| !missing.is_zero()) {
            return Verdict::Insufficient(Missing::Time(missing));
        }
        if let Some(gap) = self.gap(at) {
            return Verdict::Insufficient(Missing::Time(gap));
        }
        let (mut joined, mut open): (Vec<ArmShares>, _) = (Vec::new(), ArmShares::default());
        for (_, window) in &self.windows {
            open.add(*window);
            if open.treatment.of as f64 * limit.expected(open.control) >= MIN_EXPECTED_HITS {
                joined.push(std::mem::take(&mut open));
            }
        }
        let Some(last) = joined.last_mut() else {
            let needed = requests(limit.expected(open.control));
            return Verdict::Insufficient(Missing::Requests(
                needed.saturating_sub(open.treatment.of),
            ));
        };
        last.add(open);
        let mut all = ArmShares::default();
        joined.iter().for_each(|it| all.add(*it));
        if joined.iter().all(|it| limit.is_beyond(it)) {
            let control = match limit {
                ShareLimit::Fixed(_) => None,
                ShareLimit::OfControl { .. } => Some((all.control.hits, all.control.of)),
            };
            let (treatment, windows) = ((all.treatment.hits, all.treatment.of), joined.len());
            Verdict::Breach(Evidence::Windows { treatment, control, windows })
        } else {
            Verdict::Pass
        }
    }

    /// Returns the longest time without a request, if it is too long for a verdict.
    fn gap(&self, at: Duration) -> Option<Duration> {
        let begins = self.windows.iter().map(|(begin, _)| *begin);
        let ends = begins.clone().skip(1).chain([at]);
        let first =
            begins.clone().next().unwrap_or(at).saturating_sub(at.saturating_sub(self.lasts));
        let gaps = begins.zip(ends).map(|(begin, end)| end.saturating_sub(begin)).chain([first]);
        gaps.max().filter(|gap| *gap > self.lasts / 4)
    }
}

/// Returns the number of requests in which enough hits are expected at a limit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is positive"
)]
fn requests(limit: f64) -> u64 {
    (MIN_EXPECTED_HITS / limit.max(f64::MIN_POSITIVE)).ceil() as u64
}
