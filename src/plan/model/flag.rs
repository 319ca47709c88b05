//! A flag with its whole plan.

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
use crate::plan::model::rollback::Rollback;
use crate::plan::model::sections::Sections;
use crate::plan::model::stage::{Advance, Stage};
use crate::plan::model::time::date::{Date, TimeZone};
use crate::plan::model::timeline::start::{Start, StartMoment};
use crate::plan::model::timeline::{self, StagePeriod, Timeline};
use crate::plan::model::traffic::DeclaredTraffic;
use crate::plan::model::trigger::{Trigger, TriggerCause};

/// A flag with its whole plan, as [`Plan::flag`](crate::Plan::flag) returns it.
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
    /// Every flag of the plan, sorted by key; none while the plan is read.
    pub(super) all: &'p [PlannedFlag],
}

/// A group that waits until a stage, whatever percentage or group would let in its users earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HoldBack<'p> {
    /// The group's name.
    pub group: &'p str,
    /// The stage from which the group may have the flag. `None`: it never has the flag.
    pub until: Option<StageName>,
    /// The names of the groups whose users do not wait.
    pub except: Vec<&'p str>,
}

impl<'p> FlagPlan<'p> {
    pub(in crate::plan) fn new(planned: &'p PlannedFlag, all: &'p [PlannedFlag]) -> FlagPlan<'p> {
        FlagPlan { planned, all }
    }

    /// Returns the flag's key.
    #[must_use]
    pub fn key(&self) -> &'p str {
        self.definition().key.as_str()
    }

    /// Returns the further names that checks may ask by (`asked_as`).
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.search]\nasked_as = [\"shop/search\", \"Suche\"]")?;
    /// let names = plan.flag("search").unwrap().asked_as();
    /// assert_eq!(names.collect::<Vec<_>>(), ["shop/search", "Suche"]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn asked_as(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.definition().asked_as().iter().map(|name| &**name)
    }

    /// Returns the flag's owner.
    #[must_use]
    pub fn owner(&self) -> Option<&'p str> {
        self.definition().owner.as_deref()
    }

    /// Returns the flag's description.
    #[must_use]
    pub fn description(&self) -> Option<&'p str> {
        self.definition().description()
    }

    /// Returns the salt, which spreads users over the flag's buckets. Flags with the same salt have every user in the
    /// same bucket, also across documents.
    #[must_use]
    pub fn salt(&self) -> Salt {
        self.definition().salt
    }

    /// Returns the reason for letting in users early, or for taking the flag from many users, in one update.
    #[must_use]
    pub fn skip_reason(&self) -> Option<&'p str> {
        self.definition().skip_reason()
    }

    /// Returns the document's `stage` for the flag: [`StageName::OFF`] or one of its stages.
    #[must_use]
    pub fn stage(&self) -> StageName {
        self.definition().stage_name(self.planned.declared).unwrap_or(StageName::OFF)
    }

    /// Returns the name of the shared or built-in plan. `None` if the flag has stages of its own.
    #[must_use]
    pub fn plan(&self) -> Option<&'p str> {
        self.planned.plan.as_deref()
    }

    /// Returns the text of `salt`. `None` if the document has none, so that the key is the salt.
    #[must_use]
    pub fn salt_text(&self) -> Option<&'p str> {
        self.planned.salt.as_deref()
    }

    /// Returns the stages, in order.
    #[must_use]
    pub fn stages(&self) -> impl ExactSizeIterator<Item = Stage<'p>> + use<'p> {
        let stages = &self.planned.stages;
        self.definition()
            .stages
            .iter()
            .enumerate()
            .map(|(index, compiled)| Stage { compiled, details: stages.details(index) })
    }

    /// Returns the groups that are held back.
    pub fn hold_back(&self) -> impl Iterator<Item = HoldBack<'p>> + use<'p> {
        let definition = self.definition();
        definition.hold_back.iter().map(|hold| HoldBack {
            group: hold.group.name.as_str(),
            until: definition.stage_name(hold.until),
            except: hold.except.iter().map(|group| group.name.as_str()).collect(),
        })
    }

    /// Returns the attribute whose values the percentages refer to (`by`). `None`: they refer to user keys.
    #[must_use]
    pub fn unit(&self) -> Option<&'p str> {
        self.definition().unit()
    }

    /// Returns the names of the groups of which a user must be in one (`only`). None: every user may have the flag.
    pub fn only(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.definition().only().iter().map(|group| group.name.as_str())
    }

    /// Returns the flags that a user must have, too, each with the stage that it must have reached (`requires`).
    pub fn requires(&self) -> impl Iterator<Item = (&'p str, StageName)> + use<'p> {
        self.definition().requires().iter().map(|required| (required.flag.as_str(), required.stage))
    }

    /// Returns the required flags, also through others, each with the highest stage that is required.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn all_required(&self) -> impl Iterator<Item = (&'p str, StageName)> + use<'p> {
        let required = self.definition().targeting().into_iter().flat_map(|it| &it.all_required);
        required.map(|required| (required.flag.as_str(), required.stage))
    }

    /// Returns the groups that the flag names, and the groups that these include, each once, sorted by name.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'p>> {
        let parts = self.definition().groups().flat_map(crate::eval::Group::parts);
        let by_name: BTreeMap<_, _> = parts.map(|group| (&group.name, group)).collect();
        by_name.into_values().map(|compiled| Group { compiled }).collect()
    }

    /// Returns the triggers, which roll the flag back or ask for a decision.
    #[must_use]
    pub fn triggers(&self) -> &'p [Trigger] {
        &self.sections().triggers
    }

    /// Returns every metric that a stage or a trigger names. A metric may come more than once.
    pub fn tracked_metrics(&self) -> impl Iterator<Item = &'p Metric> + use<'p> {
        let of_stages = self.stages().flat_map(|stage| stage.details().tracked_metrics());
        let of_triggers = self.triggers().iter().filter_map(|trigger| match &trigger.cause {
            TriggerCause::Metric { metric, .. } => Some(&**metric),
            TriggerCause::Incident(_) => None,
        });
        of_stages.chain(of_triggers)
    }

    /// Returns the target and the procedure of a rollback.
    #[must_use]
    pub fn rollback(&self) -> &'p Rollback {
        &self.sections().rollback
    }

    /// Returns the responsibility table. Empty if the plan has none.
    #[must_use]
    pub fn responsibility(&self) -> &'p [Responsibility] {
        &self.sections().responsibility
    }

    /// Returns the row of [`responsibility`](FlagPlan::responsibility) that covers a moment, with its index from 0.
    /// `None` only if the plan has no such table.
    #[must_use]
    pub fn responsible(&self, at: SystemTime) -> Option<(usize, &'p Responsibility)> {
        self.responsibility().iter().enumerate().find(|(_, row)| row.covers(at))
    }

    /// Returns the messages of the communication plan.
    #[must_use]
    pub fn messages(&self) -> &'p [Message] {
        &self.sections().messages
    }

    /// Returns the plan's own variables, each with its text, sorted by name.
    pub fn variables(&self) -> impl Iterator<Item = (&'p str, &'p str)> + use<'p> {
        self.sections().variables.iter()
    }

    /// Returns the times at which the flag may be promoted. `None`: at any time.
    #[must_use]
    pub fn calendar(&self) -> Option<&'p Calendar> {
        self.sections().calendar.as_deref()
    }

    /// Returns the first day of the first stage, if the document has a start (`timeline.start`). It is a day in the
    /// plan's [`time_zone`](FlagPlan::time_zone).
    #[must_use]
    pub fn start(&self) -> Option<Date> {
        match self.sections().timeline.start.as_ref()? {
            Start::Day(day) => Some(*day),
            moment @ Start::Moment(..) => {
                let zone = self.time_zone();
                Some(Date::of(moment.moment(&zone).at, &zone))
            }
        }
    }

    /// Returns the moment before which a rollout does not promote the flag to its first stage, if the document has a
    /// start (`timeline.start`).
    #[must_use]
    pub fn start_moment(&self) -> Option<StartMoment> {
        Some(self.sections().timeline.start.as_ref()?.moment(&self.time_zone()))
    }

    /// Returns whether a rollout promotes the flag to its first stage automatically, at the first tick after the start
    /// (`timeline.advance`).
    #[must_use]
    pub fn start_advance(&self) -> Advance {
        self.sections().timeline.advance
    }

    /// Returns the time zone of the plan's days: of the calendar, else of a start that names one, else UTC.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.a]
    ///     timeline = { start = "2026-01-05T00:30[Europe/Berlin]" }
    ///     [flags.b]
    /// "#)?;
    /// let [a, b] = ["a", "b"].map(|key| plan.flag(key).unwrap());
    /// assert_eq!((a.time_zone().to_string(), b.time_zone().to_string()), ("Europe/Berlin".into(), "UTC".into()));
    /// // In UTC it is still the day before.
    /// assert_eq!(a.start().unwrap().to_string(), "2026-01-05");
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn time_zone(&self) -> TimeZone {
        match (self.calendar(), &self.sections().timeline.start) {
            (Some(calendar), _) => calendar.time_zone.clone(),
            (None, Some(Start::Moment(_, zone))) => zone.clone(),
            _ => TimeZone::UTC,
        }
    }

    /// Returns the stages with an owner in the document, each with its owner (`timeline.owners`).
    pub fn stage_owners(&self) -> impl Iterator<Item = (StageName, &'p str)> + use<'p> {
        self.sections().timeline.owners.iter().map(|(stage, owner)| (*stage, &**owner))
    }

    /// Returns the timeline of a rollout whose first stage begins on `start`.
    #[must_use]
    pub fn timeline(&self, start: Date) -> Timeline<'p> {
        Timeline::new(*self, &self.sections().timeline, start)
    }

    /// Returns the periods of a stage and the stages after it, for a rollout that came to the stage on the day `began`.
    /// Empty if the flag has no such stage.
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

    /// Returns the risks and their mitigations.
    #[must_use]
    pub fn risks(&self) -> &'p [Risk] {
        &self.sections().risks
    }

    /// Returns the traffic of the service, if the document declares it.
    #[must_use]
    pub fn traffic(&self) -> Option<&'p DeclaredTraffic> {
        self.sections().traffic.as_ref()
    }

    /// Returns the roles that must approve a promotion to a stage (`approvals`). Empty if the promotion needs no
    /// approval, or the flag has no such stage.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Plan;
    ///
    /// let plan = Plan::parse(r#"
    ///     schema = 1
    ///     [flags.search]
    ///     approvals = { pilot = ["release owner", "client CTO"], force = 2 }
    ///     four_eyes = true
    /// "#)?;
    /// let search = plan.flag("search").unwrap();
    /// let roles: Vec<&str> = search.approvals("pilot").iter().map(|role| &**role).collect();
    /// assert_eq!(roles, ["release owner", "client CTO"]);
    /// assert_eq!((search.approvals("ga").len(), search.force_approvals(), search.four_eyes()), (0, 2, true));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn approvals(&self, stage: &str) -> &'p [Box<str>] {
        let mut stages = self.sections().approvals.stages.iter();
        stages.find(|(name, _)| *name == *stage).map(|(_, roles)| &**roles).unwrap_or_default()
    }

    /// Returns the number of people who must approve a forced promotion (`approvals.force`). 0 without approvals.
    #[must_use]
    pub fn force_approvals(&self) -> usize {
        self.sections().approvals.force
    }

    /// Returns whether a promotion needs a signature by a person other than the promoter (`four_eyes`).
    #[must_use]
    pub fn four_eyes(&self) -> bool {
        self.sections().four_eyes
    }

    pub(crate) fn definition(&self) -> &'p FlagDefinition {
        &self.planned.definition
    }

    fn sections(&self) -> &'p Sections {
        &self.planned.sections
    }
}

/// Shows the key, the stage and the number of stages. Leaves out the salt, which may be secret, and people.
impl fmt::Debug for FlagPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagPlan")
            .field("key", &self.key())
            .field("stage", &self.stage())
            .field("stages", &self.stages().len())
            .finish_non_exhaustive()
    }
}
