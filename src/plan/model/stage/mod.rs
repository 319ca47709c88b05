//! Stages and the rules for leaving them.

pub(super) mod activity;
pub(super) mod criterion;
pub(super) mod fields;

use std::sync::Arc;

use activity::Activity;
use criterion::Criterion;

use crate::eval;
use crate::eval::StageName;
use crate::percent::Percent;
use crate::plan::model::metric::{Metric, StageMetric};
use crate::plan::model::time::duration::WrittenDuration;
use crate::plan::model::word::words;

/// A stage of a flag's plan.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'p> {
    pub(in crate::plan::model) compiled: &'p eval::StageDefinition,
    pub(in crate::plan::model) details: &'p StageDetails,
}

/// The goal of a stage, and the conditions for leaving it: the minimum time, each metric's target, every criterion and
/// every item of the checklist.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use stagegate::Plan;
/// use stagegate::model::Criterion;
///
/// let plan = Plan::parse(r#"
///     schema = 1
///     [flags.new-checkout]
///     [[flags.new-checkout.stages]]
///     name = "everybody"
///     percent = 100
///     goal = "Everybody has it, and nobody notices"
///     min_duration = "3d"
///     max_duration = "1w"
///     criteria = [
///         { metric = "error_rate", target = "<1%", for = "72h" },
///         { id = "client-agrees", text = "The client agrees" },
///     ]
///     activities = ["Read the log twice a day"]
///     checklist = [{ id = "on-call", text = "On-call knows", owner = "ops", expires = "1d" }]
///     metrics = { latency_p95 = { target = "< 2s", alert = "> 3s" } }
///     watch = { for = "48h", every = "2h" }
/// "#)?;
/// let stage = plan.flag("new-checkout").unwrap().stages().next().unwrap();
/// let details = stage.details();
/// assert_eq!(&*details.activities[0].text, "Read the log twice a day");
/// assert_eq!(*details.max_duration.unwrap(), Duration::from_secs(7 * 24 * 60 * 60));
/// let Criterion::Metric { metric, target, sustained, .. } = &details.criteria[0] else { panic!() };
/// assert_eq!((&*metric.name, target.to_string()), ("error_rate", "< 1%".to_owned()));
/// assert_eq!(*sustained, details.min_duration);
/// assert_eq!(details.metrics[0].alert.unwrap().to_string(), "> 3s");
/// assert_eq!(*details.watch.as_ref().unwrap().every, Duration::from_secs(2 * 60 * 60));
/// # Ok::<(), stagegate::PlanError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageDetails {
    /// The heading for people: "Internal testing". `None`: the stage's name.
    pub title: Option<Box<str>>,
    /// The goal of the stage.
    pub goal: Option<Box<str>>,
    /// The users whom the stage is for, in words.
    pub audience: Vec<Box<str>>,
    /// The criteria by which these users are selected, in words.
    pub selection: Vec<Box<str>>,
    /// The largest number of users that the stage's own groups may list. A document that lists more is refused.
    pub at_most: Option<u64>,
    /// The time that a flag has to be in the stage.
    pub min_duration: Option<WrittenDuration>,
    /// The time after which the flag is overdue. Never less than `min_duration`.
    pub max_duration: Option<WrittenDuration>,
    /// The success criteria.
    pub criteria: Vec<Criterion>,
    /// The tasks of the team.
    pub activities: Vec<Activity>,
    /// The go/no-go checklist.
    pub checklist: Vec<Criterion>,
    /// The tracked metrics.
    pub metrics: Vec<StageMetric>,
    /// The watch of the last stage.
    pub watch: Option<Watch>,
    /// Whether the flag leaves the stage automatically once every condition holds.
    pub advance: Advance,
}

words! {
    /// How a flag leaves a stage. Printed as in a document.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum Advance: "not a way to leave a stage" {
        /// A person or program promotes it (`manual`).
        #[default]
        Manual = "manual",
        /// Automatically, once every condition holds (`auto`).
        Auto = "auto",
    }
}

/// The watch after the last promotion: `{ for = "48h", every = "2h" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watch {
    /// The length of the watch (`for`).
    pub lasts: WrittenDuration,
    /// The time from one check to the next. Never longer than the watch.
    pub every: WrittenDuration,
    /// The tasks of the team during the watch, in words.
    pub activities: Vec<Box<str>>,
}

impl StageDetails {
    /// Returns the success criteria, then the items of the checklist.
    pub fn conditions(&self) -> impl Iterator<Item = &Criterion> {
        self.criteria.iter().chain(&self.checklist)
    }

    /// Returns every metric that the stage tracks or that a condition names. A metric may come more than once.
    pub fn tracked_metrics(&self) -> impl Iterator<Item = &Metric> {
        let of_conditions = self.conditions().filter_map(|condition| match condition {
            Criterion::Metric { metric, .. } => Some(&**metric),
            Criterion::Manual { .. } => None,
        });
        self.metrics.iter().map(|tracked| &*tracked.metric).chain(of_conditions)
    }
}

impl<'p> Stage<'p> {
    /// Returns the stage's name.
    #[must_use]
    pub fn name(&self) -> StageName {
        *self.compiled.name()
    }

    /// Returns the percentage of all users or, with [`within`](Stage::within), of the users of groups. It includes the
    /// percentage of the stages before.
    #[must_use]
    pub fn percent(&self) -> Percent {
        self.compiled.percent
    }

    /// Returns the names of the groups that the stage adds.
    pub fn groups(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.groups.iter().map(|group| group.name.as_str())
    }

    /// Returns the names of the groups whose users the percentage refers to. None: it refers to all users.
    pub fn within(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.within.iter().map(|group| group.name.as_str())
    }

    /// Returns the goal, durations, criteria, checklist and metrics.
    #[must_use]
    pub fn details(&self) -> &'p StageDetails {
        self.details
    }
}

/// The stages of a plan: compiled for evaluation, and the details of each. Flags share them.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Stages {
    pub(in crate::plan) compiled: Arc<[eval::StageDefinition]>,
    /// One for each stage. Empty if no stage has details.
    details: Arc<[StageDetails]>,
}

impl Stages {
    pub(in crate::plan) fn new(
        compiled: Vec<eval::StageDefinition>,
        details: Vec<StageDetails>,
    ) -> Stages {
        let empty = StageDetails::default();
        let all_empty = details.iter().all(|details| *details == empty);
        let details = if all_empty { Vec::new() } else { details };
        Stages { compiled: compiled.into(), details: details.into() }
    }

    pub(in crate::plan) fn details(&self, index: usize) -> &StageDetails {
        static EMPTY: StageDetails = StageDetails {
            title: None,
            goal: None,
            audience: Vec::new(),
            selection: Vec::new(),
            at_most: None,
            min_duration: None,
            max_duration: None,
            criteria: Vec::new(),
            activities: Vec::new(),
            checklist: Vec::new(),
            metrics: Vec::new(),
            watch: None,
            advance: Advance::Manual,
        };
        self.details.get(index).unwrap_or(&EMPTY)
    }
}
