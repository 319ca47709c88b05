//! Bets against "all is well": an e-process that may be looked at after every request.

/// A sequential test of binomial counts.
///
/// The null hypothesis is that an event is one of its kind with odds of at most `p / (1 - p)`, where
/// `p` may be another one with each look. Against it a gambler bets on the odds being so many times
/// as large: what a unit of money becomes is a supermartingale under the null hypothesis, so that it
/// ever reaches `1 / alpha` has a probability of at most `alpha`, whenever and however often one looks
/// (Ville 1939; Wald 1945 for the likelihood ratio, Robbins 1970 for the mixture).
///
/// The money is spread over the alternatives, and over the looks at which a bet begins: before the k-th,
/// [`left`] of it has begun nothing yet. So a fault after a thousand healthy looks is found about as soon
/// as one at once, at the price of a factor of about `k (ln k)^2`, and not of all that the healthy looks have
/// lost (Shin, Ramdas and Rinaldo 2022 on e-detectors).
#[derive(Clone, Debug)]
pub(super) struct Bets {
    /// Looks that had something in them.
    looks: f64,
    odds: Odds,
    /// The logarithm of what the bets on each alternative have become.
    wealth: [f64; ALTERNATIVES],
    /// What is left of the evidence of the second alternative since all was well last (Page 1954): for
    /// telling since when the counts are bad, and for no verdict.
    recent: f64,
}

/// How many times as large the odds are by each alternative.
pub(super) type Odds = [f64; ALTERNATIVES];

const ALTERNATIVES: usize = 6;

/// What makes a feature bad.
pub(super) const WORSE: Odds = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

/// What makes a split of users doubtful, which is to be much the same whatever the feature does.
pub(super) const UNEVEN: Odds = [1.01, 1.03, 1.1, 1.3, 2.0, 5.0];

impl Bets {
    pub(super) const fn new(odds: Odds) -> Bets {
        Bets { looks: 0.0, odds, wealth: [f64::NEG_INFINITY; ALTERNATIVES], recent: 0.0 }
    }

    /// One more look: `hits` of `trials` were of the kind, with a probability of at most `p` each
    /// where all is well.
    pub(super) fn look(&mut self, hits: u64, trials: u64, p: f64) {
        if trials == 0 {
            return;
        }
        let begins = (left(self.looks) - left(self.looks + 1.0)).ln();
        self.looks += 1.0;
        for (wealth, odds) in self.wealth.iter_mut().zip(self.odds) {
            *wealth = ln_sum(*wealth, begins) + ln_ratio(hits, trials, p, odds);
        }
        self.recent = (self.recent + ln_ratio(hits, trials, p, self.odds[1])).max(0.0);
    }

    /// Whether the last looks are no evidence at all.
    pub(super) fn is_well(&self) -> bool {
        self.recent == 0.0
    }

    /// The natural logarithm of the evidence: what a unit of money has become.
    pub(super) fn ln_evidence(&self) -> f64 {
        let kept = left(self.looks).ln();
        let share = -(ALTERNATIVES as f64).ln();
        self.wealth.iter().fold(kept, |sum, wealth| ln_sum(sum, wealth + share))
    }
}

/// The share of the money that no bet has begun with after so many looks: what falls slowest and is gone in
/// the end, nearly.
fn left(looks: f64) -> f64 {
    1.0 / (1.0 + (looks + 1.0).ln())
}

/// The logarithm of how much more likely `hits` of `trials` are with `odds` times the odds of `p`.
fn ln_ratio(hits: u64, trials: u64, p: f64, odds: f64) -> f64 {
    hits as f64 * odds.ln() - trials as f64 * (p * (odds - 1.0)).ln_1p()
}

/// `ln(e^a + e^b)`.
fn ln_sum(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// What a trial tells, on average and squared about that, where the event has a probability of `truth`
/// and at most `p` would be well: by the alternative that tells most.
pub(super) fn told_by_a_trial(truth: f64, p: f64) -> (f64, f64) {
    let of = |odds: f64| {
        let mean = truth * odds.ln() - (p * (odds - 1.0)).ln_1p();
        (mean, truth * (1.0 - truth) * odds.ln().powi(2))
    };
    WORSE.iter().map(|odds| of(*odds)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}

/// The evidence that a fault from the first look on has to make up for: the alternatives and looks that
/// the money was spread over.
pub(super) fn ln_spread() -> f64 {
    (ALTERNATIVES as f64 / (left(0.0) - left(1.0))).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by products of probabilities, one trial at a time.
    #[test]
    fn evidence_is_the_mixture_of_likelihood_ratios() {
        let looks = [(3, 40), (0, 25), (7, 60), (1, 1), (0, 0), (2, 9)];
        let mut bets = Bets::new(WORSE);
        let (mut told, mut wealth, mut cash) = (0.0, [0.0; ALTERNATIVES], 1.0_f64);
        for (index, (hits, trials)) in looks.into_iter().enumerate() {
            let p = 0.02 + 0.01 * index as f64;
            bets.look(hits, trials, p);
            if trials > 0 {
                told += 1.0;
                let stake = cash - 1.0 / (1.0 + f64::ln(told + 1.0));
                cash -= stake;
                for (wealth, odds) in wealth.iter_mut().zip(WORSE) {
                    let alternative = odds * p / (1.0 - p + odds * p);
                    *wealth += stake;
                    for trial in 0..trials {
                        *wealth *= if trial < hits {
                            alternative / p
                        } else {
                            (1.0 - alternative) / (1.0 - p)
                        };
                    }
                }
            }
            let mean = wealth.iter().sum::<f64>() / ALTERNATIVES as f64;
            let expected: f64 = mean + cash;
            assert!((bets.ln_evidence() - expected.ln()).abs() < 1e-9, "after look {index}");
        }
    }

    /// Nothing makes it other than a number: neither everything nor nothing.
    #[test]
    fn evidence_is_a_number_at_the_edges() {
        for p in [0.0, 1e-12, 0.5, 1.0] {
            for (hits, trials) in [(0, 1), (1, 1), (0, u64::MAX), (u64::MAX, u64::MAX)] {
                let mut bets = Bets::new(WORSE);
                for _ in 0..3 {
                    bets.look(hits, trials, p);
                }
                assert!(!bets.ln_evidence().is_nan(), "{hits} of {trials} at {p}");
            }
        }
        let mut bets = Bets::new(WORSE);
        bets.look(5, 5, 1.0);
        assert!(bets.ln_evidence() < 1e-9, "what is certain is no evidence");
    }
}
