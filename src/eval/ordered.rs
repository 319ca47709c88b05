//! Texts that have an order: numbers, versions and dates.
//!
//! A check compares them without an allocation.

use std::cmp::Ordering;

use jiff::civil::Date;

/// What the text of a bound and of an attribute is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A decimal number of any length.
    Number,
    /// A version by the rules of Semantic Versioning 2.0.0.
    Version,
    /// A day, or a moment with an offset from UTC.
    Date,
}

impl Kind {
    /// Returns the name that errors and explanations use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::Version => "version",
            Kind::Date => "date",
        }
    }

    /// Returns whether a text is of this kind.
    pub(crate) fn reads(self, text: &str) -> bool {
        match self {
            Kind::Number => Number::parse(text).is_some(),
            Kind::Version => Version::parse(text).is_some(),
            Kind::Date => Moment::parse(text).is_some(),
        }
    }

    /// Compares two texts of this kind. `None` if one of them is not of this kind.
    pub(super) fn compare(self, value: &str, bound: &str) -> Option<Ordering> {
        match self {
            Kind::Number => Some(Number::parse(value)?.compare(Number::parse(bound)?)),
            Kind::Version => Some(Version::parse(value)?.compare(Version::parse(bound)?)),
            Kind::Date => Some(Moment::parse(value)?.compare(Moment::parse(bound)?)),
        }
    }
}

/// A decimal number: `-` for a negative one, digits, and perhaps a point and digits. No exponent, no blanks.
#[derive(Clone, Copy)]
struct Number<'t> {
    is_negative: bool,
    /// Without leading zeros.
    whole: &'t str,
    /// Without trailing zeros.
    fraction: &'t str,
}

impl<'t> Number<'t> {
    fn parse(text: &'t str) -> Option<Number<'t>> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        if !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Number { is_negative: digits.len() < text.len() && !is_zero, whole, fraction })
    }

    fn compare(self, other: Number<'_>) -> Ordering {
        let size = compare_digits(self.whole, other.whole).then(self.fraction.cmp(other.fraction));
        match (self.is_negative, other.is_negative) {
            (false, false) => size,
            (true, true) => size.reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Compares whole numbers without leading zeros.
fn compare_digits(one: &str, other: &str) -> Ordering {
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A version. The second and the third number may be missing, and a `v` may come first: `v2.10` is `2.10.0`.
///
/// The precedence is that of Semantic Versioning 2.0.0, item 11. Build metadata do not count. Not the crate `semver`,
/// which allocates for a pre-release of more than eight bytes; the tests compare with it.
#[derive(Clone, Copy)]
struct Version<'t> {
    numbers: [&'t str; 3],
    /// Empty for a release.
    pre_release: &'t str,
}

impl<'t> Version<'t> {
    fn parse(text: &'t str) -> Option<Version<'t>> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, build) = text.split_once('+').unwrap_or((text, "0"));
        let (core, pre_release) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let mut parts = core.split('.');
        let mut numbers = [""; 3];
        for (index, number) in numbers.iter_mut().enumerate() {
            match parts.next() {
                Some(part) if is_digits(part) => *number = part.trim_start_matches('0'),
                None if index > 0 => {}
                _ => return None,
            }
        }
        let are_identifiers = |text: &str| {
            text.split('.').all(|part| {
                let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                !part.is_empty() && part.bytes().all(is_allowed)
            })
        };
        let is_whole = parts.next().is_none();
        let is_valid =
            is_whole && pre_release.is_none_or(are_identifiers) && are_identifiers(build);
        is_valid.then_some(Version { numbers, pre_release: pre_release.unwrap_or_default() })
    }

    fn compare(self, other: Version<'_>) -> Ordering {
        let numbers = self.numbers.iter().zip(other.numbers);
        let numbers = numbers.map(|(one, other)| compare_digits(one, other));
        numbers.fold(Ordering::Equal, Ordering::then).then_with(|| {
            match (self.pre_release, other.pre_release) {
                ("", "") => Ordering::Equal,
                ("", _) => Ordering::Greater,
                (_, "") => Ordering::Less,
                (one, other) => compare_pre_releases(one, other),
            }
        })
    }
}

fn compare_pre_releases(one: &str, other: &str) -> Ordering {
    let identifier = |one: &str, other: &str| match (is_digits(one), is_digits(other)) {
        (true, true) => compare_digits(one.trim_start_matches('0'), other.trim_start_matches('0')),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => one.cmp(other),
    };
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) if identifier(one, other).is_eq() => {}
            (Some(one), Some(other)) => return identifier(one, other),
        }
    }
}

