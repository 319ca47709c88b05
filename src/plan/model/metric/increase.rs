//! The limit of a comparison between treatment and control.

use std::fmt;

use crate::percent;
use crate::plan::model::metric::quantity::{QuantityError, parse_percent};

/// The share of control's value by which treatment may be worse than control.
///
/// If less is better, `"50%"` allows 1.5 times control's value, and `"150%"` 2.5 times. If more is better, `"50%"`
/// allows half of control's value.
///
/// # Units
///
/// Parts per million of control's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Increase {
    ppm: u32,
}

/// The largest [`Increase`], in percent.
const MAX_INCREASE: u32 = 10_000;

impl Increase {
    /// Returns the increase with this many parts per million. `None` for 0, and above 100,000,000 (10,000%).
    #[must_use]
    pub const fn from_ppm(ppm: u32) -> Option<Increase> {
        if 0 < ppm && ppm <= MAX_INCREASE * (percent::PPM / 100) {
            Some(Increase { ppm })
        } else {
            None
        }
    }

    /// Parses `50%`.
    pub(in crate::plan::model) fn parse(text: &str) -> Result<Increase, QuantityError> {
        let ppm = parse_percent(text, MAX_INCREASE)?;
        Increase::from_ppm(ppm).ok_or(QuantityError::ZeroIncrease)
    }

    /// Returns parts per million of control's value: 500,000 for `"50%"`.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.ppm
    }
}

impl fmt::Display for Increase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        percent::write_percent(self.ppm, f)?;
        f.write_str("%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
