//! What is known of a flag.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::eval::{FlagDefinition, StageName};
use crate::plan::model::{Phase, Quantity, When};
use crate::rollout::{Cause, Now, Stamp};

/// A flag's state: what the journal's records of it come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagState {
    /// Where it is: `off` or a stage of its plan.
    pub stage: StageName,
    /// Since when.
    pub since: Stamp,
    /// Whether the last stage has shown what it had to.
    pub complete: bool,
    /// Who holds it, where somebody does.
    pub hold: Option<Hold>,
    /// The open incident.
    pub incident: Option<Incident>,
    /// What was signed in this stage, by id.
    pub signatures: BTreeMap<Box<str>, Signature>,
    /// What was measured in this stage, by metric.
    pub evidence: BTreeMap<Box<str>, Evidence>,
    /// The checks of the watch that were done, counted from 1.
    pub watch_done: BTreeSet<u32>,
    /// The last check of the watch that was told as missed; 0 for none.
    pub watch_missed: u32,
    /// Since when a document asks for a metric, by metric, where that is later than the stage.
    pub(in crate::rollout) asked: BTreeMap<Box<str>, Stamp>,
    /// Moments of the communication plan that have come and that nobody was told of.
    pub(in crate::rollout) owed: Vec<Owed>,
    /// The moments whose messages were sent, of stages that are not behind; of weeks the last.
    pub(in crate::rollout) messaged: Vec<(StageName, When, u32)>,
}

/// A flag that a document removed.
#[derive(Clone, Debug)]
pub(in crate::rollout) struct Removed {
    /// Its plan then, without listed users.
    pub(in crate::rollout) definition: Arc<FlagDefinition>,
    pub(in crate::rollout) state: FlagState,
}

/// A moment of the communication plan that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rollout) struct Owed {
    pub(in crate::rollout) stage: StageName,
    pub(in crate::rollout) when: When,
    pub(in crate::rollout) since: Stamp,
    /// When the stage had begun.
    pub(in crate::rollout) began: Stamp,
    /// Why the flag was rolled back.
    pub(in crate::rollout) reason: Option<Box<str>>,
}

/// Where a flag stands, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Standing {
    /// Nobody has it.
    Off,
    /// It is in a stage.
    Running,
    /// It is in a stage, or off, and not promoted until resumed.
    Held,
    /// It was taken back, and the incident is open.
    RolledBack,
    /// The rollout is over.
    Complete,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hold {
    /// Who holds it.
    pub by: Box<str>,
    /// Why.
    pub why: Box<str>,
    /// Since when.
    pub since: Stamp,
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// Who signed.
    pub by: Box<str>,
    /// On what grounds.
    pub evidence: Option<Box<str>>,
    /// When.
    pub since: Stamp,
}

/// What was last read of a metric.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evidence {
    /// The value; `None`: there were no data.
    pub value: Option<Quantity>,
    /// The value for users without the flag.
    pub control: Option<Quantity>,
    /// From how many samples.
    pub samples: Option<u64>,
    /// Who or what read it.
    pub by: Box<str>,
    /// Whether a guard read it, which judges the limits of triggers itself.
    pub judged: bool,
    /// When.
    pub read: Stamp,
    /// Since when each condition of the plan (`< 1%`, `> 5%`, `50% worse than control`) has held
    /// in every reading, without a gap; only those that hold.
    pub holding: BTreeMap<Box<str>, Stamp>,
}

/// An open incident.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incident {
    /// Its number: that of the record that opened it.
    pub number: u64,
    /// What it is about: the cause of the roll-back, or the incident's kind.
    pub about: Box<str>,
    /// Why the flag was taken back; `None` as long as it was not.
    pub cause: Option<Cause>,
    /// The stage it was taken back from; that of the report, as long as it was not.
    pub from: StageName,
    /// Who reported it or rolled back.
    pub by: Box<str>,
    /// When it was opened.
    pub opened: Stamp,
    /// The phase that is to be done now.
    pub phase: Phase,
    /// Since when.
    pub phase_since: Stamp,
    /// How many of those in line have been asked in this phase.
    pub escalations: u32,
}

impl FlagState {
    /// A flag at a stage, with nothing shown yet.
    #[must_use]
    pub fn new(stage: StageName, since: Stamp) -> FlagState {
        let start = Owed { stage, when: When::Start, since, began: since, reason: None };
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
            asked: BTreeMap::new(),
            owed: if stage == StageName::OFF { Vec::new() } else { vec![start] },
            messaged: Vec::new(),
        }
    }

    /// Where it stands, in a word.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let rolled_back = |incident: &Incident| incident.cause.is_some();
        if self.incident.as_ref().is_some_and(rolled_back) {
            Standing::RolledBack
        } else if self.hold.is_some() {
            Standing::Held
        } else if self.complete {
            Standing::Complete
        } else if self.stage == StageName::OFF {
            Standing::Off
        } else {
            Standing::Running
        }
    }

    /// The time it has certainly spent in its stage.
    #[must_use]
    pub fn spent(&self, now: Now<'_>) -> Duration {
        now.spent_since(&self.since)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Standing::Off => "off",
            Standing::Running => "running",
            Standing::Held => "held",
            Standing::RolledBack => "rolled back",
            Standing::Complete => "complete",
        })
    }
}
