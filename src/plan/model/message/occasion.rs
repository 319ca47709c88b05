//! The values of the variables in messages.

use std::time::SystemTime;

use crate::eval::StageName;
use crate::percent::Percent;
use crate::plan::model::flag::FlagPlan;
use crate::plan::model::stage::Stage;
use crate::plan::model::time::date::Date;

/// The occasion of a message: its stage and its time. The values of variables depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occasion {
    /// The stage that the message is about, or `off`.
    pub stage: StageName,
    /// The time of the message. It decides the value of `contact`.
    pub at: SystemTime,
    /// The day on which the message is due.
    pub date: Option<Date>,
    /// The first day of the stage, and the latest last day.
    pub period: Option<(Date, Date)>,
    /// The reason of a rollback.
    pub reason: Option<Box<str>>,
}

impl Occasion {
    /// Creates an occasion with a stage and a time. Every other field is `None`.
    #[must_use]
    pub fn new(stage: StageName, at: SystemTime) -> Occasion {
        Occasion { stage, at, date: None, period: None, reason: None }
    }
}

impl FlagPlan<'_> {
    /// Returns the value of a variable: one of the plan's own, or one of [`VARIABLES`](super::variables::VARIABLES).
    /// `None` if there is no such variable, or the occasion has no value for it.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::Plan;
    /// use stagegate::model::Occasion;
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.search]")?;
    /// let search = plan.flag("search").unwrap();
    /// let pilot = search.stages().nth(1).unwrap().name();
    /// let occasion = Occasion::new(pilot, SystemTime::UNIX_EPOCH);
    /// let value = |name| search.variable(name, &occasion);
    /// assert_eq!(value("percent").as_deref(), Some("10"));
    /// assert_eq!(value("next_stage").as_deref(), Some("expanded"));
    /// assert_eq!(value("reason"), None);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn variable(&self, name: &str, occasion: &Occasion) -> Option<String> {
        if let Some((_, own)) = self.variables().find(|(known, _)| *known == name) {
            return Some(own.to_owned());
        }
        let stages: Vec<Stage<'_>> = self.stages().collect();
        let index = stages.iter().position(|stage| stage.name() == occasion.stage);
        let stage = index.and_then(|index| stages.get(index));
        let name_at = |index: usize| stages.get(index).map(|stage| stage.name().to_string());
        match name {
            "flag" => Some(self.key().to_owned()),
            "description" => self.description().map(str::to_owned),
            "owner" => self.owner().map(str::to_owned),
            "stage" => Some(occasion.stage.to_string()),
            // At `off` no user has the flag.
            "percent" => Some(stage.map_or(Percent::NONE, Stage::percent).to_string()),
            "goal" => stage?.details().goal.as_deref().map(str::to_owned),
            "previous_stage" => {
                let before = index.and_then(|index| name_at(index.checked_sub(1)?));
                Some(before.unwrap_or_else(|| StageName::OFF.to_string()))
            }
            "next_stage" => Some(name_at(index.map_or(0, |index| index + 1)).unwrap_or_default()),
            "date" => occasion.date.map(|date| date.to_string()),
            "starts" => occasion.period.map(|(begins, _)| begins.to_string()),
            "ends" => occasion.period.map(|(_, ends)| ends.to_string()),
            "contact" => {
                let (_, row) = self.responsible(occasion.at)?;
                Some(row.contact.to_string())
            }
            "reason" => occasion.reason.as_deref().map(str::to_owned),
            _ => None,
        }
    }
}
