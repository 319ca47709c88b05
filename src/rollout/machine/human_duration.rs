//! Durations in the text of refusals.

use std::fmt;
use std::time::Duration;

/// A duration that prints itself for people: in at most two units, rounded down to whole seconds.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use stagegate::rollout::HumanDuration;
///
/// assert_eq!(HumanDuration(Duration::from_secs(180_061)).to_string(), "2d 2h");
/// assert_eq!(HumanDuration(Duration::from_millis(999)).to_string(), "0s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
        let whole = self.0.as_secs();
        let mut units = UNITS.iter().skip_while(|(_, seconds)| whole < *seconds);
        let Some((name, seconds)) = units.next() else { return f.write_str("0s") };
        write!(f, "{}{name}", whole / seconds)?;
        let rest = whole % seconds;
        match units.next() {
            Some((name, seconds)) if rest >= *seconds => write!(f, " {}{name}", rest / seconds),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_units_at_most() {
        let text = |seconds| HumanDuration(Duration::from_secs(seconds)).to_string();
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3_600, "1h"),
            (3_659, "1h"),
            (90_000, "1d 1h"),
            (86_459, "1d"),
        ] {
            assert_eq!(text(seconds), expected);
        }
        assert_eq!(HumanDuration(Duration::from_millis(1999)).to_string(), "1s");
    }
}
