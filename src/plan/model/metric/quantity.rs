//! Quantities (numbers with a unit) and bounds, as documents write them.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::percent::{self, DecimalError, Percent};
use crate::plan::model::metric::number::{Number, ParseNumberError};
use crate::plan::model::time::duration::{ParseDurationError, WrittenDuration};
use crate::plan::model::word::{Word as _, words};

words! {
    /// The unit of a metric.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Unit: "not a unit of a metric" {
        /// A share of 0% to 100%: `"1%"`.
        Percent = "percent",
        /// A length of time: `"2s"`, `"250ms"`, `"1m"`.
        Duration = "duration",
        /// A whole number: `"20"`.
        Count = "count",
        /// A decimal number, perhaps negative: `"-3.5"`.
        Number = "number",
    }
}

impl Unit {
    /// Returns the unit with this name.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn of_name(name: &str) -> Option<Unit> {
        Unit::of_word(name)
    }
}

/// A number with its unit. Printed as in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Quantity {
    /// `"1%"`
    Percent(Percent),
    /// `"2s"`
    Duration(Duration),
    /// `"20"`
    Count(u64),
    /// `"-3.5"`
    Number(Number),
}

/// A condition for the value of a metric: `"< 1%"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The comparison that must hold.
    pub comparison: Comparison,
    /// The quantity to compare with.
    pub value: Quantity,
}

/// The comparison of a metric's value with a bound.
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

/// The largest count in a document.
pub(in crate::plan::model) const MAX_COUNT: u64 = 1_000_000_000_000;

impl Quantity {
    /// Parses `1%`, `2s`, `20` or `-3.5`, depending on the unit.
    ///
    /// # Errors
    ///
    /// [`ParseQuantityError`] if the text is not a quantity, has another unit, or is out of range.
    pub fn parse(text: &str, unit: Unit) -> Result<Quantity, ParseQuantityError> {
        Ok(Quantity::read(text, unit)?)
    }

    fn read(text: &str, unit: Unit) -> Result<Quantity, QuantityError> {
        match unit {
            Unit::Percent => parse_percent(text, 100)
                .and_then(|ppm| Percent::from_ppm(ppm).ok_or(QuantityError::PercentTooLarge(100)))
                .map(Quantity::Percent),
            Unit::Duration => Ok(Quantity::Duration(*WrittenDuration::parse(text)?)),
            Unit::Count => parse_count(text).map(Quantity::Count),
            Unit::Number => Ok(Quantity::Number(text.trim().parse()?)),
        }
    }

    /// Returns the unit.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::model::{Quantity, Unit};
    ///
    /// assert_eq!(Quantity::parse("-3.5", Unit::Number)?.unit(), Unit::Number);
    /// # Ok::<(), stagegate::model::ParseQuantityError>(())
    /// ```
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Quantity::Percent(_) => Unit::Percent,
            Quantity::Duration(_) => Unit::Duration,
            Quantity::Count(_) => Unit::Count,
            Quantity::Number(_) => Unit::Number,
        }
    }

    /// Compares two quantities. `None` if their units differ.
    pub(crate) fn compare(self, other: Quantity) -> Option<Ordering> {
        match (self, other) {
            (Quantity::Percent(a), Quantity::Percent(b)) => Some(a.cmp(&b)),
            (Quantity::Duration(a), Quantity::Duration(b)) => Some(a.cmp(&b)),
            (Quantity::Count(a), Quantity::Count(b)) => Some(a.cmp(&b)),
            (Quantity::Number(a), Quantity::Number(b)) => Some(a.cmp(&b)),
            _ => None,
        }
    }
}

impl Bound {
    /// Parses a comparison and a quantity: `< 1%`, `>=2s`.
    pub(in crate::plan::model) fn parse(text: &str, unit: Unit) -> Result<Bound, QuantityError> {
        let text = text.trim();
        let (comparison, value) =
            [Comparison::AtMost, Comparison::AtLeast, Comparison::Below, Comparison::Above]
                .into_iter()
                .find_map(|comparison| Some((comparison, text.strip_prefix(comparison.sign())?)))
                .ok_or(QuantityError::MissingComparison)?;
        Ok(Bound { comparison, value: Quantity::read(value.trim_start(), unit)? })
    }

