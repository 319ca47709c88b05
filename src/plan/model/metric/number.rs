//! Decimal numbers in whole millionths. They may be negative.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A decimal number in whole millionths. It may be negative.
///
/// It is parsed from decimal text, never through a float. So `-3.5` is exactly -3,500,000 millionths on every platform
/// and in every file format.
///
/// # Units
///
/// [`millionths`](Number::millionths) returns millionths: 1,500,000 for `1.5`. One millionth is the smallest step. The
/// range is -1,000,000,000,000 to 1,000,000,000,000.
///
/// # Example
///
/// ```
/// use stagegate::model::Number;
///
/// let score: Number = "-3.50".parse()?;
/// assert_eq!(score.millionths(), -3_500_000);
/// assert_eq!(score.to_string(), "-3.5");
/// assert!(score < Number::ZERO);
/// # Ok::<(), stagegate::model::ParseNumberError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    millionths: i64,
}

/// Millionths in 1.
const ONE: i64 = 1_000_000;

/// The number of digits after the point.
const FRACTION_DIGITS: usize = 6;

/// The largest whole number. The smallest one is `-MAX`.
const MAX: i64 = 1_000_000_000_000;

impl Number {
    /// Zero.
    pub const ZERO: Number = Number { millionths: 0 };

    /// The smallest number: -1,000,000,000,000.
    pub const MIN: Number = Number { millionths: -MAX * ONE };

    /// The largest number: 1,000,000,000,000.
    pub const MAX: Number = Number { millionths: MAX * ONE };

    /// Returns the number with this many millionths. `None` below [`Number::MIN`] and above [`Number::MAX`].
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::model::Number;
    ///
    /// assert_eq!(Number::from_millionths(-1), "-0.000001".parse().ok());
    /// assert_eq!(Number::from_millionths(i64::MAX), None);
    /// ```
    #[must_use]
    pub const fn from_millionths(millionths: i64) -> Option<Number> {
        if -MAX * ONE <= millionths && millionths <= MAX * ONE {
            Some(Number { millionths })
        } else {
            None
        }
    }

    /// Returns the number in millionths: 1,500,000 for `1.5`.
    #[must_use]
    pub const fn millionths(self) -> i64 {
        self.millionths
    }
}

impl FromStr for Number {
    type Err = ParseNumberError;

    /// Parses a plain decimal: an optional minus sign, digits, and an optional point with more digits. The digits
    /// before the point may have `_` between them, as in TOML.
    ///
    /// # Errors
    ///
    /// [`ParseNumberError`] for a plus sign, an exponent, `nan`, a number out of range, and a number finer than one
    /// millionth. Trailing zeros are accepted.
    fn from_str(text: &str) -> Result<Number, ParseNumberError> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !whole.split('_').all(is_digits) || !is_digits(fraction) {
            return Err(ParseNumberError::NotDecimal);
        }
        let beyond =
            if is_negative { ParseNumberError::TooSmall } else { ParseNumberError::TooLarge };
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.bytes().filter(u8::is_ascii_digit).try_fold(0, push_digit);
        let whole = whole.filter(|whole| *whole < MAX || (*whole == MAX && fraction.is_empty()));
        let whole = whole.ok_or(beyond)?;
        if fraction.len() > FRACTION_DIGITS {
            return Err(ParseNumberError::TooFine);
        }
        let mut padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(FRACTION_DIGITS);
        let part = padded.try_fold(0, push_digit);
        let millionths =
            whole.checked_mul(ONE).zip(part).and_then(|(whole, part)| whole.checked_add(part));
        let millionths = millionths.ok_or(beyond)?;
        Ok(Number { millionths: if is_negative { -millionths } else { millionths } })
    }
}

fn push_digit(number: i64, digit: u8) -> Option<i64> {
    number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
}

