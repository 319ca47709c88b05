//! A moment of a rollout, as `--on` names it.

use stagegate::StageName;
use stagegate::model::{Date, FlagPlan, When};

use super::Due;
use crate::escape::terminal;
use crate::failure::Failure;
use crate::terminal::quoted;

/// A stage and a moment of it.
pub(super) struct Moment {
    pub(super) stage: StageName,
    pub(super) when: When,
}

impl Moment {
    /// `pilot.start`, `pilot.-3d`, `pilot.rollback`; or `rollback` alone, from the stage at which
    /// the flag is.
    pub(super) fn parse(flag: FlagPlan<'_>, text: &str) -> Result<Moment, Failure> {
        const FORM: &str = "write a stage and start, end, weekly, rollback or days as in -3d: \
                            `pilot.start`; or `rollback` alone";
        let usage = |wrong: String| Failure::Usage(format!("--on: {wrong}; {FORM}"));
        if text == "rollback" {
            return Ok(Moment { stage: flag.stage(), when: When::RollBack });
        }
        // A stage's name may have a `.`, a moment has none.
        let (stage, when) = text
            .rsplit_once('.')
            .ok_or_else(|| usage(format!("`{}` is no moment of a stage", terminal(text))))?;
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

    /// The messages of the moment, in the order of the document. Where one comes several times, its
    /// day is the first.
    pub(super) fn due<'p>(&self, flag: FlagPlan<'p>, start: Option<Date>) -> Vec<Due<'p>> {
        let dated = start.map(|start| flag.timeline(start).messages).unwrap_or_default();
        let mine = flag.messages().iter().filter(|message| {
            message.when == self.when && message.stage.is_none_or(|stage| stage == self.stage)
        });
        mine.map(|message| {
            let date = match self.when {
                // It is sent when it happens.
                When::RollBack => None,
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
