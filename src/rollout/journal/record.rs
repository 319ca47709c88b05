//! What a line of the journal says.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_derive::{Deserialize, Serialize};

use super::Hash;
use crate::clock::Boot;
use crate::eval::StageName;
use crate::plan::model::Phase;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Its number, from 1.
    pub seq: u64,
    /// When, by the clock on the wall, to the millisecond.
    pub at: SystemTime,
    /// The boot that `uptime` is of.
    pub boot: Boot,
    /// When, by the clock that only runs on, to the millisecond.
    pub uptime: Duration,
    /// The time that had certainly passed since the first record, to the millisecond.
    pub time: Duration,
    /// Who did it.
    pub by: Box<str>,
    /// The document in force, once this has happened.
    pub document: Hash,
    /// The flag; `None` where it is about all of them.
    pub flag: Option<Box<str>>,
    /// Where the flag was.
    pub from: Option<StageName>,
    /// Where it is since.
    pub to: Option<StageName>,
    /// What happened.
    pub fact: Fact,
    /// The hash of this record and, through it, of all before.
    pub hash: Hash,
}

/// What happened. `docs/journal.md` has the fields as they are written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fact {
    /// The journal begins, with a document.
    #[non_exhaustive]
    Opened {
        /// The version of the journal's format.
        journal: u32,
        /// Every flag and where its document lets it start.
        flags: Vec<Placed>,
    },
    /// Another document is in force.
    #[non_exhaustive]
    Updated {
        /// The flags for which that changes something beside texts, in order of their keys.
        flags: Vec<Changed>,
    },
    /// A machine noted its clock: from here on it vouches for the time that passes.
    #[non_exhaustive]
    Seen {},
    /// The flag went one stage up, or further where it was forced.
    #[non_exhaustive]
    Promoted {
        /// The reason, where it was forced past what was unmet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<Box<str>>,
        /// The conditions: those that held, or those unmet that were forced.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grounds: Vec<Box<str>>,
    },
    /// The last stage has shown what it had to.
    #[non_exhaustive]
    Completed {
        /// As for a promotion.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<Box<str>>,
        /// As for a promotion.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grounds: Vec<Box<str>>,
    },
    /// The flag stays where it is until it is resumed.
    #[non_exhaustive]
    Held {
        /// Why.
        why: Box<str>,
    },
    /// The hold is over.
    #[non_exhaustive]
    Resumed {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// The flag was taken back, and an incident opened where there was none.
    #[non_exhaustive]
    RolledBack {
        /// What for.
        cause: Cause,
        /// When it took effect, in milliseconds since 1970, where the record could only be written later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective_ms: Option<u64>,
    },
    /// A person signed a criterion or an item of the checklist.
    #[non_exhaustive]
    Signed {
        /// Which.
        item: Box<str>,
        /// On what grounds: a link, perhaps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<str>>,
    },
    /// A signature was taken back.
    #[non_exhaustive]
    Unsigned {
        /// Of what.
        item: Box<str>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// A signature has become too old to count.
    #[non_exhaustive]
    Expired {
        /// Of what.
        item: Box<str>,
    },
    /// Somebody or something reported an incident. Opens one where none is open.
    #[non_exhaustive]
    Reported {
        /// Its kind, as triggers name it.
        kind: Box<str>,
        /// What was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
    },
    /// A trigger asks whoever is responsible whether the flag is taken back. Opens an incident where none is open.
    #[non_exhaustive]
    Asked {
        /// Which, as it reads: `error_rate > 2% for 1h`.
        trigger: Box<str>,
        /// What was found.
        evidence: Box<str>,
    },
    /// A phase of the incident is done.
    #[non_exhaustive]
    Stepped {
        /// Which.
        #[serde(with = "super::names::phase")]
        phase: Phase,
        /// What was found or done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
        /// Why it counts as done although its check failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overridden: Option<Box<str>>,
    },
    /// The next in line was asked.
    #[non_exhaustive]
    Escalated {
        /// Who.
        to: Box<str>,
        /// Why.
        why: Box<str>,
    },
    /// The incident is closed: the flag may be promoted again.
    #[non_exhaustive]
    Closed {
        /// What came of it.
        note: Box<str>,
    },
    /// A metric was read.
    #[non_exhaustive]
    Measured {
        /// Which.
        metric: Box<str>,
        /// Its value as a document writes one; `None`: there were no data.
        value: Option<Box<str>>,
        /// The value for users without the flag.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control: Option<Box<str>>,
        /// From how many samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<u64>,
        /// Whether a guard read it, which judges the limits of triggers itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        judged: bool,
    },
    /// Messages of the plan were due, and are sent.
    #[non_exhaustive]
    Messaged {
        /// About which stage.
        #[serde(with = "super::names::stage")]
        stage: StageName,
        /// At which moment of it, as a document writes it: `start`, `-3d`.
        when: Box<str>,
        /// The how manieth: of a weekly message the week.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        number: u32,
        /// To whom, and by which way: `client by email`.
        to: Vec<Box<str>>,
    },
    /// Checks of the watch after the last promotion were missed.
    #[non_exhaustive]
    WatchMissed {
        /// The first of a row, counted from 1.
        first: u32,
        /// The last of the row.
        last: u32,
    },
}

/// Why a flag was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Cause {
    /// Somebody decided so.
    #[non_exhaustive]
    Decision {
        /// Why.
        reason: Box<str>,
    },
    /// A trigger of the plan fired.
    #[non_exhaustive]
    Trigger {
        /// Which, as it reads: `error_rate > 5%`.
        trigger: Box<str>,
        /// What was measured: `6% of 1200 samples`; or that there were no data.
        evidence: Box<str>,
    },
    /// An incident was reported that takes the flag back.
    #[non_exhaustive]
    Incident {
        /// Its kind.
        kind: Box<str>,
        /// What was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
    },
    /// The application called the gate's own `roll_back` or `set_stage`.
    Call,
}

