//! Conversion of Prometheus' numbers to the plan's quantities.

use std::time::{Duration, SystemTime};

use super::decimal::{Decimal, OutOfRange};
use crate::plan::model::{Number, Quantity, Unit};

/// Parses a value of `unit`, rounded to the precision of plans. The error completes "Prometheus answers …".
pub(super) fn parse_quantity(text: &str, unit: Unit) -> Result<Quantity, String> {
    let decimal = Decimal::parse(text).ok_or_else(|| format!("`{text}`, which is not a number"))?;
    let places = match unit {
        Unit::Number => return number(text, decimal),
        // Percent to parts per million.
        Unit::Percent => 4,
        // Seconds to milliseconds.
        Unit::Duration => 3,
        Unit::Count => 0,
    };
    let written = decimal.scaled(places).map(|number| match unit {
        Unit::Percent => format!("{}.{:04}%", number / 10_000, number % 10_000),
        // A plan cannot express a duration of zero.
        Unit::Duration => format!("{}ms", number.max(1)),
        Unit::Count | Unit::Number => number.to_string(),
    });
    match written {
        Ok(written) => {
            Quantity::parse(&written, unit).map_err(|error| format!("`{text}`: {error}"))
        }
        Err(OutOfRange::Negative) => Err(format!("`{text}`, which is negative")),
        Err(OutOfRange::TooLarge) => Err(format!("`{text}`, which is too large")),
    }
}

/// Converts a decimal to a number, which has millionths.
fn number(text: &str, decimal: Decimal<'_>) -> Result<Quantity, String> {
    let number = decimal.scaled_signed(6).and_then(Number::from_millionths);
    let out_of_range =
        || format!("`{text}`, which is not between {} and {}", Number::MIN, Number::MAX);
    number.map(Quantity::Number).ok_or_else(out_of_range)
}

/// Parses a timestamp in seconds since 1970.
pub(super) fn parse_timestamp(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("with the invalid timestamp `{text}`");
    let milliseconds = Decimal::parse(text).and_then(|at| at.scaled(3).ok());
    let milliseconds = milliseconds.filter(|at| *at <= LATEST).ok_or_else(wrong)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).ok_or_else(wrong)
}

/// The latest timestamp that the journal can store: the end of the year 9999, in milliseconds since 1970.
const LATEST: u64 = 253_402_300_799_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_what_a_plan_can_write() {
        for (text, unit, written) in [
            ("4.2", Unit::Percent, "4.2%"),
            ("0.42333333333333334", Unit::Percent, "0.4233%"),
            ("100.00000000000001", Unit::Percent, "100%"),
            ("-1.1102230246251565e-16", Unit::Percent, "0%"),
            ("1e-07", Unit::Percent, "0%"),
            ("0.25", Unit::Duration, "250ms"),
            ("90", Unit::Duration, "90s"),
            ("0.0004", Unit::Duration, "1ms"),
            ("0", Unit::Duration, "1ms"),
            ("2.9997", Unit::Count, "3"),
            ("1e+12", Unit::Count, "1000000000000"),
            ("-3.5", Unit::Number, "-3.5"),
            ("9007199254740993e-6", Unit::Number, "9007199254.740993"),
            ("0.1", Unit::Number, "0.1"),
            ("41.99999950", Unit::Number, "42"),
            ("-1e-7", Unit::Number, "0"),
            ("-1e+12", Unit::Number, "-1000000000000"),
        ] {
            let quantity = parse_quantity(text, unit).expect("a value");
            assert_eq!(quantity.to_string(), written, "{text}");
            assert_eq!(Quantity::parse(written, unit), Ok(quantity));
        }
        for (text, unit, wrong) in [
            ("NaN", Unit::Percent, "`NaN`, which is not a number"),
            ("+Inf", Unit::Count, "`+Inf`, which is not a number"),
            ("-Inf", Unit::Duration, "`-Inf`, which is not a number"),
            ("", Unit::Count, "``, which is not a number"),
            ("100.0001", Unit::Percent, "`100.0001`: more than 100%"),
            ("1e400", Unit::Percent, "`1e400`, which is too large"),
            ("-1", Unit::Percent, "`-1`, which is negative"),
            ("-0.5", Unit::Count, "`-0.5`, which is negative"),
            ("400000000", Unit::Duration, "`400000000`: more than ten years"),
            ("1000000000001", Unit::Count, "`1000000000001`: more than 1000000000000"),
            ("NaN", Unit::Number, "`NaN`, which is not a number"),
            ("-Inf", Unit::Number, "`-Inf`, which is not a number"),
            (
                "-1e13",
                Unit::Number,
                "`-1e13`, which is not between -1000000000000 and 1000000000000",
            ),
        ] {
            assert_eq!(parse_quantity(text, unit), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn moments_are_exact_to_the_millisecond() {
        let since_1970 = |text: &str| {
            parse_timestamp(text)
                .map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("later"))
        };
        assert_eq!(since_1970("1435781451.781"), Ok(Duration::from_millis(1_435_781_451_781)));
        assert_eq!(since_1970("0"), Ok(Duration::ZERO));
        assert_eq!(since_1970("253402300799.999"), Ok(Duration::from_millis(LATEST)));
        for text in ["-1", "253402300800", "1e400", "null", "\"1\"", "NaN", "true"] {
            assert_eq!(parse_timestamp(text), Err(format!("with the invalid timestamp `{text}`")));
        }
    }
}
