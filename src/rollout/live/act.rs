//! What becomes of an event.

use super::Shared;
use super::back::{ATTEMPTS, Back, Happened};
use super::front::{Decided, Place};
use super::status::Outcome;
use super::telling::Done;
use crate::rollout::error::Kind;
use crate::rollout::machine::refusal::moved;
use crate::rollout::machine::{Draft, cut};
use crate::rollout::{Event, Record, RolloutError, StoreError};

impl Shared {
    /// Decides an event and records what it comes to. What takes a flag back is in force before.
    pub(super) fn act(&self, by: &str, flag: &str, event: &Event) -> Result<Outcome, RolloutError> {
        let (by, event) = (&*cut(by), &event.cut());
        let decided = self.decide(by, flag, event);
        let decided = decided.inspect_err(|refused| self.note_clock_of_refusal(by, refused))?;
        self.settle(by, flag, event, decided)
    }

    /// What an event comes to. What takes the flag back is in force when this returns, and told; the store is not
    /// touched.
    pub(super) fn decide(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
    ) -> Result<Decided, RolloutError> {
        let decided = {
            let mut front = self.front();
            let moment = self.moment();
            front.decide(&self.gate, by, flag, event, &moment)?
        };
        if let Decided::Back(_, draft) = &decided {
            let alerts = draft.alerts.clone();
            self.tell_of(flag, &Done { alerts, ..Done::default() });
        }
        Ok(decided)
    }

    /// Records what was decided.
    pub(super) fn settle(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
        decided: Decided,
    ) -> Result<Outcome, RolloutError> {
        let (records, alerts, unrecorded) = match decided {
            Decided::Back(number, Draft { alerts, .. }) => {
                let (records, unrecorded) = self.record_back(number);
                (records, alerts, unrecorded)
            }
            Decided::Draft(draft, place) => {
                let done = if draft.facts.is_empty() {
                    Ok(Done { alerts: draft.alerts, ..Done::default() })
                } else {
                    let mut back = self.back();
                    self.advance(&mut back, by, flag, event, place)
                };
                self.record_waiting();
                let done = done?;
                self.tell_of(flag, &done);
                (done.records, done.alerts, None)
            }
        };
        let state = self.front().flag(flag)?.1.clone();
        Ok(Outcome { state, records, alerts, unrecorded })
    }

    fn record_back(&self, number: u64) -> (Vec<Record>, Option<RolloutError>) {
        let busy = || {
            let error = StoreError::io("it is busy; the record follows");
            Some(RolloutError::from(Kind::Store { store: self.label.clone(), error }))
        };
        let (records, unrecorded) = match self.try_back() {
            Some(mut back) => match self.drain(&mut back) {
                Ok(records) => (records, None),
                Err(error) => (Vec::new(), Some(error)),
            },
            None => {
                self.front().pending.iter_mut().for_each(|pending| pending.late = true);
                (Vec::new(), busy())
            }
        };
        self.record_waiting();
        let records = records.into_iter().filter(|(of, _)| *of == number).map(|(_, record)| record);
        (records.collect(), unrecorded)
    }

    /// Records what came in while somebody held the store: whoever lets go of it looks after it.
    pub(super) fn record_waiting(&self) {
        loop {
            {
                let front = self.front();
                if front.pending.is_empty() || front.last_error.is_some() {
                    return;
                }
            }
            let Some(mut back) = self.try_back() else { return };
            if self.drain(&mut back).is_err() {
                return;
            }
        }
    }

    /// Decides once more, now that nobody else writes, and records it. Of two rollouts that write
    /// to the same journal the second decides anew, but takes no flag up that is no longer where it was.
    pub(super) fn advance(
        &self,
        back: &mut Back,
        by: &str,
        flag: &str,
        event: &Event,
        place: Place,
    ) -> Result<Done, RolloutError> {
        let mut records = Vec::new();
        'anew: for _ in 0..ATTEMPTS {
            self.drain(back)?;
            let (draft, from, document) = {
                let mut front = self.front();
                let moment = self.moment();
                let now = front.place(flag)?;
                match event {
                    Event::Promote | Event::Force { .. } if now != place => {
                        let mut refusal = moved(flag, event, place.stage, now.stage);
                        let others = front.draft(&self.gate, by, flag, event, &moment).err();
                        let others = others.iter().flat_map(RolloutError::refusals);
                        refusal.unmet.extend(others.flat_map(|other| other.unmet.clone()));
                        return Err(Kind::Refused { refusal }.into());
                    }
                    // The next tick looks again.
                    Event::Tick if now != place => return Ok(Done { records, ..Done::default() }),
                    _ => {}
                }
                let draft = match front.decide(&self.gate, by, flag, event, &moment)? {
                    Decided::Back(_, draft) => {
                        drop(front);
                        records.extend(self.drain(back)?.into_iter().map(|(_, record)| record));
                        return Ok(Done { records, alerts: draft.alerts, letters: draft.letters });
                    }
                    Decided::Draft(draft, _) => draft,
                };
                (draft, front.state.stage(flag), front.state.document)
            };
            let mut from = from;
            for (fact, to) in draft.facts {
                let flag = Some(flag);
                let happened = Happened { by, flag, from: Some(from), to: Some(to), document };
                match self.write(back, &happened, fact) {
                    Ok(record) => records.push(record),
                    Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                        self.catch_up(back)?;
                        continue 'anew;
                    }
                    Err(error) => return Err(error),
                }
                from = to;
            }
            return Ok(Done { records, alerts: draft.alerts, letters: draft.letters });
        }
        Err(back.failed(StoreError::conflict("others were first, again and again")))
    }
}