/// A flag and where it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Placed {
    /// Its key.
    pub flag: Box<str>,
    /// Its stage, or `off`.
    #[serde(with = "super::names::stage")]
    pub stage: StageName,
}

/// What another document changes for a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Changed {
    /// Its key.
    pub flag: Box<str>,
    /// Where it is since; `None` for a flag that is gone.
    #[serde(with = "super::names::maybe_stage")]
    pub stage: Option<StageName>,
    /// Whether the flag is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
    /// Whether an earlier document removed the flag: it goes on with its hold and its incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// What is different of the stage's audience, as text: `team: +994 users`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Box<str>>,
    /// The document's `skip_reason`, where the change needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// What it has to show anew: `time`, `metric NAME`, `item ID`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<Box<str>>,
}

impl Changed {
    /// A flag at a stage after the update, `None` for one that is gone, with nothing else to tell.
    pub(in crate::rollout) fn of(flag: &str, stage: Option<StageName>) -> Changed {
        Changed {
            flag: flag.into(),
            stage,
            new: false,
            back: false,
            audience: Vec::new(),
            reason: None,
            reset: Vec::new(),
        }
    }

    /// Whether there is nothing to record.
    pub(in crate::rollout) fn is_nothing(&self) -> bool {
        self.audience.is_empty() && self.reset.is_empty() && self.reason.is_none()
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so `serde` calls it")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// As it stands in sentences.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Decision { reason } if reason.trim().is_empty() => f.write_str("by decision"),
            Cause::Decision { reason } => f.write_str(reason),
            Cause::Trigger { trigger, evidence } => write!(f, "{trigger} ({evidence})"),
            Cause::Incident { kind, note: None } => write!(f, "incident {kind}"),
            Cause::Incident { kind, note: Some(note) } => write!(f, "incident {kind}: {note}"),
            Cause::Call => f.write_str("taken down by the application"),
        }
    }
}
