//! Percentages as whole parts per million.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A share of all users, in whole parts per million, from 0% to 100%.
///
/// A percentage is parsed from decimal text without a float. So `33.3333` means exactly 333,333 parts per million on
/// every platform and in every file format.
///
/// # Units
///
/// [`ppm`](Percent::ppm) returns parts per million, from 0 to 1,000,000. Text is in percent, from `0.0001` to `100`.
/// The smallest step is one part per million, `0.0001`.
///
/// # Example
///
/// ```
/// use stagegate::Percent;
///
/// let share: Percent = "12.5".parse()?;
/// assert_eq!(share.ppm(), 125_000);
/// assert_eq!(share.to_string(), "12.5");
/// assert!("100.0001".parse::<Percent>().is_err());
/// # Ok::<(), stagegate::ParsePercentError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    ppm: u32,
}

impl Percent {
    /// 0%: no users.
    pub const NONE: Percent = Percent { ppm: 0 };

    /// 100%: all users.
    pub const ALL: Percent = Percent { ppm: PPM };

    /// Returns the percentage with these parts per million, or `None` above 1,000,000.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Percent;
    ///
    /// assert_eq!(Percent::from_ppm(1), "0.0001".parse().ok());
    /// assert_eq!(Percent::from_ppm(1_000_001), None);
    /// ```
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Percent> {
        if ppm <= PPM { Some(Percent { ppm }) } else { None }
    }

    /// Returns the percentage with this whole number of percent, or `None` above 100.
    pub(crate) const fn from_whole(percent: u32) -> Option<Percent> {
        if percent <= 100 { Some(Percent { ppm: percent * (PPM / 100) }) } else { None }
    }

    /// Returns the parts per million, from 0 to 1,000,000.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl FromStr for Percent {
    type Err = ParsePercentError;

    /// Parses a plain decimal: digits, optionally followed by a point and more digits.
    ///
    /// # Errors
    ///
    /// [`ParsePercentError`] for a sign, an exponent, `nan`, a number above 100, and a number finer than one part per
    /// million. Trailing zeros are accepted.
    fn from_str(text: &str) -> Result<Percent, ParsePercentError> {
        let rule = match parse_ppm(text, 100) {
            Ok(ppm) => return Ok(Percent { ppm }),
            Err(DecimalError::NotDecimal) => "not a plain decimal number",
            Err(DecimalError::Negative) => "negative",
            Err(DecimalError::TooLarge) => "more than 100",
            Err(DecimalError::TooFine) => "finer than 0.0001, one part per million",
        };
        Err(ParsePercentError { rule })
    }
}

/// Writes the shortest decimal that parses to the same percentage, without a percent sign.
impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_percent(self.ppm, f)
    }
}

/// The error for text that is not a percentage. Its message names the broken rule.
///
/// # Example
///
/// ```
/// use stagegate::Percent;
///
/// let error = "0.00001".parse::<Percent>().unwrap_err();
/// assert_eq!(error.to_string(), "finer than 0.0001, one part per million");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{rule}")]
pub struct ParsePercentError {
    rule: &'static str,
}

/// Parts per million in 100%.
pub(crate) const PPM: u32 = 1_000_000;

/// Most digits after the point: one part per million is 0.0001 percent.
const FRACTION_DIGITS: usize = 4;

/// The reason why a text is not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalError {
    NotDecimal,
    Negative,
    TooLarge,
    TooFine,
}

/// Parses a plain decimal of at most `max` percent to parts per million.
pub(crate) fn parse_ppm(text: &str, max: u32) -> Result<u32, DecimalError> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        let negative = text
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        return Err(if negative { DecimalError::Negative } else { DecimalError::NotDecimal });
    }
    // A number with more than nine digits is above any bound, and might overflow the integer.
    let whole = whole.trim_start_matches('0');
    let whole: u32 = if whole.len() > 9 { u32::MAX } else { whole.bytes().fold(0, push_digit) };
    let fraction = fraction.trim_end_matches('0');
    if whole > max || (whole == max && !fraction.is_empty()) {
        return Err(DecimalError::TooLarge);
    }
    if fraction.len() > FRACTION_DIGITS {
        return Err(DecimalError::TooFine);
    }
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(FRACTION_DIGITS);
    let part = padded.fold(0, push_digit);
    whole
        .checked_mul(PPM / 100)
        .and_then(|parts| parts.checked_add(part))
        .ok_or(DecimalError::TooLarge)
}

/// Writes parts per million as the shortest decimal of percent. More than 100% is allowed.
pub(crate) fn write_percent(ppm: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (whole, fraction) = (ppm / (PPM / 100), ppm % (PPM / 100));
    if fraction == 0 {
        return write!(f, "{whole}");
    }
    let digits = format!("{fraction:04}");
    write!(f, "{whole}.{}", digits.trim_end_matches('0'))
}

fn push_digit(number: u32, digit: u8) -> u32 {
    number * 10 + u32::from(digit - b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_per_million_reads_back() {
        for ppm in 0..=PPM {
            let percent = Percent::from_ppm(ppm).expect("in range");
            assert_eq!(percent.to_string().parse(), Ok(percent));
        }
    }

    #[test]
    fn accepts_exact_decimals_only() {
        let ppm = |text: &str| text.parse::<Percent>().map(Percent::ppm).map_err(|e| e.to_string());
        let refused = |rule: &str| Err(rule.to_owned());
        for (text, expected) in [
            ("0", 0),
            ("0.0001", 1),
            ("33.3333", 333_333),
            ("100.000", PPM),
            ("10.50000000", 105_000),
            ("007", 70_000),
        ] {
            assert_eq!(ppm(text), Ok(expected), "{text}");
        }
        for text in [
            "", ".", "1.", ".5", "+5", "1e1", "1e400", "nan", "inf", "-inf", "0x10", "1_0", " 5",
            "5%", "٣",
        ] {
            assert_eq!(ppm(text), refused("not a plain decimal number"), "{text}");
        }
        for text in ["-1", "-0", "-0.5"] {
            assert_eq!(ppm(text), refused("negative"), "{text}");
        }
        for text in ["100.0001", "101", "99999999999999999999"] {
            assert_eq!(ppm(text), refused("more than 100"), "{text}");
        }
        assert_eq!(ppm("0.00001"), refused("finer than 0.0001, one part per million"));
    }
}
