//! Tests that compare the formulas with scipy. `tests/data/make_guard.py` writes the expected results;
//! `power.rs` has more of these tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;

use super::bets::{Bets, UNEVEN, WORSE, evidence_per_trial, ln_spread};
use super::counts::Share;
use super::share_limit::odds_share;

/// Relative tolerance: half a unit of the last of the file's twelve digits, and a small rounding error.
pub(super) const TWELVE_DIGITS: f64 = 6e-12;

/// Relative tolerance for a formula that subtracts large numbers or has a constant of ten digits.
pub(super) const NINE_DIGITS: f64 = 1e-9;

/// Returns the rows of a table, and fails if it has none.
pub(super) fn rows(table: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../tests/data/guard.json")).unwrap();
    let rows = all[table].as_array().unwrap();
    assert!(!rows.is_empty(), "{table}");
    rows.clone()
}

/// Returns a row that consists of `N` numbers.
pub(super) fn numbers<const N: usize>(row: &Value) -> [f64; N] {
    let numbers: Vec<f64> = row.as_array().unwrap().iter().map(number).collect();
    numbers.try_into().unwrap()
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Returns whether `found` is within this relative tolerance of `known`.
pub(super) fn is_near(found: f64, known: f64, tolerance: f64) -> bool {
    (found - known).abs() <= tolerance * known.abs()
}

/// Nine digits or decimals: the evidence is a sum of large logarithms that may cancel.
#[test]
fn evidence_is_the_mixture_over_all_factors_and_beginnings() {
    for row in rows("evidence") {
        let odds = if row[0] == "worse" { WORSE } else { UNEVEN };
        let mut bets = Bets::new(odds);
        for (look, known) in row[1].as_array().unwrap().iter().zip(row[2].as_array().unwrap()) {
            let (hits, trials) = (look[0].as_u64().unwrap(), look[1].as_u64().unwrap());
            bets.look(hits, trials, number(&look[2]));
            let (found, known) = (bets.ln_evidence(), number(known));
            let off = (found - known).abs();
            assert!(off <= NINE_DIGITS * known.abs().max(1.0), "{found}, not {known}: {row}");
        }
    }
}

#[test]
fn spreading_the_money_costs_what_scipy_says() {
    let [known] = numbers(&rows("spread")[0]);
    assert!(is_near(ln_spread(), known, TWELVE_DIGITS), "{}", ln_spread());
}

#[test]
fn treatment_s_share_of_the_hits_is_that_of_two_poisson_counts() {
    for row in rows("share") {
        let [treatment, control, times, known] = numbers(&row);
        let found = odds_share(treatment, control, times);
        assert!(is_near(found, known, TWELVE_DIGITS), "{found}: {row}");
    }
}

/// Nine digits: the constant for 99% has ten.
#[test]
fn the_upper_bound_of_a_rate_is_wilson_s() {
    for row in rows("wilson") {
        let [_, _, known] = numbers(&row);
        let share = Share { hits: row[0].as_u64().unwrap(), of: row[1].as_u64().unwrap() };
        assert!(is_near(share.at_most(), known, NINE_DIGITS), "{}: {row}", share.at_most());
    }
}

/// Nine digits: the evidence of hits and of other requests may nearly cancel.
#[test]
fn the_evidence_of_a_trial_is_the_mean_over_its_two_outcomes() {
    for row in rows("told") {
        let [truth, p, mean, variance] = numbers(&row);
        let found = evidence_per_trial(truth, p);
        assert!(is_near(found.0, mean, NINE_DIGITS), "{found:?}: {row}");
        assert!(is_near(found.1, variance, NINE_DIGITS), "{found:?}: {row}");
    }
}
