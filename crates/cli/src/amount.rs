//! Numbers with units, in the notation of every JSON output.

use std::fmt;

use serde::Serialize;
use stagegate::Percent;
use stagegate::model::{Bound, Increase, Quantity, WrittenDuration};

/// A number with its unit: the document's text, and the value as a whole number of one unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    pub(crate) text: String,
    /// Parts per million: 10,000 is 1%.
    #[serde(skip_serializing_if = "Option::is_none")]
    ppm: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    milliseconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// For a plain number: 1,500,000 is `1.5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    millionths: Option<i64>,
}

impl Amount {
    pub(crate) fn of(quantity: Quantity) -> Amount {
        let amount = Amount { text: quantity.to_string(), ..Amount::default() };
        match quantity {
            Quantity::Percent(percent) => Amount { ppm: Some(percent.ppm()), ..amount },
            Quantity::Duration(duration) => {
                let milliseconds = u64::try_from(duration.as_millis()).ok();
                Amount { milliseconds, ..amount }
            }
            Quantity::Count(count) => Amount { count: Some(count), ..amount },
            Quantity::Number(number) => Amount { millionths: Some(number.millionths()), ..amount },
            _ => amount,
        }
    }

    pub(crate) fn percent(percent: Percent) -> Amount {
        Amount::of(Quantity::Percent(percent))
    }

    /// Returns whether the amount is a percentage of 0%.
    pub(crate) fn is_zero(&self) -> bool {
        self.ppm == Some(0)
    }

    pub(crate) fn duration(duration: impl Into<WrittenDuration>) -> Amount {
        let duration = duration.into();
        Amount { text: duration.to_string(), ..Amount::of(Quantity::Duration(*duration)) }
    }

    pub(crate) fn increase(increase: Increase) -> Amount {
        Amount { text: increase.to_string(), ppm: Some(increase.ppm()), ..Amount::default() }
    }
}

/// Returns the share of a stage as a text: `10%`, or `10% of eu` if the percentage refers to groups.
pub(crate) fn share(percent: &Amount, within: &[&str]) -> String {
    match within {
        [] => percent.text.clone(),
        groups => format!("{percent} of {}", groups.join(", ")),
    }
}

/// Writes the document's text.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A bound: `< 1%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BoundView {
    pub(crate) text: String,
    /// `<`, `<=`, `>` or `>=`.
    comparison: String,
    value: Amount,
}

impl BoundView {
    pub(crate) fn of(bound: Bound) -> BoundView {
        BoundView {
            text: bound.to_string(),
            comparison: bound.comparison.to_string(),
            value: Amount::of(bound.value),
        }
    }
}
