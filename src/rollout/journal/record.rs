//! The records of the journal.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_derive::{Deserialize, Serialize};

use super::Hash;
use super::saved_state::SavedState;
use super::signature::RecordSignature;
use crate::clock::Boot;
use crate::eval::StageName;
use crate::plan::model::Phase;

/// A record of the journal: one event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The number of the record, from 1.
    pub seq: u64,
    /// When it was written by the wall clock, to the millisecond.
    pub at: SystemTime,
    /// The boot of the machine from which `uptime` counts.
    pub boot: Boot,
    /// When it was written by the monotonic clock, to the millisecond.
    pub uptime: Duration,
    /// The time that had certainly passed since the first record, to the millisecond.
    pub time: Duration,
    /// The actor: a person or program.
    pub by: Box<str>,
    /// The hash of the document in force after this record.
    pub document: Hash,
    /// The flag. `None` if the record is about all flags.
    pub flag: Option<Box<str>>,
    /// The flag's stage before this record.
    pub from: Option<StageName>,
    /// The flag's stage after this record.
    pub to: Option<StageName>,
    /// The event.
    pub fact: Fact,
    /// The signature by the actor's key. It was not checked: `PublicKeys::check` (feature `sign`) does.
    pub signature: Option<Box<RecordSignature>>,
    /// The hash of this record and, through the chain, of all records before it.
    pub hash: Hash,
}

/// The event of a record. For the fields in a journal, see `docs/journal.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Fact {
    /// The journal began, with a document.
    #[non_exhaustive]
    Opened {
        /// The version of the journal's format.
        journal: u32,
        /// Every flag and the stage in which it starts.
        flags: Vec<InitialStage>,
    },
    /// A new segment of the journal began. The record holds the state, so that a rollout can open from here.
    #[non_exhaustive]
    Continued {
        /// The version of the journal's format.
        journal: u32,
        /// The hash of the record before this one.
        #[serde(with = "super::names::hash")]
        after: Hash,
        /// The state after the record before this one.
        state: Box<SavedState>,
    },
    /// The store was restored from another one. The records before this one are a copy.
    #[non_exhaustive]
    Restored {
        /// The store that was copied.
        from: Box<str>,
        /// The number of the last record that it had. If that is more than were copied, the later ones were left out.
        records: u64,
    },
    /// Another version of the document was put in force.
    #[non_exhaustive]
    Updated {
        /// The flags that it changes in more than texts, in order of their keys.
        flags: Vec<FlagChange>,
    },
    /// A machine noted its clock. From here on it vouches for the time that passes.
    #[non_exhaustive]
    Seen {},
    /// The flag was promoted one stage up, or several if forced.
    #[non_exhaustive]
    Promoted {
        /// The reason, if the promotion was forced past unmet conditions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<Box<str>>,
        /// The conditions that held, or the unmet ones that were overridden.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grounds: Vec<Box<str>>,
    },
    /// The last stage has met its conditions, and the rollout is complete.
    #[non_exhaustive]
    Completed {
        /// As for a promotion.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        forced: Option<Box<str>>,
        /// As for a promotion.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        grounds: Vec<Box<str>>,
    },
    /// The flag was held. It is not promoted until it is resumed.
    #[non_exhaustive]
    Held {
        /// The reason.
        why: Box<str>,
    },
    /// The hold ended.
    #[non_exhaustive]
    Resumed {
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// The flag was rolled back. This opens an incident if none is open.
    #[non_exhaustive]
    RolledBack {
        /// The cause.
        cause: Cause,
        /// When the rollback took effect, in milliseconds since 1970, if the record was written later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective_ms: Option<u64>,
    },
    /// Every flag that was in a stage was rolled back at once. This opens an incident of each flag that has none.
    #[non_exhaustive]
    RolledBackAll {
        /// The cause.
        cause: Cause,
        /// The flags that were in a stage, in order of their keys.
        flags: Vec<FlagRollback>,
        /// When the rollback took effect, in milliseconds since 1970, if the record was written later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        effective_ms: Option<u64>,
    },
    /// All flags were held. None is promoted until the end of the freeze, or until all are resumed.
    #[non_exhaustive]
    HeldAll {
        /// The reason.
        why: Box<str>,
        /// The end of the freeze, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_ms: Option<u64>,
    },
    /// The freeze of all flags ended before its time. The holds of single flags stay.
    #[non_exhaustive]
    ResumedAll {
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// A person signed a criterion, a checklist item or an approval.
    #[non_exhaustive]
    Signed {
        /// The id of the item.
        item: Box<str>,
        /// The evidence, for example a link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        evidence: Option<Box<str>>,
    },
    /// A sign-off was withdrawn.
    #[non_exhaustive]
    Unsigned {
        /// The id of the item.
        item: Box<str>,
        /// The reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Box<str>>,
    },
    /// A sign-off expired.
    #[non_exhaustive]
    Expired {
        /// The id of the item.
        item: Box<str>,
    },
    /// A person or program reported an incident. This opens an incident if none is open.
    #[non_exhaustive]
    Reported {
        /// The kind of incident, as triggers name it.
        kind: Box<str>,
        /// The observation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
    },
    /// A trigger asks the person responsible whether to roll the flag back. This opens an incident if none is open.
    #[non_exhaustive]
    Asked {
        /// The trigger as text: `error_rate > 2% for 1h`.
        trigger: Box<str>,
        /// The value that fired the trigger.
        evidence: Box<str>,
    },
    /// A phase of the incident is done.
    #[non_exhaustive]
    Stepped {
        /// The phase.
        #[serde(with = "super::names::phase")]
        phase: Phase,
        /// A note on the findings and actions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
        /// The reason for going on although the phase's check failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        overridden: Option<Box<str>>,
    },
    /// The next person in the escalation line was asked.
    #[non_exhaustive]
    Escalated {
        /// The person.
        to: Box<str>,
        /// The reason.
        why: Box<str>,
    },
    /// The incident was closed. The flag may be promoted again.
    #[non_exhaustive]
    Closed {
        /// The conclusion.
        note: Box<str>,
    },
    /// A metric was read.
    #[non_exhaustive]
    Measured {
        /// The metric.
        metric: Box<str>,
        /// The value, as documents write it. `None` if there was no data.
        value: Option<Box<str>>,
        /// The value for users without the flag.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        control: Option<Box<str>>,
        /// The number of samples.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<u64>,
        /// Whether a guard measured the value. A guard judges the limits of triggers itself.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        judged: bool,
    },
    /// Messages of the plan were due and are sent.
    #[non_exhaustive]
    Messaged {
        /// The stage that the messages are about.
        #[serde(with = "super::names::stage")]
        stage: StageName,
        /// The moment relative to the stage, as documents write it: `start`, `-3d`.
        when: Box<str>,
        /// The occurrence number. For weekly messages, the week.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        number: u32,
        /// The recipients and channels: `client by email`.
        to: Vec<Box<str>>,
    },
    /// Checks of the watch were missed.
    #[non_exhaustive]
    WatchMissed {
        /// The first missed check, counted from 1.
        first: u32,
        /// The last missed check in a row.
        last: u32,
    },
    /// A fact of a later version, which says that other versions may ignore it.
    #[non_exhaustive]
    #[serde(skip_deserializing)]
    Unknown {
        /// The name of the fact.
        name: Box<str>,
        /// The fields of the fact, as JSON.
        content: Box<str>,
    },
}

/// The cause of a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Cause {
    /// A person decided it.
    #[non_exhaustive]
    Decision {
        /// The reason.
        reason: Box<str>,
    },
    /// A trigger of the plan fired.
    #[non_exhaustive]
    Trigger {
        /// The trigger as text: `error_rate > 5%`.
        trigger: Box<str>,
        /// The measurement, such as `6% of 1200 samples`, or that there was no data.
        evidence: Box<str>,
    },
    /// A reported incident rolled the flag back.
    #[non_exhaustive]
    Incident {
        /// The kind of incident.
        kind: Box<str>,
        /// The observation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Box<str>>,
    },
    /// The application called the gate's own `roll_back` or `set_stage`.
    Call,
    /// A flag that this flag requires is below its stage.
    #[non_exhaustive]
    Prerequisite {
        /// The key of the required flag.
        flag: Box<str>,
    },
}

