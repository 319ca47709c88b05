//! Durations, as a document writes them.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::plan::fields::{Path, text};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// The units of a duration, the longest first. A day is 24 hours.
const UNITS: [(&str, u64); 6] = [
    ("w", 7 * 24 * 60 * 60 * 1000),
    ("d", 24 * 60 * 60 * 1000),
    ("h", 60 * 60 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration of a plan: ten years.
const MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Reads one or more whole numbers with their units, the longest first: `1d`, `1d 12h`, `250ms`.
pub(in crate::plan::model) fn parse(text: &str) -> Result<Duration, ParseDurationError> {
    let (mut milliseconds, mut units, mut rest) = (0_u64, &UNITS[..], text.trim());
    if rest.is_empty() {
        return Err(ParseDurationError::Form);
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits).ok_or(ParseDurationError::Form)?;
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at_checked(letters).ok_or(ParseDurationError::Form)?;
        let index = units.iter().position(|(name, _)| *name == unit);
        let (index, number) = match (index, number.parse::<u64>()) {
            (Some(index), Ok(number)) => (index, number),
            (Some(_), Err(_)) if digits > 0 => return Err(ParseDurationError::TooLong),
            _ => return Err(ParseDurationError::Form),
        };
        let (_, factor) = units.get(index).ok_or(ParseDurationError::Form)?;
        milliseconds = number
            .checked_mul(*factor)
            .and_then(|part| milliseconds.checked_add(part))
            .ok_or(ParseDurationError::TooLong)?;
        units = units.get(index + 1..).unwrap_or_default();
        rest = after.trim_start();
    }
    match Duration::from_millis(milliseconds) {
        Duration::ZERO => Err(ParseDurationError::Zero),
        duration if duration > MAX => Err(ParseDurationError::TooLong),
        duration => Ok(duration),
    }
}

/// Why a text is no duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::plan::model) enum ParseDurationError {
    #[error("not a duration")]
    Form,
    #[error("no time at all")]
    Zero,
    #[error("more than ten years")]
    TooLong,
}

/// A duration in the longest unit that leaves no fraction.
pub(in crate::plan::model) fn write(duration: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let milliseconds = duration.as_millis();
    // A week is for writing; days are what people compare.
    let unit =
        UNITS.iter().skip(1).find(|(_, factor)| milliseconds.is_multiple_of(u128::from(*factor)));
    let (name, factor) = unit.unwrap_or(&("ms", 1));
    write!(f, "{}{name}", milliseconds / u128::from(*factor))
}

/// A duration of a document.
pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<Duration> {
    const HINT: &str =
        "write whole numbers with units, for example \"2d\", \"1d 12h\" or \"250ms\"";
    if node.is_number() {
        // Quotes alone would not make it one.
        report.found(node, path, "a number without a unit", HINT);
        return None;
    }
    match parse(text(node, path, report)?) {
        Ok(duration) => Some(duration),
        Err(error) => {
            report.found(node, path, error, HINT);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Written(Duration);

    impl fmt::Display for Written {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, f)
        }
    }

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, written) in [
            ("1ms", "1ms"),
            ("1500ms", "1500ms"),
            ("2s", "2s"),
            ("60s", "1m"),
            ("90m", "90m"),
            ("48h", "2d"),
            ("1d 12h", "36h"),
            ("1d12h", "36h"),
            ("2w", "14d"),
            (" 3d ", "3d"),
        ] {
            assert_eq!(Written(parse(text).expect(text)).to_string(), written);
        }
        for form in ["", "d", "1", "1.5d", "-1d", "1 d", "1D", "1h 1d", "1d 1d", "1y", "1d,"] {
            assert_eq!(parse(form), Err(ParseDurationError::Form), "{form}");
        }
        assert_eq!(parse("0s"), Err(ParseDurationError::Zero));
        assert_eq!(parse("3651d"), Err(ParseDurationError::TooLong));
        assert_eq!(parse("99999999999999999999s"), Err(ParseDurationError::TooLong));
    }
}
