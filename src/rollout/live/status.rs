//! What a rollout says of itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Shared;
use super::pending::Pending;
use super::state::State;
use crate::eval::StageName;
use crate::plan::Plan;
use crate::rollout::error::Kind;
use crate::rollout::machine;
use crate::rollout::stamp::wall_age;
use crate::rollout::{
    Alert, FlagState, Hash, Letter, Now, Record, RolloutError, Stamp, Standing, Unmet,
};

/// What became of an event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// The flag's state since.
    pub state: FlagState,
    /// The records written, in order; none when nothing changed.
    pub records: Vec<Record>,
    /// Who has to be told what.
    pub alerts: Vec<Alert>,
    /// Why a rollback that is in force could not be recorded yet. The next tick that can record it does; until then it is
    /// [kept](super::RolloutOptions::keep_intents_in) where a file is named. Of a flag that is off here: why nobody knows
    /// whether it is on elsewhere.
    pub unrecorded: Option<RolloutError>,
}

/// What a tick did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct TickReport {
    /// What [`Controller::leading`](super::Controller::leading) has found when it [refreshed](super::Rollout::refresh)
    /// before the tick.
    pub refreshed: Vec<Record>,
    /// The records written.
    pub records: Vec<Record>,
    /// Who has to be told what: flag and alert.
    pub alerts: Vec<(Box<str>, Alert)>,
    /// Messages of the plan that were due: flag and message. None where no sink is told.
    pub letters: Vec<(Box<str>, Letter)>,
    /// What is overdue, listed and not done: flag and what.
    pub overdue: Vec<(Box<str>, String)>,
    /// What failed; the next tick tries again.
    pub error: Option<RolloutError>,
}

/// A rollout as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RolloutStatus {
    /// How errors call the store.
    pub store: String,
    /// The number of the last record, and its hash.
    pub head: (u64, Hash),
    /// The document in force.
    pub document: Hash,
    /// The gate's version.
    pub version: u64,
    /// The moment of this status.
    pub now: Stamp,
    /// How long ago the last record was written, by the wall clock; `None` where that is more than a minute ahead.
    pub age: Option<Duration>,
    /// What people should know: what opening the store put right, and what is wrong with the file of
    /// [intents](super::RolloutOptions::keep_intents_in).
    pub notices: Vec<String>,
    /// The last failure of the store, as long as it lasts.
    pub last_error: Option<RolloutError>,
    /// Flags that were taken back and whose roll-back is not in the journal yet.
    pub unrecorded: Vec<Box<str>>,
    /// Every flag, in order of their keys.
    pub flags: Vec<FlagReport>,
}

/// A flag as it stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FlagReport {
    /// Its key.
    pub flag: Box<str>,
    /// Its state.
    pub state: FlagState,
    /// Where it stands, in a word.
    pub standing: Standing,
    /// By which stage questions are answered: below `state.stage` only while a roll-back is not recorded.
    pub serving: StageName,
    /// Where its document would start it; that it differs is normal once it has moved.
    pub declared: StageName,
    /// The time it has certainly spent in its stage.
    pub spent: Duration,
    /// Its next stage; `None` in the last.
    pub next: Option<StageName>,
    /// Where a roll-back would take it.
    pub roll_back_to: StageName,
    /// What is in the way of the next promotion.
    pub unmet: Vec<Unmet>,
    /// What is overdue.
    pub overdue: Vec<String>,
    /// Who is responsible now.
    pub responsible: Option<Box<str>>,
}

/// What was in force at a moment of the past.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PastState {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The flags' states, in order of their keys.
    pub flags: Vec<(Box<str>, FlagState)>,
    /// The last record until then.
    pub record: Record,
    /// When that moment was.
    pub moment: SystemTime,
}

impl Shared {
    pub(super) fn status(&self) -> RolloutStatus {
        let moment = self.moment();
        // What takes time is done on a copy.
        let (state, looks, unrecorded, last_error, unkept) = {
            let mut front = self.front();
            front.notice_calls(&self.gate, &moment);
            let mut unrecorded: Vec<Box<str>> = Vec::new();
            for Pending { flag, .. } in &front.pending {
                if !unrecorded.contains(flag) {
                    unrecorded.push(flag.clone());
                }
            }
            front.note_time(&moment);
            let (last_error, unkept) = (front.failures.last().cloned(), front.unkept.clone());
            (front.state.clone(), front.looks.clone(), unrecorded, last_error, unkept)
        };
        let stamp = state.timeline.stamp(&moment, &looks);
        let now = Now { stamp, timeline: Some(&state.timeline), looks: looks.of(&moment) };
        let flags = state.flags().iter().filter_map(|(key, _)| self.report_of(&state, key, now));
        RolloutStatus {
            store: self.label.clone(),
            head: state.head,
            document: state.document,
            version: self.gate.version(),
            now: stamp,
            age: state.written.and_then(|written| wall_age(stamp.at, written)),
            notices: self.notices.iter().cloned().chain(unkept).collect(),
            last_error,
            unrecorded,
            flags: flags.collect(),
        }
    }

    /// One flag as it stands.
    pub(super) fn report(&self, key: &str) -> Result<FlagReport, RolloutError> {
        let moment = self.moment();
        let mut front = self.front();
        front.note_time(&moment);
        // Says what there is where there is no such flag.
        front.flag(key)?;
        let report = self.report_of(&front.state, key, front.now(&moment));
        report.ok_or_else(|| Kind::NotStarted { store: self.label.clone() }.into())
    }

    fn report_of(&self, state: &State, key: &str, now: Now<'_>) -> Option<FlagReport> {
        let (plan, flag) = (state.plan.flag(key)?, state.flag(key)?);
        Some(FlagReport {
            flag: key.into(),
            state: flag.clone(),
            standing: flag.standing(),
            serving: self.gate.serving(key).unwrap_or(StageName::OFF),
            declared: plan.stage(),
            spent: flag.spent(now),
            next: machine::next(&plan, flag),
            roll_back_to: machine::roll_back_to(&plan, flag),
            unmet: machine::unmet(&plan, flag, now),
            overdue: machine::overdue(&plan, flag, now),
            responsible: plan.responsible(now.at()).map(|(_, row)| row.contact.clone()),
        })
    }
}
