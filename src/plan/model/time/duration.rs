//! Durations, as a document writes them.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use thiserror::Error;

use crate::plan::fields::text;
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The units of a duration, the longest first, in milliseconds. A day is 24 hours.
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

/// A [`Duration`] that prints in the units of its document: `48h` stays `48h`, and `2w` stays `2w`.
///
/// Use it like a `Duration`: it dereferences to one. Equal durations are equal, whatever their units.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use stagegate::Plan;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.search]
///     stages = [{ name = "pilot", percent = 10, min_duration = "48h", max_duration = "2d" }]
/// "#)?;
/// let stage = plan.flag("search").unwrap().stages().next().unwrap();
/// let (min, max) = (stage.details().min_duration.unwrap(), stage.details().max_duration.unwrap());
/// assert_eq!((min.to_string(), max.to_string()), ("48h".to_owned(), "2d".to_owned()));
/// assert_eq!(min, max);
/// assert_eq!(*min, Duration::from_secs(2 * 24 * 60 * 60));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy)]
pub struct WrittenDuration {
    time: Duration,
    /// The units to print, a bit for each of [`UNITS`]. The last of them leaves no fraction.
    units: u8,
}

impl WrittenDuration {
    /// Reads one or more whole numbers with their units, the longest first: `1d`, `1d 12h`, `250ms`.
    ///
    /// jiff's reader of spans also accepts long names, signs, fractions and years. It would need a second check of the
    /// text, and it does not say which text is only too long.
    pub(in crate::plan::model) fn parse(text: &str) -> Result<WrittenDuration, ParseDurationError> {
        let (mut milliseconds, mut units, mut rest) = (0_u64, 0, text.trim());
        if rest.is_empty() {
            return Err(ParseDurationError::Form);
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at_checked(digits).ok_or(ParseDurationError::Form)?;
            let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
            let (name, after) = after.split_at_checked(letters).ok_or(ParseDurationError::Form)?;
            let unit = (0..).zip(UNITS).find(|(_, (known, _))| *known == name);
            let (bit, (_, factor)) = unit.ok_or(ParseDurationError::Form)?;
            // Bits from this one on are of this unit and shorter ones.
            if number.is_empty() || units >> bit != 0 {
                return Err(ParseDurationError::Form);
            }
            units |= 1 << bit;
            let number: u64 = number.parse().map_err(|_| ParseDurationError::TooLong)?;
            let part = number.checked_mul(factor);
            milliseconds = part
                .and_then(|part| milliseconds.checked_add(part))
                .ok_or(ParseDurationError::TooLong)?;
            rest = after.trim_start();
        }
        match Duration::from_millis(milliseconds) {
            Duration::ZERO => Err(ParseDurationError::Zero),
            time if time > MAX => Err(ParseDurationError::TooLong),
            time => Ok(WrittenDuration { time, units }),
        }
    }
}

/// In the longest unit that leaves no fraction, without weeks.
impl From<Duration> for WrittenDuration {
    fn from(time: Duration) -> WrittenDuration {
        let is_exact = |factor: u64| time.as_millis().is_multiple_of(factor.into());
        let units = (0..).zip(UNITS).skip(1);
        let bit = units.filter(|(_, (_, factor))| is_exact(*factor)).map(|(bit, _)| bit).next();
        WrittenDuration { time, units: 1 << bit.unwrap_or(UNITS.len() - 1) }
    }
}

impl Deref for WrittenDuration {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.time
    }
}

impl PartialEq for WrittenDuration {
    fn eq(&self, other: &WrittenDuration) -> bool {
        self.time == other.time
    }
}

impl Eq for WrittenDuration {}