    /// Returns whether a quantity is within the bound. False if it has another unit.
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

    /// Returns whether the bound is an upper limit, so that small numbers are within it.
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

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Percent(percent) => write!(f, "{percent}%"),
            // Always in the same unit: records of the journal know a trigger and a target by this text.
            Quantity::Duration(duration) => WrittenDuration::from(*duration).fmt(f),
            Quantity::Count(count) => count.fmt(f),
            Quantity::Number(number) => number.fmt(f),
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

/// The error for a text that is not a quantity of the expected unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(transparent)]
pub struct ParseQuantityError(#[from] QuantityError);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::plan::model) enum QuantityError {
    #[error("without a comparison")]
    MissingComparison,
    #[error("not a percentage")]
    NotPercent,
    #[error("a percentage that is not a plain decimal number")]
    NotDecimal,
    #[error("negative")]
    Negative,
    #[error("more than {0}%")]
    PercentTooLarge(u32),
    #[error("finer than 0.0001%, one part per million")]
    TooFine,
    #[error("{0}")]
    Duration(#[from] ParseDurationError),
    #[error("not a whole number")]
    NotCount,
    #[error("more than {MAX_COUNT}")]
    CountTooLarge,
    #[error("{0}")]
    Number(#[from] ParseNumberError),
    #[error("no increase at all")]
    ZeroIncrease,
}

/// Parses a decimal with a percent sign and returns parts per million. `max` is in percent.
pub(super) fn parse_percent(text: &str, max: u32) -> Result<u32, QuantityError> {
    let decimal = text.trim().strip_suffix('%').ok_or(QuantityError::NotPercent)?;
    percent::parse_ppm(decimal.trim_end(), max).map_err(|error| match error {
        DecimalError::NotDecimal => QuantityError::NotDecimal,
        DecimalError::Negative => QuantityError::Negative,
        DecimalError::TooLarge => QuantityError::PercentTooLarge(max),
        DecimalError::TooFine => QuantityError::TooFine,
    })
}

/// Parses a whole number: digits, with `_` between them as in TOML. No sign and no point.
pub(in crate::plan::model) fn parse_count(text: &str) -> Result<u64, QuantityError> {
    let text = text.trim();
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !text.split('_').all(is_digits) {
        let rest = text.strip_prefix('-').unwrap_or_default();
        let is_negative = rest.starts_with(|c: char| c.is_ascii_digit());
        return Err(if is_negative { QuantityError::Negative } else { QuantityError::NotCount });
    }
    let count = text.replace('_', "").parse().ok().filter(|count| *count <= MAX_COUNT);
    count.ok_or(QuantityError::CountTooLarge)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::model::metric::increase::Increase;

    fn quantity() -> impl Strategy<Value = (Unit, Quantity)> {
        let percent = (0..=percent::PPM).prop_map(|ppm| {
            (Unit::Percent, Quantity::Percent(Percent::from_ppm(ppm).expect("in range")))
        });
        let duration = (1..=315_360_000_000_u64)
            .prop_map(|ms| (Unit::Duration, Quantity::Duration(Duration::from_millis(ms))));
        let count = (0..=MAX_COUNT).prop_map(|count| (Unit::Count, Quantity::Count(count)));
        let millionths = Number::MIN.millionths()..=Number::MAX.millionths();
        let number = millionths.prop_map(|millionths| {
            let number = Number::from_millionths(millionths).expect("in range");
            (Unit::Number, Quantity::Number(number))
        });
        prop_oneof![percent, duration, count, number]
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
            ("> 7", Unit::Number, "> 7"),
            (">= -0.50", Unit::Number, ">= -0.5"),
            ("<-1_000.000001", Unit::Number, "< -1000.000001"),
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
            ("> 7%", Unit::Number, "not a plain decimal number"),
            ("> - 7", Unit::Number, "not a plain decimal number"),
            ("> 1e3", Unit::Number, "not a plain decimal number"),
            ("> 0.0000001", Unit::Number, "finer than 0.000001, one millionth"),
            ("> 1000000000001", Unit::Number, "more than 1000000000000"),
            ("> -1000000000001", Unit::Number, "less than -1000000000000"),
        ] {
            let error = Bound::parse(text, unit).expect_err(text);
            assert_eq!(error.to_string(), wrong, "{text}");
        }
    }
}
