//! Rollbacks that are in force and not in the journal yet.

use std::collections::VecDeque;

use super::front::{Decided, Front, TakenBack};
use crate::clock::Moment;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::rollout::machine::{self, Draft};
use crate::rollout::{AlertKind, Cause, Fact, RolloutError};

/// A rollback that is in force, with what led to it.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) flag: Box<str>,
    pub(super) by: Box<str>,
    /// What is still to be recorded, in order.
    pub(super) facts: VecDeque<Fact>,
    /// The stage that the flag may not pass since.
    pub(super) to: StageName,
    /// When that was.
    pub(super) since: Moment,
    /// The journal's last record that was known then.
    pub(super) head: u64,
    /// Whether somebody has been told that the flag was taken back.
    pub(super) is_told: bool,
    /// Whether recording it was tried, or waits for another record.
    pub(super) late: bool,
    /// Whether recording it has failed.
    pub(super) has_failed: bool,
}

impl Front {
    /// Where a flag is since its last rollback that is not recorded yet.
    pub(super) fn pending_at(&self, key: &str) -> Option<StageName> {
        self.last_pending(key).map(|pending| pending.to)
    }

    fn last_pending(&self, key: &str) -> Option<&Pending> {
        self.pending.iter().rev().find(|pending| *pending.flag == *key)
    }

    /// The stage that users of a flag may have: the journal's, or that of a rollback which is not recorded yet.
    pub(super) fn served(&self, key: &str) -> StageName {
        let stage = self.state.stage(key);
        self.pending_at(key).filter(|to| self.is_below(key, *to, stage)).unwrap_or(stage)
    }

    /// Whether a stage of a flag is below another one. A stage that the plan does not have is as low as off.
    fn is_below(&self, key: &str, stage: StageName, other: StageName) -> bool {
        self.plan_of(key).is_some_and(|plan| machine::is_below(&plan, stage, other))
    }

    /// Whether a rollback that is not recorded yet holds the flag at that stage already.
    fn is_covered(&self, key: &str, to: StageName) -> bool {
        self.pending_at(key).is_some_and(|known| !self.is_below(key, to, known))
    }

    /// Takes a flag back in the gate, and notes what is to be recorded. What takes it no further than a rollback that is
    /// not recorded yet is that rollback.
    pub(super) fn take_back(
        &mut self,
        gate: &Gate,
        by: &str,
        key: &str,
        (mut draft, to, in_doubt): (Draft, StageName, bool),
        moment: &Moment,
    ) -> Result<Decided, RolloutError> {
        if self.is_covered(key, to) {
            self.note_back(key);
            draft.facts.retain(|(fact, _)| !matches!(fact, Fact::RolledBack { .. }));
            draft.alerts.retain(|alert| alert.kind != AlertKind::RolledBack);
            return Ok(match self.last_pending(key).filter(|_| draft.facts.is_empty()) {
                Some(Pending { number, .. }) => {
                    let (number, draft, in_doubt) = (*number, Draft::default(), false);
                    Decided::Back(TakenBack { number, draft, in_doubt })
                }
                None => Decided::Draft(draft, self.place(key)?),
            });
        }
        gate.drive_down(key, to);
        let facts = draft.facts.iter().map(|(fact, _)| fact.clone()).collect();
        let number = self.wait(by, key, facts, to, moment);
        if let Some(pending) = self.pending.back_mut() {
            pending.is_told = !in_doubt;
        }
        Ok(Decided::Back(TakenBack { number, draft, in_doubt }))
    }

    fn wait(
        &mut self,
        by: &str,
        key: &str,
        facts: VecDeque<Fact>,
        to: StageName,
        moment: &Moment,
    ) -> u64 {
        let number = self.next_pending;
        self.next_pending += 1;
        self.note_back(key);
        self.pending.push_back(Pending {
            number,
            flag: key.into(),
            by: by.into(),
            facts,
            to,
            since: moment.clone(),
            head: self.state.head.0,
            is_told: true,
            late: false,
            has_failed: false,
        });
        number
    }

    /// Whoever has decided before to take the flag up decides anew.
    fn note_back(&mut self, key: &str) {
        *self.backs.entry(key.into()).or_insert(0) += 1;
    }

    /// Notes what the application has taken down by itself, through the gate.
    pub(super) fn notice_calls(&mut self, gate: &Gate, moment: &Moment) {
        for (key, to) in gate.take_calls() {
            if self.is_covered(&key, to) {
                self.note_back(&key);
                continue;
            }
            let fact = Fact::RolledBack { cause: Cause::Call, effective_ms: None };
            self.wait("application", &key, VecDeque::from([fact]), to, moment);
        }
    }

    /// The first rollback that waits, but for those of these flags: what comes after a record that is missing waits with
    /// it.
    pub(super) fn next_pending(&self, stuck: &[Box<str>]) -> Option<Pending> {
        self.pending.iter().find(|pending| !stuck.contains(&pending.flag)).cloned()
    }

    /// Recording these was tried.
    pub(super) fn has_failed(&mut self, which: impl Fn(&Pending) -> bool) {
        for pending in self.pending.iter_mut().filter(|pending| which(pending)) {
            (pending.late, pending.has_failed) = (true, true);
        }
    }

    /// A fact of a pending rollback is recorded, or was none.
    pub(super) fn is_done(&mut self, number: u64, gate: &Gate) {
        let Some(place) = self.pending.iter().position(|it| it.number == number) else { return };
        let Some(pending) = self.pending.get_mut(place) else { return };
        pending.facts.pop_front();
        if !pending.facts.is_empty() {
            return;
        }
        let Some(Pending { flag, .. }) = self.pending.remove(place) else { return };
        // A promotion may have passed the stage that a rollback named, while users were below it.
        let (serving, stage) = (self.serving(gate, &flag), self.served(&flag));
        if self.is_below(&flag, serving, stage) {
            gate.drive(&flag, serving, stage);
        }
    }

    /// Its record waits for another one.
    pub(super) fn is_late(&mut self, number: u64) {
        let ours = self.pending.iter_mut().filter(|it| it.number == number);
        ours.for_each(|pending| pending.late = true);
    }

    pub(super) fn is_pending(&self, number: u64) -> bool {
        self.pending.iter().any(|pending| pending.number == number)
    }
}
