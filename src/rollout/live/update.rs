//! Putting another version of the document in force during a rollout.

use std::sync::Arc;

use super::backend::RecordHeader;
use super::journal_state::JournalState;
use super::open::parse_and_pack;
use super::{Backend, Rollout, Shared};
use crate::eval::StageName;
use crate::gate::{AudienceComparison, emptied_users_files, too_many_removed};
use crate::plan::{Document, Plan, Problem};
use crate::rollout::error::Kind;
use crate::rollout::machine::{self, FlagUpdate};
use crate::rollout::{Fact, FlagChange, Hash, RolloutError, StoreError};

impl Rollout {
    pub(super) fn update(
        &self,
        by: &str,
        document: Document,
    ) -> Result<Vec<FlagChange>, RolloutError> {
        let (plan, packed) = parse_and_pack(self.shared.in_environment(document)?)?;
        let updated = {
            let mut backend = self.shared.lock_backend();
            self.shared.update(&mut backend, &machine::truncated(by), &plan, &packed)
        };
        self.shared.flush_and_notify();
        updated
    }
}

impl Shared {
    fn update(
        &self,
        backend: &mut Backend,
        by: &str,
        plan: &Arc<Plan>,
        packed: &[u8],
    ) -> Result<Vec<FlagChange>, RolloutError> {
        let hash = Hash::of(packed);
        self.lock_live().collect_gate_calls(&self.gate, &self.moment());
        // Another process may have put another document in force, or held all flags.
        self.catch_up(backend)?;
        for _ in 0..2 {
            self.flush_pending(backend)?;
            if self.lock_live().state.document == hash {
                return Ok(Vec::new());
            }
            let changed = self.changes(plan)?;
            backend.store.keep(&hash.to_string(), packed).map_err(|error| backend.failed(error))?;
            let header = RecordHeader { by, flag: None, from: None, to: None, document: hash };
            let fact = Fact::Updated { flags: changed.clone() };
            match self.write_with_plan(backend, &header, fact, plan) {
                Err(error) if error.store_error().is_some_and(StoreError::is_conflict) => {
                    self.catch_up(backend)?;
                }
                written => {
                    written?;
                    self.lock_live().sync_gate(&self.gate, &self.moment());
                    return Ok(changed);
                }
            }
        }
        Err(backend
            .failed(StoreError::conflict("other processes wrote first each time; try again")))
    }

    /// Returns the document in the environment of the rollout. Fails for a document in another environment.
    fn in_environment(&self, document: Document) -> Result<Document, RolloutError> {
        let plan = Arc::clone(&self.lock_live().state.plan);
        match plan.environment() {
            Some(environment) => document
                .in_environment(environment)
                .map_err(|error| Kind::Document { error }.into()),
            None => Ok(document),
        }
    }

    pub(super) fn preview(&self, document: Document) -> Result<Vec<FlagChange>, RolloutError> {
        let (plan, packed) = parse_and_pack(self.in_environment(document)?)?;
        let known = self.lock_live().state.document;
        if known == Hash::of(&packed) { Ok(Vec::new()) } else { self.changes(&plan) }
    }

    /// Returns the document's changes flag by flag, or an error with every flag that prevents the update.
    fn changes(&self, plan: &Plan) -> Result<Vec<FlagChange>, RolloutError> {
        let live = self.lock_live();
        let frozen = machine::frozen(live.state.freeze.as_ref(), live.now(&self.moment()));
        let frozen = frozen.as_ref();
        let mut comparison = AudienceComparison::default();
        let (mut changed, mut refusals) = (Vec::new(), Vec::new());
        for key in plan.flags() {
            let Some(new) = plan.flag(key) else { continue };
            let Some((old, state)) = live.find(key) else {
                match live.state.removed(key) {
                    Some(removed) => {
                        match machine::check_readded(removed, &new, frozen, &mut comparison) {
                            Ok(returned) => changed.push(returned),
                            Err(refusal) => refusals.push(refusal),
                        }
                    }
                    None => {
                        let stage = Some(new.stage());
                        changed.push(FlagChange { new: true, ..FlagChange::of(key, stage) });
                    }
                }
                continue;
            };
            let per_update = plan.per_update();
            match machine::check_update(&old, &new, state, per_update, frozen, &mut comparison) {
                Ok(update) => {
                    let audience = update.audience.iter();
                    let audience = audience.map(|change| change.to_string().into()).collect();
                    let FlagUpdate { reset, reason, permissions, .. } = update;
                    let stage = Some(state.stage);
                    let change = FlagChange {
                        audience,
                        reason,
                        permissions,
                        reset,
                        ..FlagChange::of(key, stage)
                    };
                    changed.extend((!change.is_empty()).then_some(change));
                }
                Err(refusal) => refusals.push(refusal),
            }
        }
        let gone = live.state.flags().iter().filter(|(key, _)| plan.flag(key).is_none());
        changed.extend(gone.map(|(key, _)| FlagChange::of(key, None)));
        changed.sort_by(|a, b| a.flag.cmp(&b.flag));
        if !refusals.is_empty() {
            return Err(Kind::UpdateRefused { refusals }.into());
        }
        let problems = removal_problems(&live.state, plan, &changed);
        match problems.is_empty() {
            true => Ok(changed),
            false => Err(Kind::Shrinks { error: plan.error(problems) }.into()),
        }
    }
}

/// Returns the problems of an update that removes too many flags, or empties a list of users.
fn removal_problems(state: &JournalState, plan: &Plan, changed: &[FlagChange]) -> Vec<Problem> {
    let is_on = |key: &str| state.stage(key) != StageName::OFF;
    let on = state.flags().iter().filter(|(key, _)| is_on(key)).count();
    let gone = changed.iter().filter(|change| change.stage.is_none() && is_on(&change.flag));
    let mut problems: Vec<Problem> = too_many_removed(plan, on, gone.count()).into_iter().collect();
    let in_force = state.plan.planned().flat_map(|flag| flag.definition.groups());
    problems
        .extend(emptied_users_files(plan, in_force, |flag| is_on(flag.definition.key.as_str())));
    problems
}
