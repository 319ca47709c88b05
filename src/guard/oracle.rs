//! The formulas, held to what scipy gives: `tests/data/make_guard.py` writes the file. Those of `power.rs`
//! are held to it there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;

use super::bets::{Bets, UNEVEN, WORSE, ln_spread, told_by_a_trial};
use super::counted::odds_share;
use super::counts::Share;

/// Half a unit of the last digit that the file has, and as much as a formula loses that loses nothing much.
pub(super) const TWELVE_DIGITS: f64 = 6e-12;

/// Where a formula takes the difference of large numbers, or has a constant of ten digits.
pub(super) const NINE_DIGITS: f64 = 1e-9;

/// The rows of a table, of which there are some.
pub(super) fn rows(table: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../../tests/data/guard.json")).unwrap();
    let rows = all[table].as_array().unwrap();
    assert!(!rows.is_empty(), "{table}");
    rows.clone()
}

/// A row of numbers alone.
pub(super) fn numbers<const N: usize>(row: &Value) -> [f64; N] {
    let numbers: Vec<f64> = row.as_array().unwrap().iter().map(number).collect();
    numbers.try_into().unwrap()
}

pub(super) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Whether it is that, but for a share of it.
pub(super) fn is_near(found: f64, known: f64, share: f64) -> bool {
    (found - known).abs() <= share * known.abs()
}

/// To nine digits, or as many places: it is a sum of logarithms, large ones that may cancel.
#[test]
fn evidence_is_the_mixture_over_all_alternatives_and_beginnings() {
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
fn a_fault_from_the_first_look_on_makes_up_for_the_spread() {
    let [known] = numbers(&rows("spread")[0]);
    assert!(is_near(ln_spread(), known, TWELVE_DIGITS), "{}", ln_spread());
}

#[test]
fn an_error_is_of_treatment_as_one_of_two_poisson_counts() {
    for row in rows("share") {
        let [treatment, control, times, known] = numbers(&row);
        let found = odds_share(treatment, control, times);
        assert!(is_near(found, known, TWELVE_DIGITS), "{found}: {row}");
    }
}

/// To nine digits: the deviate has ten.
#[test]
fn a_rate_is_at_most_the_root_of_the_score() {
    for row in rows("wilson") {
        let [_, _, known] = numbers(&row);
        let share = Share { hits: row[0].as_u64().unwrap(), of: row[1].as_u64().unwrap() };
        assert!(is_near(share.at_most(), known, NINE_DIGITS), "{}: {row}", share.at_most());
    }
}

/// To nine digits: what hits tell and what others tell may nearly cancel.
#[test]
fn a_trial_tells_the_mean_of_its_two_outcomes() {
    for row in rows("told") {
        let [truth, p, mean, variance] = numbers(&row);
        let found = told_by_a_trial(truth, p);
        assert!(is_near(found.0, mean, NINE_DIGITS), "{found:?}: {row}");
        assert!(is_near(found.1, variance, NINE_DIGITS), "{found:?}: {row}");
    }
}
