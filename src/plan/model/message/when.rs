//! When a message of the communication plan is sent.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::plan::fields::{Path, string};
use crate::plan::node::Node;
use crate::plan::report::Report;

/// When a message is sent. Printed, and read, as a document writes it.
///
/// # Example
///
/// ```
/// use stagegate::model::When;
///
/// assert_eq!("-3d".parse(), Ok(When::Days(-3)));
/// assert_eq!(When::Days(1).to_string(), "+1d");
/// assert_eq!("weekly".parse(), Ok(When::Weekly));
/// assert!("3d".parse::<When>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum When {
    /// That many days before (negative, `"-3d"`) or after (`"+1d"`) the stage begins; never 0.
    Days(i32),
    /// When the stage begins (`start`).
    Start,
    /// Each week that the stage lasts (`weekly`).
    Weekly,
    /// When the stage ends (`end`).
    End,
    /// When the flag is rolled back (`rollback`).
    RollBack,
    /// When people decide to (`as_needed`). It has no day and is never sent by itself.
    AsNeeded,
}

/// Days that a message may be away from its stage: ten years, as any duration of a plan.
const MAX_DAYS: i32 = 3650;

impl FromStr for When {
    type Err = ParseWhenError;

    /// Reads `start`, `weekly`, `end`, `rollback`, `as_needed`, or days with a sign: `-3d`, `+1d`.
    fn from_str(text: &str) -> Result<When, ParseWhenError> {
        Ok(match text {
            "start" => When::Start,
            "weekly" => When::Weekly,
            "end" => When::End,
            "rollback" => When::RollBack,
            "as_needed" => When::AsNeeded,
            _ => When::Days(days(text)?),
        })
    }
}

fn days(text: &str) -> Result<i32, ParseWhenError> {
    let is_before = text.starts_with('-');
    let digits = text.strip_prefix(['-', '+']).and_then(|rest| rest.strip_suffix('d'));
    let is_number =
        |digits: &&str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let digits = digits.filter(is_number).ok_or(ParseWhenError::Form)?;
    match digits.parse() {
        Ok(0) => Err(ParseWhenError::Zero),
        Ok(days) if days <= MAX_DAYS => Ok(if is_before { -days } else { days }),
        _ => Err(ParseWhenError::TooFar),
    }
}

/// As `-3d` or `start`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Days(days) => f.pad(&format!("{days:+}d")),
            When::Start => f.pad("start"),
            When::Weekly => f.pad("weekly"),
            When::End => f.pad("end"),
            When::RollBack => f.pad("rollback"),
            When::AsNeeded => f.pad("as_needed"),
        }
    }
}

/// Why a text is no [`When`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseWhenError {
    /// Neither one of the words nor days with a sign.
    #[error("not a time to send a message")]
    Form,
    /// No days at all.
    #[error("neither before nor after the stage begins")]
    Zero,
    /// More than 3,650 days.
    #[error("more than ten years from when the stage begins")]
    TooFar,
}

impl ParseWhenError {
    fn hint(self) -> &'static str {
        match self {
            ParseWhenError::Form => {
                "write start, weekly, end, rollback, as_needed, or days before or after the stage begins: \
                 \"-3d\", \"+1d\""
            }
            ParseWhenError::Zero => "write \"start\" for the day the stage begins",
            ParseWhenError::TooFar => "write at most 3650 days",
        }
    }
}

pub(in crate::plan::model) fn read<'a>(
    node: &Node<'a>,
    path: &Path<'_>,
    report: &mut Report<'a>,
) -> Option<When> {
    match string(node, path, report)?.parse() {
        Ok(when) => Some(when),
        Err(error) => {
            let hint = ParseWhenError::hint(error);
            report.found(node, path, error, hint);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_is_a_word_or_days_with_a_sign() {
        for text in ["-3d", "+1d", "-3650d", "start", "weekly", "end", "rollback", "as_needed"] {
            assert_eq!(text.parse::<When>().expect(text).to_string(), text);
        }
        for form in ["", "3d", "-d", "+", "-3", "--3d", "-+3d", "-3 d", "-3h", "Start", "−3d"] {
            assert_eq!(form.parse::<When>(), Err(ParseWhenError::Form), "{form}");
        }
        assert_eq!("-0d".parse::<When>(), Err(ParseWhenError::Zero));
        assert_eq!("+00d".parse::<When>(), Err(ParseWhenError::Zero));
        assert_eq!("-3651d".parse::<When>(), Err(ParseWhenError::TooFar));
        assert_eq!("+99999999999d".parse::<When>(), Err(ParseWhenError::TooFar));
    }
}
