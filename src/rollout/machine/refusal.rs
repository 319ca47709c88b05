//! Refusals of events.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::event::Event;
use crate::eval::StageName;

/// The refusal of an event, with every unmet condition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct Refusal {
    /// The flag's key. Empty if the event is about all flags.
    pub flag: Box<str>,
    /// The refused event, such as `promote`.
    pub event: &'static str,
    /// The unmet conditions: at least one.
    pub unmet: Vec<Unmet>,
}

/// An unmet condition. Its `Display` is one line: the finding and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// The kind of condition, for programs. The chapter on rollouts lists the kinds.
    pub kind: &'static str,
    /// The finding.
    pub found: String,
    /// The remedy.
    pub hint: String,
    /// The minimum time until the condition can hold, if only time is missing.
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

/// Returns the refusal of a promotion that was decided for a stage the flag has left meanwhile.
pub(in crate::rollout) fn flag_moved(
    flag: &str,
    event: &Event,
    from: StageName,
    to: StageName,
) -> Refusal {
    let found = match from == to {
        true => format!("`{flag}` was moved meanwhile, and is in stage `{to}` again"),
        false => format!("`{flag}` was moved meanwhile, from `{from}` to `{to}`"),
    };
    let unmet = vec![Unmet::new("moved", found, DECIDE_AGAIN)];
    Refusal { flag: flag.into(), event: event.name(), unmet }
}

/// Returns the refusal of a step that was meant for a phase the incident has left meanwhile.
pub(in crate::rollout) fn incident_moved(flag: &str, event: &Event) -> Refusal {
    let found = format!("the incident of `{flag}` has moved on meanwhile");
    let unmet = vec![Unmet::new("moved", found, DECIDE_AGAIN)];
    Refusal { flag: flag.into(), event: event.name(), unmet }
}

/// The remedy after a change by another person or process.
const DECIDE_AGAIN: &str = "check the flag's status, then decide again";

impl Refusal {
    /// Returns whether a condition of a kind is unmet.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        self.unmet.iter().any(|unmet| unmet.kind == kind)
    }
}

/// Prints several lines: the refused event, then the finding and the remedy for each condition.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = match self.unmet.len() {
            1 => "1 condition is not met".to_owned(),
            count => format!("{count} conditions are not met"),
        };
        match &*self.flag {
            "" => write!(f, "{} of all flags is refused: {count}", self.event),
            flag => write!(f, "{} of `{flag}` is refused: {count}", self.event),
        }?;
        for unmet in &self.unmet {
            write!(f, "\n  {}\n      {}", unmet.found, unmet.hint)?;
        }
        Ok(())
    }
}

/// Prints one line: the finding and the remedy.
impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found, self.hint)
    }
}
