//! `when`: the time at which a message is sent.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::plan::fields::string;
use crate::plan::node::Node;
use crate::plan::path::Path;
use crate::plan::report::Report;

/// The time at which a message is sent. Printed and parsed as in a document.
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
    /// A number of days before (negative, `"-3d"`) or after (`"+1d"`) the stage begins. Never 0.
    Days(i32),
    /// When the stage begins (`start`).
    Start,
    /// Each week of the stage (`weekly`).
    Weekly,
    /// When the stage ends (`end`).
    End,
    /// When the flag is rolled back (`rollback`).
    Rollback,
    /// When a person decides to send it (`as_needed`). It has no date and is never sent automatically.
    AsNeeded,
}

/// The largest number of days: ten years, as for every duration of a plan.
const MAX_DAYS: i32 = 3650;

impl FromStr for When {
    type Err = ParseWhenError;

    /// Parses `start`, `weekly`, `end`, `rollback`, `as_needed`, or days with a sign: `-3d`, `+1d`.
    fn from_str(text: &str) -> Result<When, ParseWhenError> {
        Ok(match text {
            "start" => When::Start,
            "weekly" => When::Weekly,
            "end" => When::End,
            "rollback" => When::Rollback,
            "as_needed" => When::AsNeeded,
            _ => When::Days(parse_days(text)?),
        })
    }
}

/// Parses `-3d` or `+1d`.
fn parse_days(text: &str) -> Result<i32, ParseWhenError> {
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

/// Writes the text of the document: `-3d`, `start`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Days(days) => f.pad(&format!("{days:+}d")),
            When::Start => f.pad("start"),
            When::Weekly => f.pad("weekly"),
            When::End => f.pad("end"),
            When::Rollback => f.pad("rollback"),
            When::AsNeeded => f.pad("as_needed"),
        }
    }
}

/// The error for a text that is not a [`When`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseWhenError {
    /// Neither a known word nor a number of days with a sign.
    #[error("not a time to send a message")]
    Form,
    /// Zero days.
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
