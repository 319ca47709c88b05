//! Recording what is in force already.

use std::time::UNIX_EPOCH;

use super::Shared;
use super::back::{ATTEMPTS, Back, Happened};
use super::pending::Pending;
use super::telling::Done;
use crate::rollout::machine;
use crate::rollout::{Alert, Fact, RolloutError, StoreError};

/// What became of the rollbacks that waited.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// The number of each one that is recorded, its flag, and what there is to tell.
    pub(super) done: Vec<(u64, Box<str>, Done)>,
    /// Why another one still waits.
    pub(super) error: Option<RolloutError>,
    /// Whether the store is down: then nothing else can be recorded either.
    pub(super) is_down: bool,
}

impl Shared {
    /// Records what waits, and has it told later.
    pub(super) fn drain(&self, back: &mut Back) -> Result<(), RolloutError> {
        self.drain_for_later(back).error.map_or(Ok(()), Err)
    }

    /// Records what waits, and has it told later; says what of it could not be recorded.
    pub(super) fn drain_for_later(&self, back: &mut Back) -> Drained {
        let mut drained = self.record_pending(back);
        let done = std::mem::take(&mut drained.done).into_iter();
        self.front().untold.extend(done.map(|(_, flag, done)| (flag, done)));
        drained
    }

    /// Records what waits, flag by flag. A record that fails holds up the other flags' only if the store cannot even be
    /// read: then all of them wait.
    pub(super) fn record_pending(&self, back: &mut Back) -> Drained {
        // What the store does not take now, or not before this process ends.
        self.keep_intents();
        let (mut drained, mut stuck) = (Drained::default(), Vec::new());
        loop {
            let next = self.front().next_pending(&stuck);
            let Some(pending) = next else { break };
            let Pending { number, flag, .. } = &pending;
            match self.record_first_of(back, &pending) {
                Ok(done) => {
                    self.front().is_done(*number, &self.gate);
                    drained.done.extend(done.map(|done| (*number, flag.clone(), done)));
                }
                Err(error) => {
                    let is_down = is_down(back, &error);
                    stuck.push(flag.clone());
                    self.front().has_failed(|it| is_down || it.flag == *flag);
                    drained.error.get_or_insert(error);
                    drained.is_down = is_down;
                    if is_down {
                        break;
                    }
                }
            }
        }
        self.front().failures.pending(drained.error.as_ref());
        drained
    }

    /// Records the next fact of a rollback. `None` where the flag, or what there was to take back, is gone: the store has
    /// been read to its end before that is said.
    fn record_first_of(
        &self,
        back: &mut Back,
        pending: &Pending,
    ) -> Result<Option<Done>, RolloutError> {
        let Some(fact) = pending.facts.front() else { return Ok(None) };
        let mut is_read = false;
        for _ in 0..ATTEMPTS {
            let Some((happened, alerts)) = self.what_happened(pending, fact) else {
                if is_read {
                    return Ok(None);
                }
                self.catch_up(back)?;
                is_read = true;
                continue;
            };
            match self.write(back, &happened, pending.fact_now(fact)) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(back)?;
                }
                Err(error) => return Err(error),
                Ok(record) => {
                    return Ok(Some(Done { records: vec![record], alerts, ..Done::default() }));
                }
            }
        }
        Err(back.failed(StoreError::conflict("others were first, again and again")))
    }

    /// What a fact is by now, and who has to be told of it. `None`: the flag, or what there was to take back, is gone.
    fn what_happened<'p>(
        &self,
        pending: &'p Pending,
        fact: &Fact,
    ) -> Option<(Happened<'p>, Vec<Alert>)> {
        let front = self.front();
        let (plan, state) = front.flag(&pending.flag).ok()?;
        let (from, document) = (state.stage, front.state.document);
        let (by, flag) = (&*pending.by, Some(&*pending.flag));
        let Fact::RolledBack { cause, .. } = fact else {
            return Some((
                Happened { by, flag, from: Some(from), to: Some(from), document },
                vec![],
            ));
        };
        if !machine::is_below(&plan, pending.to, from) {
            return None;
        }
        let moment = self.moment();
        let now = front.now(&moment);
        let alert = || machine::taken_back(&plan, state, now, cause, pending.to);
        let alerts = if pending.is_told { Vec::new() } else { vec![alert()] };
        let to = Some(pending.to);
        Some((Happened { by, flag, from: Some(from), to, document }, alerts))
    }

    /// Records what came in while somebody held the store, and tells of it: whoever lets go of the store looks after
    /// that. No lock is held.
    pub(super) fn record_waiting(&self) {
        while self.front().pending.iter().any(|pending| !pending.has_failed) {
            let Some(mut back) = self.try_back() else { break };
            let drained = self.drain(&mut back);
            drop(back);
            if drained.is_err() {
                break;
            }
        }
        self.keep_intents();
        let untold = std::mem::take(&mut self.front().untold);
        for (flag, done) in untold {
            self.tell_of(&flag, &done);
        }
    }
}

/// Whether a store that has failed to take a record fails with every one: then it cannot be read either.
pub(super) fn is_down(back: &mut Back, error: &RolloutError) -> bool {
    let is_refused = error.store_error().is_some_and(StoreError::is_refused);
    !is_refused && back.can_be_read().is_err()
}

impl Pending {
    /// The fact as it is recorded now.
    fn fact_now(&self, fact: &Fact) -> Fact {
        let Fact::RolledBack { cause, .. } = fact else { return fact.clone() };
        let since = self.since.wall.duration_since(UNIX_EPOCH).ok();
        let since = since.and_then(|time| u64::try_from(time.as_millis()).ok());
        let effective_ms = since.filter(|_| self.late);
        Fact::RolledBack { cause: cause.clone(), effective_ms }
    }
}