/// A day, `2026-01-05`, or a moment, `2026-01-05T09:00:00+01:00`. Seconds and their fraction may be missing.
#[derive(Clone, Copy)]
struct Moment<'t> {
    /// Seconds since 1970-01-01 in UTC; for a day, of its beginning.
    seconds: i64,
    /// The digits after the point, without trailing zeros.
    fraction: &'t str,
    is_day: bool,
}

const SECONDS_OF_DAY: i64 = 86_400;

impl<'t> Moment<'t> {
    fn parse(text: &'t str) -> Option<Moment<'t>> {
        let (day, time) = match text.split_at_checked(10)? {
            (day, "") => (day, None),
            (day, time) => (day, Some(time.strip_prefix(['T', 't', ' '])?)),
        };
        let (year, rest) = day.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let (year, month, day) = (number(year, 4)?, number(month, 2)?, number(day, 2)?);
        // Checked first, because an error of `jiff` may allocate.
        let first = (1..=12)
            .contains(&month)
            .then(|| Date::new(year, i8::try_from(month).ok()?, 1).ok())??;
        let day = i8::try_from(day).ok().filter(|day| (1..=first.days_in_month()).contains(day))?;
        let date = first.duration_since(Date::constant(1970, 1, 1)).as_secs();
        let midnight = date + i64::from(day - 1) * SECONDS_OF_DAY;
        let Some(time) = time else {
            return Some(Moment { seconds: midnight, fraction: "", is_day: true });
        };
        let (time, offset) = Moment::split_offset(time)?;
        let (hour, rest) = time.split_once(':')?;
        let (minute, second) = rest.split_once(':').unwrap_or((rest, "00"));
        let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
        let (hour, minute, second) = (number(hour, 2)?, number(minute, 2)?, number(second, 2)?);
        if hour > 23 || minute > 59 || second > 60 || !is_digits(fraction) {
            return None;
        }
        let seconds =
            midnight + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        let fraction = fraction.trim_end_matches('0');
        Some(Moment { seconds: seconds - offset, fraction, is_day: false })
    }

    /// Returns the time, and its offset from UTC in seconds.
    fn split_offset(time: &str) -> Option<(&str, i64)> {
        if let Some(time) = time.strip_suffix(['Z', 'z']) {
            return Some((time, 0));
        }
        let sign = time.rfind(['+', '-'])?;
        let (time, offset) = time.split_at_checked(sign)?;
        let (hours, minutes) = offset.get(1..)?.split_once(':')?;
        let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
        let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
        let is_valid = hours < 24 && minutes < 60;
        is_valid.then_some((time, if offset.starts_with('-') { -seconds } else { seconds }))
    }

    /// Compares with a bound. A bound that is a day stands for the whole day in UTC.
    fn compare(self, bound: Moment<'_>) -> Ordering {
        if bound.is_day {
            let day = |moment: Moment<'_>| moment.seconds.div_euclid(SECONDS_OF_DAY);
            return day(self).cmp(&day(bound));
        }
        self.seconds.cmp(&bound.seconds).then(self.fraction.cmp(bound.fraction))
    }
}

/// Reads a whole number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i16> {
    (text.len() == digits && is_digits(text)).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compare(kind: Kind, value: &str, bound: &str) -> Option<Ordering> {
        kind.compare(value, bound)
    }

    #[test]
    fn numbers_are_not_compared_as_texts() {
        use Ordering::{Equal, Greater, Less};
        for (value, expected) in [
            ("99", Some(Less)),
            ("100", Some(Equal)),
            ("1000", Some(Greater)),
            ("100.0", Some(Equal)),
            ("0100", Some(Equal)),
            ("-100", Some(Less)),
            ("100.000000000000000000000001", Some(Greater)),
            ("18446744073709551616000", Some(Greater)),
            ("1e3", None),
            (" 100", None),
            ("+100", None),
            ("100.", None),
            (".5", None),
            ("-", None),
            ("", None),
            ("NaN", None),
            ("inf", None),
            ("1_000", None),
            ("١٠٠", None),
        ] {
            assert_eq!(compare(Kind::Number, value, "100"), expected, "{value}");
        }
        assert_eq!(compare(Kind::Number, "-0.0", "0"), Some(Equal));
        assert_eq!(compare(Kind::Number, "-2", "-10"), Some(Greater));
    }

