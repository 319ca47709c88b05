//! All that a plan says of one flag.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use crate::eval::FlagDefinition;
use crate::eval::{Salt, StageName};
use crate::plan::flags::PlannedFlag;
use crate::plan::model::calendar::Calendar;
use crate::plan::model::group::Group;
use crate::plan::model::message::Message;
use crate::plan::model::metric::Metric;
use crate::plan::model::responsibility::Responsibility;
use crate::plan::model::risk::Risk;
use crate::plan::model::rollback::RollBack;
use crate::plan::model::sections::Sections;
use crate::plan::model::stage::Stage;
use crate::plan::model::time::date::Date;
use crate::plan::model::timeline::{self, StagePeriod, Timeline};
use crate::plan::model::traffic::DeclaredTraffic;
use crate::plan::model::trigger::{Trigger, TriggerCause};

/// A flag with the whole of its plan: what [`Plan::flag`](crate::Plan::flag) gives.
///
/// # Example
///
/// ```
/// use stagegate::Plan;
///
/// let plan = Plan::parse("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
/// let flag = plan.flag("new-checkout").unwrap();
/// assert_eq!(flag.stage(), "pilot");
/// let stages: Vec<String> = flag.stages().map(|stage| stage.name().to_string()).collect();
/// assert_eq!(stages, ["internal", "pilot", "expanded", "ga"]);
/// assert!(!flag.triggers().is_empty());
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Copy)]
pub struct FlagPlan<'p> {
    pub(super) planned: &'p PlannedFlag,
}

impl<'p> FlagPlan<'p> {
    pub(in crate::plan) fn new(planned: &'p PlannedFlag) -> FlagPlan<'p> {
        FlagPlan { planned }
    }

    /// The flag's key.
    #[must_use]
    pub fn key(&self) -> &'p str {
        self.definition().key.as_str()
    }

