//! Numbers with their units, as thresholds are written.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::percent::{self, DecimalError, Percent};
use crate::plan::model::time::duration::{self, ParseDurationError};
use crate::plan::model::word::Word;

/// What a metric is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// A share of 0% to 100%: `"1%"`.
    Percent,
    /// A time: `"2s"`, `"250ms"`, `"1m"`.
    Duration,
    /// A whole number of something: `"20"`.
    Count,
}

/// A number with its unit. Printed as a document writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// `"1%"`
    Percent(Percent),
    /// `"2s"`
    Duration(Duration),
    /// `"20"`
    Count(u64),
}

/// On which side of a number a metric has to be: `"< 1%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The side.
    pub comparison: Comparison,
    /// The number.
    pub value: Quantity,
}

/// How a metric compares with a bound's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `>=`
    AtLeast,
}

/// By how much treatment may be worse than control, relative to control: `"50%"` is half as much
/// again, `"150%"` two and a half times as much.
///
/// # Units
///
/// Parts per million of control's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Increase {
    ppm: u32,
}

/// The largest count that a document may write: a million million.
pub(in crate::plan::model) const MAX_COUNT: u64 = 1_000_000_000_000;

/// The largest [`Increase`] in percent, a hundred times as much again.
const MAX_INCREASE: u32 = 10_000;

impl Quantity {
    /// Reads `1%`, `2s` or `20`, as the unit asks.
    ///
    /// # Errors
    ///
    /// [`ParseQuantityError`] when it is none, says another unit, or is too large.
    pub fn parse(text: &str, unit: Unit) -> Result<Quantity, ParseQuantityError> {
        Ok(Quantity::read(text, unit)?)
    }

    fn read(text: &str, unit: Unit) -> Result<Quantity, NoQuantity> {
        match unit {
            Unit::Percent => parse_percent(text, 100)
                .and_then(|ppm| Percent::from_ppm(ppm).ok_or(NoQuantity::Percent(100)))
                .map(Quantity::Percent),
            Unit::Duration => Ok(Quantity::Duration(duration::parse(text)?)),
            Unit::Count => parse_count(text).map(Quantity::Count),
        }
    }

    /// Which of two is more; `None` where their units differ.
    pub(crate) fn compare(self, other: Quantity) -> Option<Ordering> {
        match (self, other) {
            (Quantity::Percent(a), Quantity::Percent(b)) => Some(a.cmp(&b)),
            (Quantity::Duration(a), Quantity::Duration(b)) => Some(a.cmp(&b)),
            (Quantity::Count(a), Quantity::Count(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }
}

impl Bound {
    /// Reads a comparison and a quantity: `< 1%`, `>=2s`.
    pub(in crate::plan::model) fn parse(text: &str, unit: Unit) -> Result<Bound, NoQuantity> {
        let text = text.trim();
        let (comparison, value) =
            [Comparison::AtMost, Comparison::AtLeast, Comparison::Below, Comparison::Above]
                .into_iter()
                .find_map(|comparison| Some((comparison, text.strip_prefix(comparison.sign())?)))
                .ok_or(NoQuantity::NoComparison)?;
        Ok(Bound { comparison, value: Quantity::read(value.trim_start(), unit)? })
    }

    /// Whether a quantity of the same unit is within it. Of another unit, none is.
    #[must_use]
    pub fn holds(&self, value: Quantity) -> bool {
        let ordering = value.compare(self.value);
        ordering.is_some_and(|ordering| match self.comparison {
            Comparison::Below => ordering.is_lt(),
            Comparison::AtMost => ordering.is_le(),
            Comparison::Above => ordering.is_gt(),
            Comparison::AtLeast => ordering.is_ge(),
        })
    }

    /// Whether small numbers are within it.
    pub(in crate::plan::model) fn is_upper(&self) -> bool {
        matches!(self.comparison, Comparison::Below | Comparison::AtMost)
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

impl Increase {
    /// The increase by that many parts per million; `None` for none at all, and above 100,000,000,
    /// which is 10,000%.
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Increase> {
        if 0 < ppm && ppm <= MAX_INCREASE * (percent::PPM / 100) {
            Some(Increase { ppm })
        } else {
            None
        }
    }

    /// Reads `50%`.
    pub(in crate::plan::model) fn parse(text: &str) -> Result<Increase, NoQuantity> {
        let ppm = parse_percent(text, MAX_INCREASE)?;
        Increase::from_ppm(ppm).ok_or(NoQuantity::NoIncrease)
    }
    /// Parts per million of control's value: 500,000 is `"50%"`.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Percent(percent) => write!(f, "{percent}%"),
            Quantity::Duration(duration) => duration::write(*duration, f),
            Quantity::Count(count) => count.fmt(f),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.sign())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison, self.value)
    }
}

impl fmt::Display for Increase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        percent::write(self.ppm, f)?;
        f.write_str("%")
    }
}

/// Why a text is no quantity of the unit it should have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct ParseQuantityError(#[from] NoQuantity);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::plan::model) enum NoQuantity {
    #[error("without a comparison")]
    NoComparison,
    #[error("not a percentage")]
    NotPercent,
    #[error("a percentage that is not a plain decimal number")]
    NotDecimal,
    #[error("negative")]
    Negative,
    #[error("more than {0}%")]
    Percent(u32),
    #[error("finer than 0.0001%, one part per million")]
    TooFine,
    #[error("{0}")]
    Duration(#[from] ParseDurationError),
    #[error("not a whole number")]
    NotCount,
    #[error("more than {MAX_COUNT}")]
    Count,
    #[error("no increase at all")]
    NoIncrease,
}