    #[test]
    fn versions_have_the_precedence_of_semantic_versioning() {
        use Ordering::{Equal, Greater, Less};
        for (value, bound, expected) in [
            ("2.9.9", "2.10.0", Some(Less)),
            ("2.10.0", "2.10.0", Some(Equal)),
            ("2.10.0-rc.1", "2.10.0", Some(Less)),
            ("2.11.0-rc.1", "2.10.0", Some(Greater)),
            ("v2.10.0", "2.10.0", Some(Equal)),
            ("2.10", "2.10.0", Some(Equal)),
            ("2", "2.10.0", Some(Less)),
            ("2.10.0+build.5", "2.10.0", Some(Equal)),
            ("2026.01.5", "2026.1.5", Some(Equal)),
            ("1.0.0-999", "1.0.0-1234", Some(Less)),
            ("1.0.0-2345", "1.0.0-1234", Some(Greater)),
            ("1.0.0", "1.0.0-1234", Some(Greater)),
            ("99999999999999999999.0.0", "2.0.0", Some(Greater)),
            ("2.10.0.1", "2.10.0", None),
            ("2.10.", "2.10.0", None),
            ("vv2.10.0", "2.10.0", None),
            ("2.x", "2.10.0", None),
            ("2.10.0-", "2.10.0", None),
            ("2.10.0-a..b", "2.10.0", None),
            ("2.10.0+", "2.10.0", None),
            ("", "2.10.0", None),
            ("banana", "2.10.0", None),
        ] {
            assert_eq!(compare(Kind::Version, value, bound), expected, "{value} and {bound}");
        }
    }

    #[test]
    fn days_cover_all_their_moments_and_moments_have_offsets() {
        use Ordering::{Equal, Greater, Less};
        for (value, bound, expected) in [
            ("2026-01-04", "2026-01-05", Some(Less)),
            ("2026-01-05", "2026-01-05", Some(Equal)),
            ("2026-01-05T23:59:60Z", "2026-01-05", Some(Greater)),
            ("2026-01-05T23:59:59.999Z", "2026-01-05", Some(Equal)),
            ("2026-01-06T00:30:00+01:00", "2026-01-05", Some(Equal)),
            ("2026-01-05T09:00:00+01:00", "2026-01-05T08:00Z", Some(Equal)),
            ("2026-01-05 09:00:00.5Z", "2026-01-05T09:00:00.25Z", Some(Greater)),
            ("2026-01-05", "2026-01-05T00:00:00Z", Some(Equal)),
            ("1969-12-31T23:59:59Z", "1969-12-31", Some(Equal)),
            ("9999-12-31T23:59:59-23:59", "9999-12-31", Some(Greater)),
            ("0000-01-01", "0001-01-01", Some(Less)),
            ("2024-02-29", "2024-02-29", Some(Equal)),
            ("2026-02-29", "2026-01-05", None),
            ("2026-13-01", "2026-01-05", None),
            ("2026-1-5", "2026-01-05", None),
            ("2026-01-05T09:00:00", "2026-01-05", None),
            ("2026-01-05T24:00:00Z", "2026-01-05", None),
            ("2026-01-05Z", "2026-01-05", None),
            ("05.01.2026", "2026-01-05", None),
            ("1767600000", "2026-01-05", None),
            ("", "2026-01-05", None),
        ] {
            assert_eq!(compare(Kind::Date, value, bound), expected, "{value} and {bound}");
        }
    }

    proptest! {
        #[test]
        fn versions_compare_like_the_crate_semver(
            one in "[0-3]\\.[0-2]\\.[0-2](-(alpha|beta|rc|[0-9]|1[0-9])(\\.([0-9]|x|1[0-9]))?)?(\\+[a-z]{1,12})?",
            other in "[0-3]\\.[0-2]\\.[0-2](-(alpha|beta|rc|[0-9]|1[0-9])(\\.([0-9]|x|1[0-9]))?)?",
        ) {
            let parsed = |text: &str| semver::Version::parse(text).expect("a version");
            let expected = parsed(&one).cmp_precedence(&parsed(&other));
            prop_assert_eq!(compare(Kind::Version, &one, &other), Some(expected));
        }

        #[test]
        fn numbers_compare_like_integers(one: i64, other: i64, shift in 0..12_u32) {
            let of = |number: i64| {
                let scale = 10_u64.pow(shift);
                let (size, sign) = (number.unsigned_abs(), if number < 0 { "-" } else { "" });
                format!("{sign}{}.{:0width$}", size / scale, size % scale, width = shift.max(1) as usize)
            };
            prop_assert_eq!(compare(Kind::Number, &of(one), &of(other)), Some(one.cmp(&other)));
        }

        #[test]
        fn moments_compare_like_timestamps(one in -62_000_000_000..200_000_000_000_i64, gap in -100_000..100_000_i64) {
            let of = |seconds: i64| jiff::Timestamp::from_second(seconds).expect("in range").to_string();
            let other = one + gap;
            prop_assert_eq!(compare(Kind::Date, &of(one), &of(other)), Some(one.cmp(&other)));
        }

        #[test]
        fn no_text_can_cause_a_panic(value: String, bound: String) {
            for kind in [Kind::Number, Kind::Version, Kind::Date] {
                let _ = compare(kind, &value, &bound);
            }
        }
    }
}