    /// Who answers for the flag.
    #[must_use]
    pub fn owner(&self) -> Option<&'p str> {
        self.definition().owner.as_deref()
    }

    /// What the flag is.
    #[must_use]
    pub fn description(&self) -> Option<&'p str> {
        self.definition().description()
    }

    /// What spreads users over the flag's buckets: two flags or documents with the same salt have
    /// every user in the same bucket.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.definition().salt
    }

    /// Why the flag may move up more than one stage, once, when the document comes in force.
    #[must_use]
    pub fn skip_reason(&self) -> Option<&'p str> {
        self.definition().skip_reason()
    }

    /// Where the document puts the flag: [`StageName::OFF`] or one of its stages.
    #[must_use]
    pub fn stage(&self) -> StageName {
        self.definition().stage_name(self.planned.declared).unwrap_or(StageName::OFF)
    }

    /// The name of the shared or built-in plan it follows; `None` when its stages are its own.
    #[must_use]
    pub fn plan(&self) -> Option<&'p str> {
        self.planned.plan.as_deref()
    }

    /// The text that spreads users over buckets; `None` where the document gives none and it is
    /// the flag's key.
    #[must_use]
    pub fn salt_text(&self) -> Option<&'p str> {
        self.planned.salt.as_deref()
    }

    /// The stages, in order.
    #[must_use]
    pub fn stages(&self) -> impl ExactSizeIterator<Item = Stage<'p>> + use<'p> {
        let stages = &self.planned.stages;
        self.definition()
            .stages
            .iter()
            .enumerate()
            .map(|(index, compiled)| Stage { compiled, details: stages.details(index) })
    }

    /// The groups that wait, and the stage each waits for.
    pub fn hold_back(&self) -> impl Iterator<Item = (&'p str, StageName)> + use<'p> {
        let definition = self.definition();
        definition
            .hold_back
            .iter()
            .filter_map(|hold| Some((hold.group.name.as_str(), definition.stage_name(hold.until)?)))
    }

    /// The groups that the stages and [`hold_back`](FlagPlan::hold_back) name, each once, in order
    /// of their names.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'p>> {
        let definition = self.definition();
        let in_stages = definition.stages.iter().flat_map(|stage| stage.groups.iter());
        let named = in_stages.chain(definition.hold_back.iter().map(|hold| &hold.group));
        let by_name: BTreeMap<_, _> = named.map(|group| (&group.name, &**group)).collect();
        by_name.into_values().map(|compiled| Group { compiled }).collect()
    }

    /// What takes the flag back.
    #[must_use]
    pub fn triggers(&self) -> &'p [Trigger] {
        &self.sections().triggers
    }

    /// Every metric that a stage or a trigger names; one that is named twice comes twice.
    pub fn tracked_metrics(&self) -> impl Iterator<Item = &'p Metric> + use<'p> {
        let of_stages = self.stages().flat_map(|stage| stage.details().tracked_metrics());
        let of_triggers = self.triggers().iter().filter_map(|trigger| match &trigger.cause {
            TriggerCause::Metric { metric, .. } => Some(&**metric),
            TriggerCause::Incident(_) => None,
        });
        of_stages.chain(of_triggers)
    }

    /// Where to, and what people do then.
    #[must_use]
    pub fn rollback(&self) -> &'p RollBack {
        &self.sections().rollback
    }

    /// The responsibility table; empty where the plan has none.
    #[must_use]
    pub fn responsibility(&self) -> &'p [Responsibility] {
        &self.sections().responsibility
    }

    /// The row of [`responsibility`](FlagPlan::responsibility) that answers for a moment: its
    /// number from 0. `None` only where the plan has no such table.
    #[must_use]
    pub fn responsible(&self, at: SystemTime) -> Option<(usize, &'p Responsibility)> {
        self.responsibility().iter().enumerate().find(|(_, row)| row.covers(at))
    }

    /// The communication plan.
    #[must_use]
    pub fn messages(&self) -> &'p [Message] {
        &self.sections().messages
    }

    /// The plan's own variables for its messages, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&'p str, &'p str)> + use<'p> {
        self.sections().variables.iter()
    }

    /// When the flag may be promoted; `None`: at any time.
    #[must_use]
    pub fn calendar(&self) -> Option<&'p Calendar> {
        self.sections().calendar.as_deref()
    }

    /// The day the rollout starts, where the document says so.
    #[must_use]
    pub fn start(&self) -> Option<Date> {
        self.sections().timeline.start
    }

    /// Who owns which stage, where the document says so (`timeline.owners`).
    pub fn stage_owners(&self) -> impl Iterator<Item = (StageName, &'p str)> + use<'p> {
        self.sections().timeline.owners.iter().map(|(stage, owner)| (*stage, &**owner))
    }

    /// The stages on the calendar, the first one on `start`.
    #[must_use]
    pub fn timeline(&self, start: Date) -> Timeline<'p> {
        Timeline::new(*self, &self.sections().timeline, start)
    }

    /// The stages on the calendar of a rollout that came to one of them on a day, from that one on; none where
    /// there is no such stage.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     stages = [
    ///         { name = "team", percent = 1 },
    ///         { name = "pilot", percent = 10, min_duration = "3d" },
    ///         { name = "ga", percent = 100 },
    ///     ]
    /// "#)?;
    /// let search = plan.flag("search").unwrap();
    /// let pilot = search.stages().nth(1).unwrap().name();
    /// let stages = search.timeline_from(pilot, "2026-01-06".parse()?);
    /// assert_eq!(stages[1].begins.earliest.to_string(), "2026-01-09");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn timeline_from(&self, stage: StageName, began: Date) -> Vec<StagePeriod<'p>> {
        timeline::onward(*self, &self.sections().timeline, stage, began)
    }

    /// The risks and what is done about them.
    #[must_use]
    pub fn risks(&self) -> &'p [Risk] {
        &self.sections().risks
    }

    /// What comes to the service, where the document says so.
    #[must_use]
    pub fn traffic(&self) -> Option<&'p DeclaredTraffic> {
        self.sections().traffic.as_ref()
    }

    pub(crate) fn definition(&self) -> &'p FlagDefinition {
        &self.planned.definition
    }

    fn sections(&self) -> &'p Sections {
        &self.planned.sections
    }
}

/// The flag's key, its stage and numbers: not its salt, which may be secret, nor its people.
impl fmt::Debug for FlagPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagPlan")
            .field("key", &self.key())
            .field("stage", &self.stage())
            .field("stages", &self.stages().len())
            .finish_non_exhaustive()
    }
}
