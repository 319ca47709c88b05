//! Another document, while flags are on their way.

use std::sync::Arc;

use super::back::Happened;
use super::open::packed;
use super::{Back, Rollout, Shared};
use crate::plan::{Document, Plan};
use crate::rollout::error::Kind;
use crate::rollout::{Changed, Fact, Hash, RolloutError, StoreError, machine};

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
        let (mut changed, mut refusals) = (Vec::new(), Vec::new());
        for key in plan.flags() {
            let Some(new) = plan.flag(key) else { continue };
            let Some((old, state)) = front.known(key) else {
                let stage = Some(new.stage());
                changed.push(Changed { flag: key.into(), stage, new: true, reset: Vec::new() });
                continue;
            };
            match machine::replan(&old, &new, state) {
                Ok(reset) if reset.is_empty() => {}
                Ok(reset) => {
                    let stage = Some(state.stage);
                    changed.push(Changed { flag: key.into(), stage, new: false, reset });
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let gone = front.state.flags().iter().filter(|(key, _)| plan.flag(key).is_none());
        changed.extend(gone.map(|(key, _)| Changed {
            flag: key.clone(),
            stage: None,
            new: false,
            reset: Vec::new(),
        }));
        changed.sort_by(|a, b| a.flag.cmp(&b.flag));
        if refusals.is_empty() { Ok(changed) } else { Err(Kind::UpdateRefused { refusals }.into()) }
    }
}
