//! A moment of a rollout: the value of `--on`.

use stagegate::StageName;
use stagegate::model::{Date, FlagPlan, When};

use super::Due;
use crate::escape::terminal;
use crate::failure::Failure;
use crate::terminal::quoted;

/// A stage and a moment within it.
pub(super) struct Moment {
    pub(super) stage: StageName,
    pub(super) when: When,
}

impl Moment {
    /// Parses `pilot.start`, `pilot.-3d` or `pilot.rollback`. `rollback` and `as_needed` without a stage
    /// refer to the flag's present stage.
    pub(super) fn parse(flag: FlagPlan<'_>, text: &str) -> Result<Moment, Failure> {
        const FORM: &str = "write STAGE.WHEN, where WHEN is start, end, weekly, rollback, \
                            as_needed or days such as -3d; or write rollback or as_needed alone";
        let usage = |wrong: String| Failure::Usage(format!("--on: {wrong}; {FORM}"));
        if let Ok(when @ (When::Rollback | When::AsNeeded)) = text.parse() {
            return Ok(Moment { stage: flag.stage(), when });
        }
        // Only the name of a stage may contain a `.`.
        let (stage, when) = text
            .rsplit_once('.')
            .ok_or_else(|| usage(format!("`{}` is not a moment of a stage", terminal(text))))?;
        let when: When =
            when.parse().map_err(|error| usage(format!("`{}` is {error}", terminal(when))))?;
        let names: Vec<StageName> = flag.stages().map(|stage| stage.name()).collect();
        match names.iter().find(|name| **name == stage) {
            Some(stage) => Ok(Moment { stage: *stage, when }),
            None => Err(Failure::Usage(format!(
                "--on: `{}` has no stage `{}`; it has: {}",
                flag.key(),
                terminal(stage),
                quoted(names.iter().map(StageName::as_str))
            ))),
        }
    }

    /// Returns the messages of the moment, in the order of the document. A message that repeats has its
    /// first day.
    pub(super) fn due<'p>(&self, flag: FlagPlan<'p>, start: Option<Date>) -> Vec<Due<'p>> {
        let dated = start.map(|start| flag.timeline(start).messages).unwrap_or_default();
        let mine = flag.messages().iter().filter(|message| {
            message.when == self.when && message.stage.is_none_or(|stage| stage == self.stage)
        });
        mine.map(|message| {
            let date = match self.when {
                // No plan can foretell the day of these.
                When::Rollback | When::AsNeeded => None,
                _ => dated
                    .iter()
                    .find(|due| due.stage == self.stage && std::ptr::eq(due.message, message))
                    .map(|due| due.date),
            };
            Due { message, stage: self.stage, date }
        })
        .collect()
    }
}
