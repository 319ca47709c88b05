//! Decimal numbers in text form, rounded without a float.

/// A decimal number, `whole.fraction * 10^exponent`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    is_negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i32,
}

/// Why a rounded decimal is outside the range of `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutOfRange {
    Negative,
    TooLarge,
}

impl<'a> Decimal<'a> {
    /// Parses a number as Go and JSON write it: `-12.5`, `1e-07`. Returns `None` for other text, also for `NaN` and
    /// `+Inf`.
    pub(super) fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (is_negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let sign = exponent.starts_with(['+', '-']);
        if ![whole, fraction, exponent.get(usize::from(sign)..)?].into_iter().all(is_digits) {
            return None;
        }
        let exponent = exponent.parse().ok()?;
        Some(Decimal { is_negative, whole, fraction, exponent })
    }

    /// Returns `self * 10^places`, rounded to the nearest integer. A half rounds up.
    pub(super) fn scaled(self, places: u8) -> Result<u64, OutOfRange> {
        match self.magnitude(places) {
            Some(nearest) if self.is_negative && nearest > 0 => Err(OutOfRange::Negative),
            Some(nearest) => Ok(nearest),
            None if self.is_negative => Err(OutOfRange::Negative),
            None => Err(OutOfRange::TooLarge),
        }
    }

    /// Returns `self * 10^places`, rounded to the nearest integer. A half rounds away from zero. Returns `None` outside
    /// the range of `i64`.
    pub(super) fn scaled_signed(self, places: u8) -> Option<i64> {
        let nearest = i64::try_from(self.magnitude(places)?).ok()?;
        Some(if self.is_negative { -nearest } else { nearest })
    }

    /// Returns the absolute value of `self * 10^places`, rounded to the nearest integer, or `None` if it has more than
    /// 19 digits.
    fn magnitude(self, places: u8) -> Option<u64> {
        let digits = format!("{}{}", self.whole, self.fraction);
        // The number of digits before the decimal point, after moving it.
        let point = i64::try_from(self.whole.len()).ok()?;
        let point = point + i64::from(self.exponent) + i64::from(places);
        let zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
        let Some(significant) = digits.get(zeros..).filter(|digits| !digits.is_empty()) else {
            return Some(0);
        };
        let point = point - i64::try_from(zeros).ok()?;
        match usize::try_from(point) {
            // At least one zero follows the point, so the value is less than 0.1.
            Err(_) => Some(0),
            // Too many digits for any quantity.
            Ok(20..) => None,
            Ok(point) => {
                let mut padded = significant.bytes().chain(std::iter::repeat(b'0'));
                let number = padded.by_ref().take(point);
                let number = number.fold(0, |n: u64, digit| n * 10 + u64::from(digit - b'0'));
                let rounding_digit = padded.next();
                Some(number + u64::from(rounding_digit.is_some_and(|digit| digit >= b'5')))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rounded(text: &str, places: u8) -> Result<u64, OutOfRange> {
        Decimal::parse(text).expect("a decimal").scaled(places)
    }

    #[test]
    fn decimals_are_rounded_to_the_nearest_from_their_text() {
        for (text, places, nearest) in [
            ("0", 4, 0),
            ("-0", 4, 0),
            ("4.2", 4, 42_000),
            ("99.99995", 4, 1_000_000),
            ("99.99994999999999999999999", 4, 999_999),
            ("100.00000000000001", 4, 1_000_000),
            ("1e-07", 4, 0),
            ("5e-05", 4, 1),
            ("4.9e-5", 4, 0),
            ("-4.9e-5", 4, 0),
            ("0.0005", 3, 1),
            ("0.00049", 3, 0),
            ("12E+3", 0, 12_000),
            ("1.5", 0, 2),
            ("2.5", 0, 3),
            ("0.5", 0, 1),
            ("0.05", 0, 0),
            ("00012.50", 1, 125),
            ("123456789012345678", 0, 123_456_789_012_345_678),
            ("0e999999999", 4, 0),
            ("1e-999999999", 4, 0),
        ] {
            assert_eq!(rounded(text, places), Ok(nearest), "{text}");
        }
        for text in ["1e+18", "1e400", "1e999999999", "1234567890123456789"] {
            assert_eq!(rounded(text, 1), Err(OutOfRange::TooLarge), "{text}");
            assert_eq!(rounded(&format!("-{text}"), 1), Err(OutOfRange::Negative), "{text}");
        }
        assert_eq!(rounded("-0.5", 0), Err(OutOfRange::Negative));
    }

    #[test]
    fn signed_numbers_are_rounded_away_from_zero() {
        let rounded = |text: &str| Decimal::parse(text).and_then(|it| it.scaled_signed(6));
        for (text, nearest) in [
            ("-3.5", Some(-3_500_000)),
            ("-0", Some(0)),
            ("-4.9e-7", Some(0)),
            ("-5e-7", Some(-1)),
            ("5e-7", Some(1)),
            ("1e+12", Some(1_000_000_000_000_000_000)),
            ("-1e+12", Some(-1_000_000_000_000_000_000)),
            ("9999999999999", None),
            ("1e400", None),
        ] {
            assert_eq!(rounded(text), nearest, "{text}");
        }
    }

    #[test]
    fn other_text_is_not_a_decimal() {
        for text in [
            "",
            "-",
            "+1",
            "NaN",
            "+Inf",
            "-Inf",
            "Inf",
            "nan",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1e1.5",
            "e5",
            "0x10",
            "1_0",
            " 1",
            "1 ",
            "٣",
            "--1",
            "1e--1",
            "1e99999999999",
        ] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_way_to_write_a_number_rounds_alike(number in 0..1_000_000_000_u64, places in 0..6_u8, shift in 0..9_i32) {
            let plain = format!("{number}e-{shift}");
            let factor = 10_u64.pow(u32::try_from(shift).expect("small"));
            let scaled = number * 10_u64.pow(places.into());
            prop_assert_eq!(rounded(&plain, places), Ok((scaled + factor / 2) / factor));
            let width = usize::try_from(shift).expect("small") + 1;
            let digits = format!("{number:0width$}");
            let (whole, fraction) = digits.split_at(digits.len() - width + 1);
            let point = if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") };
            prop_assert_eq!(rounded(&point, places), rounded(&plain, places));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,24}", places in 0..6_u8) {
            let _ = Decimal::parse(&text).map(|decimal| decimal.scaled(places));
        }
    }
}
