//! The state of a flag, as the journal's records determine it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_derive::{Deserialize, Serialize};

use crate::eval::{FlagDefinition, StageName};
use crate::plan::model::{FlagPlan, Phase, Quantity, When};
use crate::rollout::journal::names;
use crate::rollout::{Cause, Hash, Now, Stamp};

/// The state of a flag, which is determined by the journal's records alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlagState {
    /// The flag's stage, or off.
    #[serde(with = "names::stage")]
    pub stage: StageName,
    /// The time at which the flag entered its stage. An update that changes the audience resets it.
    pub since: Stamp,
    /// Whether the rollout is complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub complete: bool,
    /// The hold, if the flag is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The open incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<Incident>,
    /// The signatures of this stage, by item id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signatures: BTreeMap<Box<str>, Signature>,
    /// The last reading of each metric in this stage, by metric name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<Box<str>, Evidence>,
    /// The checks of the watch that were done, counted from 1.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub watch_done: BTreeSet<u32>,
    /// The last check of the watch up to which missed ones were recorded. 0 for none.
    pub watch_missed: u32,
    /// Whether the flag has been in a stage. Such a flag does not begin by itself when it is off.
    pub(in crate::rollout) has_begun: bool,
    /// For metrics that an update reset in this stage, the time of the reset, by metric name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::rollout) required_since: BTreeMap<Box<str>, Stamp>,
    /// Messages of the plan that are due and not sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::rollout) pending_messages: Vec<PendingMessages>,
    /// The messages that were sent for the present stage and for later ones: stage, time, and occurrence number.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "names::sent")]
    pub(in crate::rollout) sent_messages: Vec<(StageName, When, u32)>,
}

/// A flag that an update removed.
#[derive(Clone, Debug)]
pub(in crate::rollout) struct RemovedFlag {
    /// The last document that had the flag.
    pub(in crate::rollout) document: Hash,
    /// The flag's definition in that document, without listed users.
    pub(in crate::rollout) definition: Arc<FlagDefinition>,
    pub(in crate::rollout) state: FlagState,
}

/// The messages of one stage and one time (`when`) that are due and not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::rollout) struct PendingMessages {
    #[serde(with = "names::stage")]
    pub(in crate::rollout) stage: StageName,
    #[serde(with = "names::when")]
    pub(in crate::rollout) when: When,
    /// When they became due.
    pub(in crate::rollout) since: Stamp,
    /// When the stage began.
    pub(in crate::rollout) began: Stamp,
    /// The cause of the rollback, for messages about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::rollout) reason: Option<Box<str>>,
}

/// The state of a flag's rollout in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Progress {
    /// The flag is off.
    Off,
    /// The flag is in a stage.
    Running,
    /// The flag is held: nothing is promoted until it is resumed.
    Held,
    /// The flag was rolled back, and the incident is open.
    RolledBack,
    /// The rollout is complete.
    Complete,
}

/// A hold: nothing is promoted until the flag is resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Hold {
    /// The person who holds the flag.
    pub by: Box<str>,
    /// The reason.
    pub why: Box<str>,
    /// The time at which the hold began.
    pub since: Stamp,
}

/// A hold of all flags: none is promoted until the end of the freeze, or until all are resumed.
///
/// A freeze belongs to the rollout and not to its flags. So it also holds the flags that an update adds, and a flag
/// keeps its own [hold](Hold) when the freeze ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Freeze {
    /// The person who holds the flags.
    pub by: Box<str>,
    /// The reason.
    pub why: Box<str>,
    /// The time at which the freeze began.
    pub since: Stamp,
    /// The end by the wall clock. `None`: it lasts until a person resumes all flags.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "names::maybe_moment")]
    pub until: Option<SystemTime>,
}

/// A signature under an item of the checklist or of the criteria.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Signature {
    /// The person who signed.
    pub by: Box<str>,
    /// The evidence, such as a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<str>>,
    /// The time of the signature.
    pub since: Stamp,
}

