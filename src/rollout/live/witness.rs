//! Noting this machine's clock in the journal, so that the time it sees counts for every process.

use std::time::Duration;

use super::Shared;
use super::back::{Back, Happened};
use crate::eval::StageName;
use crate::rollout::{Fact, FlagState, Record, RolloutError, StoreError};

/// The uptime below which a machine notes nothing: a build server's is gone before it could vouch for anything.
const YOUNG: Duration = Duration::from_secs(10 * 60);

impl Shared {
    /// Records this machine's uptime where a flag waits for time and this run of the machine has written nothing since
    /// the flag came to where it is. Otherwise what this process sees would be forgotten when it ends.
    pub(super) fn note_clock(
        &self,
        back: &mut Back,
        by: &str,
    ) -> Result<Option<Record>, RolloutError> {
        let document = {
            let front = self.front();
            let moment = self.moment();
            let written = front.state.timeline.written_by(&moment);
            let mut waits = front.state.flags().iter().filter_map(|(_, state)| waits_since(state));
            if moment.uptime < YOUNG || !waits.any(|since| since > written) {
                return Ok(None);
            }
            front.state.document
        };
        let happened = Happened { by, flag: None, from: None, to: None, document };
        match self.write(back, &happened, Fact::Seen {}) {
            // The next tick, or the next refusal, tries again.
            Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => Ok(None),
            written => written.map(Some),
        }
    }

    /// The same for a promotion that was refused because time is missing: where nothing ticks, it is all that comes.
    pub(super) fn note_clock_of_refusal(&self, by: &str, refused: &RolloutError) {
        let mut unmet = refused.refusals().iter().flat_map(|refusal| &refusal.unmet);
        if unmet.any(|unmet| unmet.wait.is_some())
            && let Some(mut back) = self.try_back()
        {
            // The refusal is the answer; the status has the error.
            let _ = self.note_clock(&mut back, by);
        }
    }
}

/// The record since which a flag waits for time: in its stage, or in a phase of its incident.
fn waits_since(state: &FlagState) -> Option<u64> {
    let stage = (state.stage != StageName::OFF && !state.complete).then_some(state.since.record);
    let phase = state.incident.as_ref().map(|incident| incident.phase_since.record);
    stage.max(phase)
}
