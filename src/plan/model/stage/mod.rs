//! What a stage asks beyond whom it lets in.

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
    pub(in crate::plan::model) compiled: &'p eval::Stage,
    pub(in crate::plan::model) details: &'p StageDetails,
}

/// What a stage is for, and what has to hold before the flag leaves it: the minimum time, each
/// metric's target, every criterion and every item of the checklist.
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
    /// What a heading calls the stage: "Internal testing". `None`: the stage's name.
    pub title: Option<Box<str>>,
    /// What the stage is to show.
    pub goal: Option<Box<str>>,
    /// Whom the stage is for, in words.
    pub audience: Vec<Box<str>>,
    /// By which criteria the users of the stage are selected, in words.
    pub selection: Vec<Box<str>>,
    /// The most users that the stage's own groups may list. A document that lists more is refused.
    pub at_most: Option<u64>,
    /// The time a flag has to be in the stage.
    pub min_duration: Option<WrittenDuration>,
    /// The time after which it is overdue. Never less than `min_duration`.
    pub max_duration: Option<WrittenDuration>,
    /// Success criteria.
    pub criteria: Vec<Criterion>,
    /// What the team does in the stage.
    pub activities: Vec<Activity>,
    /// The go/no-go checklist.
    pub checklist: Vec<Criterion>,
    /// What is tracked.
    pub metrics: Vec<StageMetric>,
    /// How closely the flag is watched once it is in its last stage.
    pub watch: Option<Watch>,
    /// Whether the flag leaves the stage by itself once every condition holds.
    pub advance: Advance,
}

words! {
    /// How a flag leaves a stage. Printed as a document writes it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub enum Advance: "not a way to leave a stage" {
        /// Somebody promotes it (`manual`).
        #[default]
        Manual = "manual",
        /// By itself, once every condition holds (`auto`).
        Auto = "auto",
    }
}

/// The watch after the last promotion: `{ for = "48h", every = "2h" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watch {
    /// How long it lasts (`for`).
    pub lasts: WrittenDuration,
    /// The time from one check to the next; no longer than the watch.
    pub every: WrittenDuration,
    /// What the team does meanwhile, in words.
    pub activities: Vec<Box<str>>,
}

impl StageDetails {
    /// The success criteria, then the items of the checklist.
    pub fn conditions(&self) -> impl Iterator<Item = &Criterion> {
        self.criteria.iter().chain(&self.checklist)
    }

    /// Every metric that the stage tracks or that a condition names. A metric may come more than once.
    pub fn tracked_metrics(&self) -> impl Iterator<Item = &Metric> {
        let of_conditions = self.conditions().filter_map(|condition| match condition {
            Criterion::Metric { metric, .. } => Some(&**metric),
            Criterion::Manual { .. } => None,
        });
        self.metrics.iter().map(|tracked| &*tracked.metric).chain(of_conditions)
    }
}

impl<'p> Stage<'p> {
    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> StageName {
        *self.compiled.name()
    }

    /// The share of all users it is for, those of the stages before included.
    #[must_use]
    pub fn percent(&self) -> Percent {
        self.compiled.percent
    }

    /// The names of the groups it adds.
    pub fn groups(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        self.compiled.groups.iter().map(|group| group.name.as_str())
    }

    /// Its goal, durations, criteria, checklist and metrics.
    #[must_use]
    pub fn details(&self) -> &'p StageDetails {
        self.details
    }
}

/// The stages of a plan: compiled for asking, and what they ask. Flags share them.
#[derive(Clone, Debug)]
pub(in crate::plan) struct Stages {
    pub(in crate::plan) compiled: Arc<[eval::Stage]>,
    /// One for each stage, or none at all where no stage says anything.
    details: Arc<[StageDetails]>,
}

impl Stages {
    pub(in crate::plan) fn new(compiled: Vec<eval::Stage>, details: Vec<StageDetails>) -> Stages {
        let nothing = StageDetails::default();
        let says_nothing = details.iter().all(|details| *details == nothing);
        let details = if says_nothing { Vec::new() } else { details };
        Stages { compiled: compiled.into(), details: details.into() }
    }

    pub(in crate::plan) fn details(&self, index: usize) -> &StageDetails {
        static NOTHING: StageDetails = StageDetails {
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
        self.details.get(index).unwrap_or(&NOTHING)
    }
}