/// The last reading of a metric, and since when each condition on the metric has held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Evidence {
    /// The value. `None` if there was no data.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "names::quantity")]
    pub value: Option<Quantity>,
    /// The value for users without the flag.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "names::quantity")]
    pub control: Option<Quantity>,
    /// The number of samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The person or program that reported the reading.
    pub by: Box<str>,
    /// Whether a guard measured it, and therefore judges the triggers itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub judged: bool,
    /// The time of the reading.
    pub read_at: Stamp,
    /// For each condition of the plan (`< 1%`, `> 5%`, `50% worse than control`) that holds, the time since which it
    /// has held in every reading, without a gap.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub satisfied_since: BTreeMap<Box<str>, Stamp>,
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Incident {
    /// The incident's number: the number of the record that opened it.
    pub number: u64,
    /// The subject: the cause of the rollback, the trigger that asks, or the kind of the reported incident.
    pub about: Box<str>,
    /// The cause of the rollback. `None` if the flag was not rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The stage that the flag was rolled back from. Before a rollback, the stage when the incident was opened.
    #[serde(with = "names::stage")]
    pub from: StageName,
    /// The person or program that reported the incident or rolled the flag back.
    pub by: Box<str>,
    /// The time at which the incident was opened.
    pub opened: Stamp,
    /// The present phase.
    #[serde(with = "names::phase")]
    pub phase: Phase,
    /// The time at which the phase began.
    pub phase_since: Stamp,
    /// The number of people in the escalation line who have been asked in this phase.
    pub escalations: u32,
    /// The last report of an incident since this one was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::rollout) last_report: Option<Box<Report>>,
}

/// A person's or program's report of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::rollout) struct Report {
    pub(in crate::rollout) by: Box<str>,
    pub(in crate::rollout) kind: Box<str>,
    pub(in crate::rollout) note: Option<Box<str>>,
}

impl RemovedFlag {
    /// Returns a flag of this document, with its last state.
    pub(in crate::rollout) fn new(
        flag: &FlagPlan<'_>,
        document: Hash,
        state: FlagState,
    ) -> RemovedFlag {
        let definition = Arc::new(flag.definition().without_users());
        RemovedFlag { document, definition, state }
    }
}

impl FlagState {
    /// Creates the state of a flag that enters a stage, without any evidence.
    #[must_use]
    pub fn new(stage: StageName, since: Stamp) -> FlagState {
        let start = PendingMessages { stage, when: When::Start, since, began: since, reason: None };
        FlagState {
            stage,
            since,
            complete: false,
            hold: None,
            incident: None,
            signatures: BTreeMap::new(),
            evidence: BTreeMap::new(),
            watch_done: BTreeSet::new(),
            watch_missed: 0,
            has_begun: stage != StageName::OFF,
            required_since: BTreeMap::new(),
            pending_messages: if stage == StageName::OFF { Vec::new() } else { vec![start] },
            sent_messages: Vec::new(),
        }
    }

    /// Returns the state of the rollout in one word.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let rolled_back = |incident: &Incident| incident.cause.is_some();
        if self.incident.as_ref().is_some_and(rolled_back) {
            Progress::RolledBack
        } else if self.hold.is_some() {
            Progress::Held
        } else if self.complete {
            Progress::Complete
        } else if self.stage == StageName::OFF {
            Progress::Off
        } else {
            Progress::Running
        }
    }

    /// Returns the time that the flag has certainly spent in its stage.
    #[must_use]
    pub fn time_in_stage(&self, now: Now<'_>) -> Duration {
        now.elapsed_since(&self.since)
    }
}

impl Freeze {
    /// Returns whether the freeze is in force at a moment after its beginning. It goes by the wall clock, as the freezes
    /// of a plan's calendar do.
    #[must_use]
    pub fn is_in_force(&self, at: SystemTime) -> bool {
        self.until.is_none_or(|until| at < until)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Progress::Off => "off",
            Progress::Running => "running",
            Progress::Held => "held",
            Progress::RolledBack => "rolled back",
            Progress::Complete => "complete",
        })
    }
}
