//! The status of a rollout, and the reports of its actions.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Shared;
use super::journal_state::JournalState;
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::error::Kind;
use crate::rollout::machine;
use crate::rollout::stamp::wall_age;
use crate::rollout::{
    Alert, FlagState, Freeze, Hash, Now, Progress, Record, RenderedMessage, RolloutError, Stamp,
    Unmet,
};

/// The result of an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The flag's state after the event.
    pub state: FlagState,
    /// The records written, in order. Empty if nothing changed.
    pub records: Vec<Record>,
    /// The alerts to send.
    pub alerts: Vec<Alert>,
    /// Why a rollback that is in force could not be recorded yet. The next tick that can record it does so. Until then,
    /// it is [kept](super::RolloutOptions::keep_intents_in) in a file, if one is named. For a flag that is off in this
    /// process, this is why the rollout cannot tell whether the flag is on in another process.
    pub unrecorded: Option<RolloutError>,
}

/// The result of a rollback of every flag.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct RollbackReport {
    /// The records written: one, or none if no flag was in a stage.
    pub records: Vec<Record>,
    /// The alerts to send, each with its flag.
    pub alerts: Vec<(Box<str>, Alert)>,
    /// Why the rollback, which is in force, could not be recorded yet. See [`Outcome::unrecorded`].
    pub unrecorded: Option<RolloutError>,
}

/// The result of a tick.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TickReport {
    /// The records of other processes that [`Controller::leading`](super::Controller::leading) read before the tick.
    pub refreshed: Vec<Record>,
    /// The records written.
    pub records: Vec<Record>,
    /// The alerts to send, each with its flag.
    pub alerts: Vec<(Box<str>, Alert)>,
    /// The plan's messages that were due, each with its flag. Empty if the rollout has no sink.
    pub messages: Vec<(Box<str>, RenderedMessage)>,
    /// Overdue work, each item with its flag. A tick lists it and does not skip it.
    pub overdue: Vec<(Box<str>, String)>,
    /// What failed. The next tick tries again.
    pub error: Option<RolloutError>,
}

/// The status of a rollout.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// The store's name in errors.
    pub store: String,
    /// The number and hash of the last record.
    pub head: (u64, Hash),
    /// The hash of the document in force.
    pub document: Hash,
    /// The [environment](crate::Document::environment) that the rollout is for. `None` if the document chose none.
    pub environment: Option<Box<str>>,
    /// The gate's version.
    pub version: u64,
    /// The time of this status.
    pub now: Stamp,
    /// The time since the last record, by the wall clock. `None` if the record is more than a minute ahead.
    pub age: Option<Duration>,
    /// Notices for people: repairs of the store, and problems with the file of
    /// [intents](super::RolloutOptions::keep_intents_in).
    pub notices: Vec<String>,
    /// The store's last failure, while it lasts.
    pub last_error: Option<RolloutError>,
    /// Flags with a rollback that is in force but not in the journal yet. Every flag, if all were rolled back at once.
    pub unrecorded: Vec<Box<str>>,
    /// The hold of all flags, if one is in force.
    pub freeze: Option<Freeze>,
    /// Every flag, in order of their keys.
    pub flags: Vec<FlagReport>,
}

/// The status of a flag.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlagReport {
    /// Its key.
    pub flag: Box<str>,
    /// Its state.
    pub state: FlagState,
    /// Its progress in one word.
    pub progress: Progress,
    /// The stage that the gate serves. It is below `state.stage` only while a rollback is not recorded.
    pub serving: StageName,
    /// The stage where its document would start it. Once the flag has moved, this usually differs from its stage.
    pub declared: StageName,
    /// The time that it has certainly spent in its stage.
    pub time_in_stage: Duration,
    /// Its next stage. `None` in the last stage.
    pub next: Option<StageName>,
    /// The stage that a rollback would move it to.
    pub rollback_target: StageName,
    /// The unmet conditions of the next promotion.
    pub unmet: Vec<Unmet>,
    /// Overdue work.
    pub overdue: Vec<String>,
    /// The person responsible now.
    pub responsible: Option<Box<str>>,
}

/// The state in force at a moment of the past.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PastState {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The flags' states, in order of their keys.
    pub flags: Vec<(Box<str>, FlagState)>,
    /// The last record up to the moment.
    pub record: Record,
    /// The moment.
    pub moment: SystemTime,
}

impl Shared {
    pub(super) fn status(&self) -> RolloutStatus {
        let moment = self.moment();
        // Copy the state, so that the slow part below does not hold the lock.
        let (state, reads, unrecorded, last_error, mut notices, intents_error) = {
            let mut live = self.lock_live();
            live.collect_gate_calls(&self.gate, &moment);
            let unrecorded = live.unrecorded();
            live.note_time(&moment);
            let (last_error, intents_error) =
                (live.failures.last().cloned(), live.intents_error.clone());
            let (state, reads) = (live.state.clone(), live.reads.clone());
            (state, reads, unrecorded, last_error, live.store_notices.clone(), intents_error)
        };
        notices.extend(self.notices.iter().cloned().chain(intents_error));
        let stamp = state.uptimes.stamp(&moment, &reads);
        let now = Now { stamp, uptimes: Some(&state.uptimes), reads: reads.of_run_at(&moment) };
        let flags = state.flags().iter().filter_map(|(key, _)| self.report_of(&state, key, now));
        RolloutStatus {
            store: self.label.clone(),
            head: state.head,
            document: state.document,
            environment: state.plan.environment().map(Box::from),
            version: self.gate.version(),
            now: stamp,
            age: state.written_at.and_then(|written| wall_age(stamp.at, written)),
            notices,
            last_error,
            unrecorded,
            freeze: state.freeze.clone().filter(|freeze| freeze.is_in_force(stamp.at)),
            flags: flags.collect(),
        }
    }

    /// Returns the status of one flag.
    pub(super) fn report(&self, key: &str) -> Result<FlagReport, RolloutError> {
        let moment = self.moment();
        let mut live = self.lock_live();
        live.note_time(&moment);
        // Gives a better error if the flag does not exist.
        live.flag(key)?;
        let report = self.report_of(&live.state, key, live.now(&moment));
        report.ok_or_else(|| Kind::NotStarted { store: self.label.clone() }.into())
    }

    fn report_of(&self, state: &JournalState, key: &str, now: Now<'_>) -> Option<FlagReport> {
        let (plan, flag) = (state.plan.flag(key)?, state.flag(key)?);
        let missing =
            machine::missing_flags(&plan, |key| Some((state.plan.flag(key)?, state.stage(key))));
        Some(FlagReport {
            flag: key.into(),
            state: flag.clone(),
            progress: flag.progress(),
            serving: self.gate.serving(key).unwrap_or(StageName::OFF),
            declared: plan.stage(),
            time_in_stage: flag.time_in_stage(now),
            next: machine::next_stage(&plan, flag),
            rollback_target: machine::rollback_target(&plan, flag),
            unmet: machine::unmet(&plan, flag, now, &missing, state.freeze.as_ref()),
            overdue: machine::overdue(&plan, flag, now),
            responsible: plan.responsible(now.at()).map(|(_, row)| row.contact.clone()),
        })
    }
}