/// Writes the shortest decimal that parses to the same number.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.millionths < 0 { "-" } else { "" };
        let (magnitude, one) = (self.millionths.unsigned_abs(), ONE.unsigned_abs());
        let (whole, fraction) = (magnitude / one, magnitude % one);
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// The error for a text that is not a [`Number`].
///
/// # Example
///
/// ```
/// use stagegate::model::{Number, ParseNumberError};
///
/// let error = "1e3".parse::<Number>().unwrap_err();
/// assert_eq!(error, ParseNumberError::NotDecimal);
/// assert_eq!(error.to_string(), "not a plain decimal number");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseNumberError {
    /// Not digits with at most one point: an exponent, a plus sign, `nan`.
    #[error("not a plain decimal number")]
    NotDecimal,
    /// Below [`Number::MIN`].
    #[error("less than -{MAX}")]
    TooSmall,
    /// Above [`Number::MAX`].
    #[error("more than {MAX}")]
    TooLarge,
    /// More than six digits after the point.
    #[error("finer than 0.000001, one millionth")]
    TooFine,
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn number() -> impl Strategy<Value = Number> {
        let whole = (-MAX..=MAX).prop_map(|whole| whole * ONE);
        let any = Number::MIN.millionths..=Number::MAX.millionths;
        let small = -3 * ONE..=3 * ONE;
        prop_oneof![whole, any, small]
            .prop_map(|millionths| Number::from_millionths(millionths).expect("in range"))
    }

    /// Compares two decimals as texts, digit by digit, without arithmetic.
    fn naive(a: &str, b: &str) -> Ordering {
        let digits = |text: &str| {
            let text = text.trim_start_matches('-');
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            format!("{whole:0>20}.{fraction:0<10}")
        };
        match (a.starts_with('-'), b.starts_with('-')) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => digits(a).cmp(&digits(b)),
            (true, true) => digits(b).cmp(&digits(a)),
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in number()) {
            let text = number.to_string();
            prop_assert_eq!(text.parse(), Ok(number));
            let longer = if text.contains('.') { text.clone() } else { format!("{text}.") };
            prop_assert_eq!(format!("{longer}000").parse(), Ok(number), "zeros at the end");
            let shorter = text.get(..text.len() - 1).and_then(|text| text.parse().ok());
            prop_assert_ne!(shorter, Some(number), "the shortest text");
        }

        #[test]
        fn numbers_are_ordered_as_their_texts(a in number(), b in number()) {
            let (a_text, b_text) = (a.to_string(), b.to_string());
            prop_assert_eq!(a.cmp(&b), naive(&a_text, &b_text), "{} {}", a_text, b_text);
            let negated = |number: Number| {
                Number::from_millionths(-number.millionths).expect("in range")
            };
            prop_assert_eq!(a.cmp(&b), negated(b).cmp(&negated(a)));
        }

        #[test]
        fn no_text_panics(text in "[-+_0-9.eE]{0,24}") {
            let _ = text.parse::<Number>();
        }
    }

    #[test]
    fn accepts_exact_decimals_only() {
        let read = |text: &str| text.parse().map(Number::millionths);
        for (text, millionths) in [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("7", 7 * ONE),
            ("-3.5", -3_500_000),
            ("0.000001", 1),
            ("-0.000001", -1),
            ("007.2500000", 7_250_000),
            ("1_000_000.5", 1_000_000_500_000),
            ("1000000000000", MAX * ONE),
            ("-1000000000000.000", -MAX * ONE),
        ] {
            assert_eq!(read(text), Ok(millionths), "{text}");
        }
        for text in [
            "", "-", ".", "1.", ".5", "+5", "--5", "1e1", "nan", "inf", "-inf", "0x10", "1__0",
            "_1", "1_", "1.5_0", "1.5.0", " 5", "5%", "5s", "1,5", "٣",
        ] {
            assert_eq!(read(text), Err(ParseNumberError::NotDecimal), "{text}");
        }
        for (text, wrong) in [
            ("1000000000000.000001", "more than 1000000000000"),
            ("99999999999999999999999", "more than 1000000000000"),
            ("-1000000000001", "less than -1000000000000"),
            ("0.0000001", "finer than 0.000001, one millionth"),
            ("-1.2345678", "finer than 0.000001, one millionth"),
        ] {
            assert_eq!(
                read(text).map_err(|error| error.to_string()),
                Err(wrong.to_owned()),
                "{text}"
            );
        }
    }
}
