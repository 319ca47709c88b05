//! What becomes of an event.

use super::Shared;
use super::back::{ATTEMPTS, Back, Happened};
use super::drain::Drained;
use super::front::{Decided, Place, TakenBack};
use super::status::Outcome;
use super::telling::Done;
use crate::eval::StageName;
use crate::rollout::error::Kind;
use crate::rollout::machine::refusal::{gone_on, moved};
use crate::rollout::machine::{Draft, cut};
use crate::rollout::{Event, Fact, FlagState, RolloutError, StoreError};

impl Shared {
    /// Decides an event and records what it comes to. What takes a flag back is in force before.
    pub(super) fn act(&self, by: &str, flag: &str, event: &Event) -> Result<Outcome, RolloutError> {
        let (by, event) = (&*cut(by), &event.cut());
        let takes_back =
            matches!(event, Event::RollBack { .. } | Event::Breach { .. } | Event::Report { .. });
        let decided = match self.decide(by, flag, event) {
            Err(error) if takes_back && error.is_not_found() && self.has_read_on() => {
                self.decide(by, flag, event)?
            }
            decided => decided.inspect_err(|refused| self.note_clock_of_refusal(by, refused))?,
        };
        self.settle(by, flag, event, decided)
    }

    /// Whether others have recorded something that was not known here, where the store can say so at once.
    fn has_read_on(&self) -> bool {
        let Some(mut back) = self.try_back() else { return false };
        self.catch_up(&mut back).is_ok_and(|records| !records.is_empty())
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
        if let Decided::Back(TakenBack { draft, .. }) = &decided {
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
        let (done, unrecorded) = match decided {
            Decided::Back(taken_back) => self.record_back(by, flag, event, taken_back)?,
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
                (done, None)
            }
        };
        let front = self.front();
        // A flag of an update that is still being written has no state yet.
        let none_yet = || FlagState::new(StageName::OFF, front.now(&self.moment()).stamp());
        let state = front.state.flag(flag).cloned().unwrap_or_else(none_yet);
        Ok(Outcome { state, records: done.records, alerts: done.alerts, unrecorded })
    }

    /// Records a rollback that is in force, where the store can be had at once.
    fn record_back(
        &self,
        by: &str,
        flag: &str,
        event: &Event,
        TakenBack { number, draft, in_doubt }: TakenBack,
    ) -> Result<(Done, Option<RolloutError>), RolloutError> {
        let mut ours = Done::default();
        let unrecorded = if let Some(mut back) = self.try_back() {
            let drained = self.record_pending(&mut back);
            drop(back);
            let mut front = self.front();
            for (of, flag, done) in drained.done {
                if of == number {
                    ours.records.extend(done.records);
                    ours.alerts.extend(done.alerts);
                } else {
                    front.untold.push((flag, done));
                }
            }
            drained.error.filter(|_| front.is_pending(number))
        } else {
            self.front().is_late(number);
            let error = StoreError::io("it is busy; the record follows");
            Some(Kind::Store { store: self.label.clone(), error }.into())
        };
        self.record_waiting();
        self.tell_of(flag, &ours);
        if in_doubt && unrecorded.is_none() && ours.records.is_empty() {
            // There was nothing to take back: perhaps because the flag is below the stage that was named.
            self.front().draft(&self.gate, by, flag, event, &self.moment())?;
        }
        ours.alerts.splice(..0, draft.alerts);
        Ok((ours, unrecorded))
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
            let Drained { error, is_down, .. } = self.drain_for_later(back);
            // What comes after a record that is missing waits with it.
            if let Some(error) = error
                && (is_down || self.front().pending_at(flag).is_some())
            {
                return Err(error);
            }
            let (draft, now, document) = {
                let mut front = self.front();
                let moment = self.moment();
                let now = front.place(flag)?;
                match event {
                    Event::PromoteTo { to } if now.stage == *to => {
                        return Ok(Done { records, ..Done::default() });
                    }
                    // Each of these goes one further from where the flag was when it was decided.
                    Event::Step { .. } if now.has_other_phase(&place) => {
                        return Err(Kind::Refused { refusal: gone_on(flag, event) }.into());
                    }
                    Event::Promote | Event::PromoteTo { .. } | Event::Force { .. }
                        if now.is_moved(&place) =>
                    {
                        let mut refusal = moved(flag, event, place.stage, now.stage);
                        let others = front.draft(&self.gate, by, flag, event, &moment).err();
                        let others = others.iter().flat_map(RolloutError::refusals);
                        refusal.unmet.extend(others.flat_map(|other| other.unmet.clone()));
                        return Err(Kind::Refused { refusal }.into());
                    }
                    // The next tick looks again.
                    Event::Tick if now.is_moved(&place) => {
                        return Ok(Done { records, ..Done::default() });
                    }
                    _ => {}
                }
                let draft = match front.decide(&self.gate, by, flag, event, &moment)? {
                    Decided::Back(TakenBack { number, draft, .. }) => {
                        drop(front);
                        return Ok(self.record_here(
                            back,
                            number,
                            Done { records, ..draft.into() },
                        ));
                    }
                    Decided::Draft(draft, _) => draft,
                };
                (draft, now, front.state.document)
            };
            let mut from = now.stage;
            for (fact, to) in draft.facts {
                let goes_up = matches!(fact, Fact::Promoted { .. } | Fact::Completed { .. });
                if goes_up && self.front().place(flag)?.is_moved(&now) {
                    // It was taken back while a record before this one was written.
                    continue 'anew;
                }
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

    /// Records a rollback that was decided while the store was held. What fails waits.
    fn record_here(&self, back: &mut Back, number: u64, mut done: Done) -> Done {
        let drained = self.record_pending(back);
        for (of, flag, other) in drained.done {
            if of == number {
                done.records.extend(other.records);
                done.alerts.extend(other.alerts);
            } else {
                self.front().untold.push((flag, other));
            }
        }
        done
    }
}

impl From<Draft> for Done {
    fn from(draft: Draft) -> Done {
        Done { alerts: draft.alerts, letters: draft.letters, ..Done::default() }
    }
}