/// A flag and the stage in which it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct InitialStage {
    /// The flag's key.
    pub flag: Box<str>,
    /// The stage, or `off`.
    #[serde(with = "super::names::stage")]
    pub stage: StageName,
}

/// The move of one flag in a rollback of every flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlagRollback {
    /// The flag's key.
    pub flag: Box<str>,
    /// The flag's stage before the rollback.
    #[serde(with = "super::names::stage")]
    pub from: StageName,
    /// The flag's stage after the rollback, or `off`.
    #[serde(with = "super::names::stage")]
    pub to: StageName,
}

/// The changes of one flag by another version of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlagChange {
    /// The flag's key.
    pub flag: Box<str>,
    /// The flag's stage after the update. `None` if the document removes the flag.
    #[serde(with = "super::names::maybe_stage")]
    pub stage: Option<StageName>,
    /// Whether the flag is new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub new: bool,
    /// Whether an earlier document had removed the flag. It continues with its hold and its incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub back: bool,
    /// The differences of the stage's audience as text: `team: +994 users`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Box<str>>,
    /// The document's `skip_reason`, if the change needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// The changes of `approvals` and `four_eyes` as text: `pilot needs no approval by client CTO`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Box<str>>,
    /// The evidence that starts over: `time`, `metric NAME`, `item ID`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reset: Vec<Box<str>>,
}

impl Record {
    /// Returns the documents that a rollout needs to read this record.
    pub(crate) fn documents(&self) -> impl Iterator<Item = Hash> {
        let removed = match &self.fact {
            Fact::Continued { state, .. } => Some(state.removed.values().map(|flag| flag.document)),
            _ => None,
        };
        [self.document].into_iter().chain(removed.into_iter().flatten())
    }
}

impl FlagChange {
    /// Returns a change with nothing but the flag's stage after the update, or `None` for a removed flag.
    pub(in crate::rollout) fn of(flag: &str, stage: Option<StageName>) -> FlagChange {
        FlagChange {
            flag: flag.into(),
            stage,
            new: false,
            back: false,
            audience: Vec::new(),
            reason: None,
            permissions: Vec::new(),
            reset: Vec::new(),
        }
    }

    /// Returns whether the update changes nothing that must be recorded.
    pub(in crate::rollout) fn is_empty(&self) -> bool {
        let Self { audience, permissions, reset, reason, .. } = self;
        [audience, permissions, reset].iter().all(|texts| texts.is_empty()) && reason.is_none()
    }
}

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "so `serde` calls it")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

/// As part of a sentence.
impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Decision { reason } if reason.trim().is_empty() => f.write_str("by decision"),
            Cause::Decision { reason } => f.write_str(reason),
            Cause::Trigger { trigger, evidence } => write!(f, "{trigger} ({evidence})"),
            Cause::Incident { kind, note: None } => write!(f, "incident {kind}"),
            Cause::Incident { kind, note: Some(note) } => write!(f, "incident {kind}: {note}"),
            Cause::Call => f.write_str("taken down by the application"),
            Cause::Prerequisite { flag } => write!(f, "it requires `{flag}`"),
        }
    }
}