impl PartialOrd for WrittenDuration {
    fn partial_cmp(&self, other: &WrittenDuration) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WrittenDuration {
    fn cmp(&self, other: &WrittenDuration) -> Ordering {
        self.time.cmp(&other.time)
    }
}

/// In the units of the document: `48h`, `1d 12h`.
impl fmt::Display for WrittenDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.time.as_millis();
        let mut separator = "";
        for (bit, (name, factor)) in UNITS.iter().enumerate() {
            let factor = u128::from(*factor);
            let number = rest / factor;
            if self.units >> bit & 1 == 1
                && (number > 0 || self.units >> bit == 1 && separator.is_empty())
            {
                write!(f, "{separator}{number}{name}")?;
                (rest, separator) = (rest % factor, " ");
            }
        }
        Ok(())
    }
}

impl fmt::Debug for WrittenDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The reason why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(in crate::plan::model) enum ParseDurationError {
    #[error("not a duration")]
    Form,
    #[error("no time at all")]
    Zero,
    #[error("more than ten years")]
    TooLong,
}

/// Reads a duration of a document.
pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<WrittenDuration> {
    const HINT: &str =
        "write whole numbers with units, for example \"2d\", \"1d 12h\" or \"250ms\"";
    if node.is_number() {
        // With quotes alone, the number would still have no unit.
        report.found(node, path, "a number without a unit", HINT);
        return None;
    }
    match WrittenDuration::parse(text(node, path, report)?) {
        Ok(duration) => Some(duration),
        Err(error) => {
            report.found(node, path, error, HINT);
            None
        }
    }
}

/// How long something has to hold, where `for` says so.
pub(in crate::plan::model) fn read_sustained<'a>(
    node: Option<&Node<'a>>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<WrittenDuration> {
    node.and_then(|node| read(node, &path.field("for"), report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, written, exact) in [
            ("1ms", "1ms", "1ms"),
            ("1500ms", "1500ms", "1500ms"),
            ("2s", "2s", "2s"),
            ("60s", "60s", "1m"),
            ("90m", "90m", "90m"),
            ("48h", "48h", "2d"),
            ("1d 12h", "1d 12h", "36h"),
            ("1d12h", "1d 12h", "36h"),
            ("1h 90m", "2h 30m", "150m"),
            ("1w 0d", "1w", "7d"),
            ("0w 1h", "1h", "1h"),
            ("2w", "2w", "14d"),
            (" 3d ", "3d", "3d"),
        ] {
            let duration = WrittenDuration::parse(text).expect(text);
            assert_eq!(duration.to_string(), written);
            assert_eq!(WrittenDuration::from(*duration).to_string(), exact);
        }
        for form in ["", "d", "1", "1.5d", "-1d", "1 d", "1D", "1h 1d", "1d 1d", "1y", "1d,", "P1D"]
        {
            assert_eq!(WrittenDuration::parse(form), Err(ParseDurationError::Form), "{form}");
        }
        assert_eq!(WrittenDuration::parse("0s"), Err(ParseDurationError::Zero));
        for text in ["3651d", "99999999999999999999s"] {
            assert_eq!(WrittenDuration::parse(text), Err(ParseDurationError::TooLong));
        }
        assert_eq!(WrittenDuration::from(Duration::ZERO).to_string(), "0d");
        assert_eq!(WrittenDuration::from(Duration::from_nanos(1)).to_string(), "0d");
    }

    proptest! {
        #[test]
        fn a_duration_reads_back_in_its_units(numbers in prop::array::uniform6(0..60_u64), used in 1..64_u8) {
            let parts = UNITS.iter().zip(numbers).enumerate();
            let parts = parts.filter(|(bit, _)| used >> bit & 1 == 1);
            let text: Vec<String> =
                parts.map(|(_, ((name, _), number))| format!("{}{name}", number + 1)).collect();
            let duration = WrittenDuration::parse(&text.join(" ")).expect("a duration");
            let again = WrittenDuration::parse(&duration.to_string()).expect("what was printed");
            prop_assert_eq!(duration, again);
            prop_assert_eq!(again.to_string(), duration.to_string());
            let is_used = |c: char| text.iter().any(|part| part.contains(c));
            prop_assert!(duration.to_string().chars().all(|c| !c.is_ascii_alphabetic() || is_used(c)));
        }
    }
}
