//! Why an event was refused.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::event::Event;
use crate::eval::StageName;

/// An event that was refused, with every condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct Refusal {
    /// The flag.
    pub flag: Box<str>,
    /// What was asked: `promote`.
    pub event: &'static str,
    /// What is not met: at least one.
    pub unmet: Vec<Unmet>,
}

/// A condition that is not met. Printed as a line that says what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// Its kind, for programs: the chapter on rollouts lists them.
    pub kind: &'static str,
    /// What was found.
    pub found: String,
    /// What to do.
    pub hint: String,
    /// How long it will take at least, where only time is missing.
    pub wait: Option<Duration>,
}

impl Unmet {
    pub(super) fn new(
        kind: &'static str,
        found: impl Into<String>,
        hint: impl Into<String>,
    ) -> Unmet {
        Unmet { kind, found: found.into(), hint: hint.into(), wait: None }
    }

    pub(super) fn wait(self, rest: Duration) -> Unmet {
        Unmet { wait: Some(rest), ..self }
    }
}

/// The flag is no longer where it was when somebody decided to take it up.
pub(in crate::rollout) fn moved(
    flag: &str,
    event: &Event,
    from: StageName,
    to: StageName,
) -> Refusal {
    let found = match from == to {
        true => format!("`{flag}` was moved meanwhile, and is in stage `{to}` again"),
        false => format!("`{flag}` was moved meanwhile, from `{from}` to `{to}`"),
    };
    let unmet = vec![Unmet::new("moved", found, "look at it once more, and decide anew")];
    Refusal { flag: flag.into(), event: event.name(), unmet }
}

/// The incident is no longer in the phase that somebody said is done.
pub(in crate::rollout) fn gone_on(flag: &str, event: &Event) -> Refusal {
    let found = format!("the incident of `{flag}` has gone on meanwhile");
    let unmet = vec![Unmet::new("moved", found, "look at it once more, and decide anew")];
    Refusal { flag: flag.into(), event: event.name(), unmet }
}

impl Refusal {
    /// Whether a condition of that kind is not met.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        self.unmet.iter().any(|unmet| unmet.kind == kind)
    }
}

/// On several lines: what was refused, then what was found and what to do for each condition.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.unmet.len() {
            1 => "1 condition is not met".to_owned(),
            count => format!("{count} conditions are not met"),
        };
        write!(f, "{} of `{}` is refused: {count}", self.event, self.flag)?;
        for unmet in &self.unmet {
            write!(f, "\n  {}\n      {}", unmet.found, unmet.hint)?;
        }
        Ok(())
    }
}

/// On one line.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found, self.hint)
    }
}
