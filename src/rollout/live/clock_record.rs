//! Writing `seen` records: a machine notes its clock in the journal, so that the time it has seen counts for every
//! process.

use std::time::Duration;

use super::Shared;
use super::backend::{Backend, RecordHeader};
use crate::eval::StageName;
use crate::rollout::{Fact, FlagState, Record, RolloutError, StoreError};

/// A machine with a shorter uptime writes no `seen` record. A build server, for example, is gone before its clock is of
/// use.
const MIN_UPTIME: Duration = Duration::from_secs(10 * 60);

impl Shared {
    /// Writes a `seen` record if a flag waits for time and this run of the machine has written nothing since the flag
    /// came to its stage.
    ///
    /// Without such a record, the time that this process has seen would be lost at its end.
    pub(super) fn record_clock(
        &self,
        backend: &mut Backend,
        by: &str,
    ) -> Result<Option<Record>, RolloutError> {
        let document = {
            let live = self.lock_live();
            let moment = self.moment();
            let written = live.state.uptimes.last_written_by(&moment);
            let mut waits = live.state.flags().iter().filter_map(|(_, state)| waits_since(state));
            if moment.uptime < MIN_UPTIME || !waits.any(|since| since > written) {
                return Ok(None);
            }
            live.state.document
        };
        let header = RecordHeader { by, flag: None, from: None, to: None, document };
        match self.write(backend, &header, Fact::Seen {}) {
            // The next tick or refused promotion tries again.
            Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => Ok(None),
            written => written.map(Some),
        }
    }

    /// Writes a `seen` record after a promotion was refused for lack of time. A process that never ticks has no other
    /// occasion.
    pub(super) fn record_clock_after_refusal(&self, by: &str, refused: &RolloutError) {
        let mut unmet = refused.refusals().iter().flat_map(|refusal| &refusal.unmet);
        if unmet.any(|unmet| unmet.wait.is_some())
            && let Some(mut backend) = self.try_lock_backend()
        {
            // The caller gets the refusal, and the status shows this error.
            let _ = self.record_clock(&mut backend, by);
        }
    }
}

/// Returns the number of the record since which a flag waits for time, in its stage or in a phase of its incident.
fn waits_since(state: &FlagState) -> Option<u64> {
    let stage = (state.stage != StageName::OFF && !state.complete).then_some(state.since.record);
    let phase = state.incident.as_ref().map(|incident| incident.phase_since.record);
    stage.max(phase)
}