/// Parts per million of a decimal with its percent sign.
fn parse_percent(text: &str, max: u32) -> Result<u32, NoQuantity> {
    let decimal = text.trim().strip_suffix('%').ok_or(NoQuantity::NotPercent)?;
    percent::read(decimal.trim_end(), max).map_err(|error| match error {
        DecimalError::NotDecimal => NoQuantity::NotDecimal,
        DecimalError::Negative => NoQuantity::Negative,
        DecimalError::TooLarge => NoQuantity::Percent(max),
        DecimalError::TooFine => NoQuantity::TooFine,
    })
}

/// Digits only, perhaps with `_` between them, as TOML has it: neither a sign nor a point.
pub(in crate::plan::model) fn parse_count(text: &str) -> Result<u64, NoQuantity> {
    let text = text.trim();
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !text.split('_').all(is_digits) {
        let rest = text.strip_prefix('-').unwrap_or_default();
        let is_negative = rest.starts_with(|c: char| c.is_ascii_digit());
        return Err(if is_negative { NoQuantity::Negative } else { NoQuantity::NotCount });
    }
    let count = text.replace('_', "").parse().ok().filter(|count| *count <= MAX_COUNT);
    count.ok_or(NoQuantity::Count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantity() -> impl Strategy<Value = (Unit, Quantity)> {
        let percent = (0..=percent::PPM).prop_map(|ppm| {
            (Unit::Percent, Quantity::Percent(Percent::from_ppm(ppm).expect("in range")))
        });
        let duration = (1..=315_360_000_000_u64)
            .prop_map(|ms| (Unit::Duration, Quantity::Duration(Duration::from_millis(ms))));
        let count = (0..=MAX_COUNT).prop_map(|count| (Unit::Count, Quantity::Count(count)));
        prop_oneof![percent, duration, count]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back((unit, value) in quantity(), ppm in 1..=100_000_000_u32) {
            prop_assert_eq!(Quantity::parse(&value.to_string(), unit), Ok(value));
            let signs =
                [Comparison::Below, Comparison::AtMost, Comparison::Above, Comparison::AtLeast];
            for comparison in signs {
                let bound = Bound { comparison, value };
                prop_assert_eq!(Bound::parse(&bound.to_string(), unit), Ok(bound));
                prop_assert_eq!(Bound::parse(&format!("{comparison}{value}"), unit), Ok(bound));
            }
            let increase = Increase::from_ppm(ppm).expect("in range");
            prop_assert_eq!(Increase::parse(&increase.to_string()), Ok(increase));
        }
    }

    #[test]
    fn bounds_are_a_comparison_and_an_exact_number() {
        let read = |text, unit| Bound::parse(text, unit).map(|bound| bound.to_string());
        for (text, unit, written) in [
            ("< 1%", Unit::Percent, "< 1%"),
            ("<=0.0001 %", Unit::Percent, "<= 0.0001%"),
            ("  >  99.50%  ", Unit::Percent, "> 99.5%"),
            (">=250ms", Unit::Duration, ">= 250ms"),
            ("< 1m 30s", Unit::Duration, "< 90s"),
            ("< 48h", Unit::Duration, "< 2d"),
            ("> 2_000", Unit::Count, "> 2000"),
            ("< 0007", Unit::Count, "< 7"),
        ] {
            assert_eq!(read(text, unit).as_deref(), Ok(written), "{text}");
        }
        for (text, unit, wrong) in [
            ("1%", Unit::Percent, "without a comparison"),
            ("= 1%", Unit::Percent, "without a comparison"),
            ("=< 1%", Unit::Percent, "without a comparison"),
            ("< 1", Unit::Percent, "not a percentage"),
            ("< 2s", Unit::Percent, "not a percentage"),
            ("<< 1%", Unit::Percent, "a percentage that is not a plain decimal number"),
            ("< 1e1%", Unit::Percent, "a percentage that is not a plain decimal number"),
            ("< -1%", Unit::Percent, "negative"),
            ("< 101%", Unit::Percent, "more than 100%"),
            ("< 0.00001%", Unit::Percent, "finer than 0.0001%, one part per million"),
            ("< 2", Unit::Duration, "not a duration"),
            ("< 0s", Unit::Duration, "no time at all"),
            ("< 1.5s", Unit::Duration, "not a duration"),
            ("< 1%", Unit::Count, "not a whole number"),
            ("< 1.5", Unit::Count, "not a whole number"),
            ("< 1__000", Unit::Count, "not a whole number"),
            ("< -3", Unit::Count, "negative"),
            ("< 1000000000001", Unit::Count, "more than 1000000000000"),
            ("< 99999999999999999999", Unit::Count, "more than 1000000000000"),
        ] {
            let error = Bound::parse(text, unit).expect_err(text);
            assert_eq!(error.to_string(), wrong, "{text}");
        }
    }

    #[test]
    fn increases_are_exact_and_bounded() {
        let ppm = |text| Increase::parse(text).map(Increase::ppm).map_err(|e| e.to_string());
        assert_eq!(ppm("50%"), Ok(500_000));
        assert_eq!(ppm("0.0001%"), Ok(1));
        assert_eq!(ppm("10000%"), Ok(100_000_000));
        assert_eq!(ppm("150.5 %"), Ok(1_505_000));
        for (text, wrong) in [
            ("0%", "no increase at all"),
            ("10000.0001%", "more than 10000%"),
            ("50", "not a percentage"),
            ("-5%", "negative"),
            ("99999999999%", "more than 10000%"),
        ] {
            assert_eq!(ppm(text), Err(wrong.to_owned()), "{text}");
        }
    }
}
