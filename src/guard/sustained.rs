//! "For an hour": every window of the last hour beyond the limit.

use std::collections::VecDeque;
use std::time::Duration;

use super::counted::ShareLimit;
use super::counts::Share;
use super::verdict::{Evidence, Missing, Verdict};

/// The counts of the time that a trigger asks for, window by window.
///
/// A window has a twelfth of that time. A window is large enough if it expects [`EXPECTED`] hits at the limit, or as
/// many other requests if these are rarer. A smaller window is joined to the next ones, and the last ones to those before.
/// A gap of a quarter of the time without a request leaves the whole without a verdict.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    lasts: Duration,
    /// When the first counts came.
    begin: Option<Duration>,
    /// The beginning of each window that has requests, and what was counted in it.
    windows: VecDeque<(Duration, Pair)>,
}

/// Treatment, and control where there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pair {
    pub(super) treatment: Share,
    pub(super) control: Share,
}

/// Hits that a window has to expect at the limit: so many that half as many again are nearly always seen, and
/// half as many nearly never taken for more.
const EXPECTED: f64 = 16.0;

/// Windows of the time that a trigger asks for.
const WINDOWS: u32 = 12;

impl Windows {
    pub(super) fn new(lasts: Duration) -> Windows {
        Windows { lasts, begin: None, windows: VecDeque::new() }
    }

    pub(super) fn look(&mut self, at: Duration, pair: Pair) {
        if pair.treatment.of > 0 {
            self.begin.get_or_insert(at);
            let width = (self.lasts / WINDOWS).max(Duration::from_millis(1));
            match self.windows.back_mut() {
                Some((begin, last)) if at.saturating_sub(*begin) < width => {
                    last.treatment.add(pair.treatment);
                    last.control.add(pair.control);
                }
                _ => self.windows.push_back((at, pair)),
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
        let (mut joined, mut open): (Vec<Pair>, Pair) = (Vec::new(), Pair::default());
        for (_, window) in &self.windows {
            open.treatment.add(window.treatment);
            open.control.add(window.control);
            if open.treatment.of as f64 * limit.expected(open.control) >= EXPECTED {
                joined.push(std::mem::take(&mut open));
            }
        }
        let Some(last) = joined.last_mut() else {
            let needed = requests(limit.expected(open.control));
            return Verdict::Insufficient(Missing::Requests(
                needed.saturating_sub(open.treatment.of),
            ));
        };
        last.treatment.add(open.treatment);
        last.control.add(open.control);
        let mut all = Pair::default();
        joined.iter().for_each(|it| {
            all.treatment.add(it.treatment);
            all.control.add(it.control);
        });
        if joined.iter().all(|it| limit.is_beyond(it)) {
            let control = match limit {
                ShareLimit::Is(_) => None,
                ShareLimit::OfControl { .. } => Some((all.control.hits, all.control.of)),
            };
            let (treatment, windows) = ((all.treatment.hits, all.treatment.of), joined.len());
            Verdict::Breach(Evidence::Windows { treatment, control, windows })
        } else {
            Verdict::Pass
        }
    }

    /// The longest time without a request, where that is too long.
    fn gap(&self, at: Duration) -> Option<Duration> {
        let begins = self.windows.iter().map(|(begin, _)| *begin);
        let ends = begins.clone().skip(1).chain([at]);
        let first =
            begins.clone().next().unwrap_or(at).saturating_sub(at.saturating_sub(self.lasts));
        let gaps = begins.zip(ends).map(|(begin, end)| end.saturating_sub(begin)).chain([first]);
        gaps.max().filter(|gap| *gap > self.lasts / 4)
    }
}

/// How many requests are needed to expect enough hits of them at a limit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is positive"
)]
fn requests(limit: f64) -> u64 {
    (EXPECTED / limit.max(f64::MIN_POSITIVE)).ceil() as u64
}
