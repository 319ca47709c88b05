//! A sequential test by betting: an e-process, which stays valid however often you look.

/// A sequential test of binomial counts.
///
/// The null hypothesis: each trial is a hit with a probability of at most `p`, that is, with odds of at most
/// `p / (1 - p)`. Each look has its own `p`. A gambler bets that the odds are larger by one of several factors.
/// Under the null hypothesis, the gambler's wealth is a supermartingale that starts at 1. So it ever reaches
/// `1 / alpha` with a probability of at most `alpha`, whenever and however often you look (Ville 1939). The bets
/// are likelihood ratios (Wald 1945), and the wealth is their mixture over the factors (Robbins 1970).
///
/// The money is also spread over the looks at which a bet begins. After `k` looks, [`unbet_share`] of the money is
/// not in a bet yet, so healthy looks cannot lose it. A fault after `k` healthy looks needs about `k (ln k)^2` times
/// as much evidence as a fault from the start (Shin, Ramdas and Rinaldo 2022 on e-detectors).
#[derive(Clone, Debug)]
pub(super) struct Bets {
    /// Number of looks with at least one trial.
    looks: f64,
    factors: Factors,
    /// For each factor, the natural logarithm of the wealth of its bets.
    wealth: [f64; FACTORS],
    /// Cumulative sum (Page 1954) of the log likelihood ratio for the second factor, never below 0. Zero means
    /// that the latest looks are healthy. It dates the beginning of a fault and decides no verdict.
    recent: f64,
}

/// The factors by which the odds may be larger.
pub(super) type Factors = [f64; FACTORS];

const FACTORS: usize = 6;

/// The factors for triggers.
pub(super) const WORSE: Factors = [1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

/// The factors for the split of users. They are smaller, because a sound split hardly varies.
pub(super) const UNEVEN: Factors = [1.01, 1.03, 1.1, 1.3, 2.0, 5.0];

impl Bets {
    pub(super) const fn new(factors: Factors) -> Bets {
        Bets { looks: 0.0, factors, wealth: [f64::NEG_INFINITY; FACTORS], recent: 0.0 }
    }

    /// Adds a look with `hits` in `trials`; `p` is the largest probability of a hit under the null hypothesis.
    pub(super) fn look(&mut self, hits: u64, trials: u64, p: f64) {
        if trials == 0 {
            return;
        }
        let begins = (unbet_share(self.looks) - unbet_share(self.looks + 1.0)).ln();
        self.looks += 1.0;
        for (wealth, factor) in self.wealth.iter_mut().zip(self.factors) {
            *wealth = ln_sum(*wealth, begins) + ln_ratio(hits, trials, p, factor);
        }
        self.recent = (self.recent + ln_ratio(hits, trials, p, self.factors[1])).max(0.0);
    }

    /// Returns whether the latest looks hold no evidence of a fault.
    pub(super) fn has_no_recent_evidence(&self) -> bool {
        self.recent == 0.0
    }

    /// Returns the natural logarithm of the evidence: the total wealth, unbet money included.
    pub(super) fn ln_evidence(&self) -> f64 {
        let unbet = unbet_share(self.looks).ln();
        let share = -(FACTORS as f64).ln();
        self.wealth.iter().fold(unbet, |sum, wealth| ln_sum(sum, wealth + share))
    }
}

/// The share of the money that is in no bet after this many looks: `1 / (1 + ln(looks + 1))`.
fn unbet_share(looks: f64) -> f64 {
    1.0 / (1.0 + (looks + 1.0).ln())
}

/// The natural logarithm of the likelihood ratio of `hits` in `trials`: the odds of `p` multiplied by the factor `r`,
/// against the odds of `p`. That is `ln(r^hits / (1 + p (r - 1))^trials)`.
fn ln_ratio(hits: u64, trials: u64, p: f64, r: f64) -> f64 {
    hits as f64 * r.ln() - trials as f64 * (p * (r - 1.0)).ln_1p()
}

/// `ln(e^a + e^b)`.
fn ln_sum(a: f64, b: f64) -> f64 {
    let (low, high) = (a.min(b), a.max(b));
    if high == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Returns the mean and the variance of the evidence (in natural logarithms) that one trial adds, for the factor
/// in [`WORSE`] with the largest mean. `truth` is the probability of a hit, `p` its limit.
pub(super) fn evidence_per_trial(truth: f64, p: f64) -> (f64, f64) {
    let of = |r: f64| {
        let mean = truth * r.ln() - (p * (r - 1.0)).ln_1p();
        (mean, truth * (1.0 - truth) * r.ln().powi(2))
    };
    WORSE.iter().map(|factor| of(*factor)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a })
}

/// Returns the additional evidence, as a natural logarithm, that a bet on one factor from the first look needs. It
/// pays for the money that is spread over other factors and later looks.
pub(super) fn ln_spread() -> f64 {
    (FACTORS as f64 / (unbet_share(0.0) - unbet_share(1.0))).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes the mixture from products of probabilities, one trial at a time.
    #[test]
    fn evidence_is_the_mixture_of_likelihood_ratios() {
        let looks = [(3, 40), (0, 25), (7, 60), (1, 1), (0, 0), (2, 9)];
        let mut bets = Bets::new(WORSE);
        let (mut counted, mut wealth, mut unbet) = (0.0, [0.0; FACTORS], 1.0_f64);
        for (index, (hits, trials)) in looks.into_iter().enumerate() {
            let p = 0.02 + 0.01 * index as f64;
            bets.look(hits, trials, p);
            if trials > 0 {
                counted += 1.0;
                let stake = unbet - 1.0 / (1.0 + f64::ln(counted + 1.0));
                unbet -= stake;
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
            let mean = wealth.iter().sum::<f64>() / FACTORS as f64;
            let expected: f64 = mean + unbet;
            assert!((bets.ln_evidence() - expected.ln()).abs() < 1e-9, "after look {index}");
        }
    }

    /// Evidence is never NaN, also with no hits, only hits, or a limit of 0 or 1.
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
        assert!(bets.ln_evidence() < 1e-9, "hits that are certain are no evidence");
    }
}
