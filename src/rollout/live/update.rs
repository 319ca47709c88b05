//! Another document, while flags are on their way.

use std::sync::Arc;

use super::back::Happened;
use super::open::packed;
use super::state::State;
use super::{Back, Rollout, Shared};
use crate::eval::StageName;
use crate::gate::{Comparison, emptied, too_many_gone};
use crate::plan::{Document, Plan, Problem};
use crate::rollout::error::Kind;
use crate::rollout::machine::{self, Replanned};
use crate::rollout::{Changed, Fact, Hash, RolloutError, StoreError};

impl Rollout {
    pub(super) fn update(
        &self,
        by: &str,
        document: Document,
    ) -> Result<Vec<Changed>, RolloutError> {
        let (plan, packed) = packed(document)?;
        let updated = {
            let mut back = self.shared.back();
            self.shared.update(&mut back, &machine::cut(by), &plan, &packed)
        };
        self.shared.record_waiting();
        updated
    }
}

impl Shared {
    fn update(
        &self,
        back: &mut Back,
        by: &str,
        plan: &Arc<Plan>,
        packed: &[u8],
    ) -> Result<Vec<Changed>, RolloutError> {
        let hash = Hash::of(packed);
        self.front().notice_calls(&self.gate, &self.moment());
        for _ in 0..2 {
            self.drain(back)?;
            if self.front().state.document == hash {
                return Ok(Vec::new());
            }
            let changed = self.changes(plan)?;
            back.store.keep(&hash.to_string(), packed).map_err(|error| back.failed(error))?;
            let happened = Happened { by, flag: None, from: None, to: None, document: hash };
            let fact = Fact::Updated { flags: changed.clone() };
            match self.write_under(back, &happened, fact, plan) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(back)?;
                }
                written => {
                    written?;
                    self.front().follow_all(&self.gate, &self.moment());
                    return Ok(changed);
                }
            }
        }
        Err(back.failed(StoreError::conflict("others were first, again and again")))
    }

    pub(super) fn preview(&self, document: Document) -> Result<Vec<Changed>, RolloutError> {
        let (plan, packed) = packed(document)?;
        let known = self.front().state.document;
        if known == Hash::of(&packed) { Ok(Vec::new()) } else { self.changes(&plan) }
    }

    /// What the document changes, flag by flag; every flag that stands in its way.
    fn changes(&self, plan: &Plan) -> Result<Vec<Changed>, RolloutError> {
        let front = self.front();
        let mut comparison = Comparison::default();
        let (mut changed, mut refusals) = (Vec::new(), Vec::new());
        for key in plan.flags() {
            let Some(new) = plan.flag(key) else { continue };
            let Some((old, state)) = front.known(key) else {
                match front.state.removed(key) {
                    Some(removed) => match machine::returned(removed, &new, &mut comparison) {
                        Ok(back) => changed.push(back),
                        Err(refusal) => refusals.push(refusal),
                    },
                    None => {
                        let stage = Some(new.stage());
                        changed.push(Changed { new: true, ..Changed::of(key, stage) });
                    }
                }
                continue;
            };
            match machine::replan(&old, &new, state, plan.per_update(), &mut comparison) {
                Ok(replanned) => {
                    let audience = replanned.audience.iter();
                    let audience = audience.map(|change| change.to_string().into()).collect();
                    let Replanned { reset, reason, .. } = replanned;
                    let stage = Some(state.stage);
                    let change = Changed { audience, reason, reset, ..Changed::of(key, stage) };
                    changed.extend((!change.is_nothing()).then_some(change));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let gone = front.state.flags().iter().filter(|(key, _)| plan.flag(key).is_none());
        changed.extend(gone.map(|(key, _)| Changed::of(key, None)));
        changed.sort_by(|a, b| a.flag.cmp(&b.flag));
        if !refusals.is_empty() {
            return Err(Kind::UpdateRefused { refusals }.into());
        }
        let problems = shrinks(&front.state, plan, &changed);
        match problems.is_empty() {
            true => Ok(changed),
            false => Err(Kind::Shrinks { error: plan.error(problems) }.into()),
        }
    }
}

/// What a document takes from many at once beside what it changes of single flags.
fn shrinks(state: &State, plan: &Plan, changed: &[Changed]) -> Vec<Problem> {
    let is_on = |key: &str| state.stage(key) != StageName::OFF;
    let on = state.flags().iter().filter(|(key, _)| is_on(key)).count();
    let gone = changed.iter().filter(|change| change.stage.is_none() && is_on(&change.flag));
    let mut problems: Vec<Problem> = too_many_gone(plan, on, gone.count()).into_iter().collect();
    let in_force = state.plan.planned().flat_map(|flag| flag.definition.groups());
    problems.extend(emptied(plan, in_force, |flag| is_on(flag.definition.key.as_str())));
    problems
}
