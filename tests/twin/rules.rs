//! The rules that `Gate::update`, `set_stage` and `force_stage` document, sentence by sentence.

use std::collections::BTreeMap;

use super::model::{Doc, Flag, Stage};

/// Where every flag of a gate is.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) flags: BTreeMap<String, FlagState>,
    /// The flags of the document in force, as it has them.
    document: BTreeMap<String, Flag>,
}

/// What a gate tells of itself: all but the document.
impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        (self.version, &self.flags) == (other.version, &other.flags)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlagState {
    /// Name and parts per million.
    pub(crate) stages: Vec<(String, u32)>,
    /// 0 is off.
    pub(crate) position: usize,
    /// Where the document has it.
    pub(crate) declared: usize,
}

/// Why a model refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    Skip,
    NotFound,
}

impl FlagState {
    fn new(flag: &Flag) -> FlagState {
        let stages = flag.stages().into_iter().map(|stage| (stage.name, stage.ppm.unwrap_or(0)));
        let position = flag.position;
        FlagState { stages: stages.collect(), position, declared: position }
    }

    pub(crate) fn name(&self, position: usize) -> &str {
        position.checked_sub(1).map_or("off", |index| &self.stages[index].0)
    }

    pub(crate) fn ppm(&self) -> u32 {
        self.position.checked_sub(1).map_or(0, |index| self.stages[index].1)
    }

    /// "A stage whose percentage was raised counts as reached only up to what the flag's users have
    /// now": the stage of the same name if it has not grown, else the last that one gets to without
    /// letting in anybody: by a larger percentage, or a group where there was no stage before.
    fn reached_of(&self, new: &FlagState, stages: &[Stage]) -> usize {
        if self.position == 0 {
            return 0;
        }
        let name = self.name(self.position);
        let same = new.stages.iter().position(|(n, ppm)| n == name && *ppm <= self.ppm());
        let mut covered = 0;
        while covered < stages.len()
            && new.stages[covered].1 <= self.ppm()
            && (stages[covered].groups.is_empty() || covered < self.position)
        {
            covered += 1;
        }
        same.map_or(covered, |index| index + 1)
    }

    pub(crate) fn is_taken_down(&self) -> bool {
        self.position < self.declared
    }

    /// "...until a document has another `stage` for it."
    pub(crate) fn is_declared_again_by(&self, new: &FlagState) -> bool {
        self.name(self.declared) == new.name(new.declared)
    }
}

impl State {
    pub(crate) fn new(doc: &Doc) -> State {
        let flags = doc.flags.iter().map(|flag| (flag.key.clone(), FlagState::new(flag)));
        let document = doc.flags.iter().map(|flag| (flag.key.clone(), flag.clone()));
        State { version: 1, flags: flags.collect(), document: document.collect() }
    }

    pub(crate) fn update(&mut self, doc: &Doc) -> Result<(), Refusal> {
        let mut next = State::new(doc);
        next.version = self.version + 1;
        for flag in &doc.flags {
            // A flag that is new starts where its document says.
            let Some(old) = self.flags.get(&flag.key) else { continue };
            let new = next.flags.get_mut(&flag.key).unwrap();
            let reached = old.reached_of(new, &flag.stages());
            let old_reason = &self.document[&flag.key].skip_reason;
            let new_reason = flag.skip_reason.is_some() && flag.skip_reason != *old_reason;
            if old.is_taken_down() && old.is_declared_again_by(new) {
                // It stays; its stage may stand elsewhere now, or be gone.
                new.position = reached.min(new.declared);
            } else if new.declared > reached + 1 && !new_reason {
                return Err(Refusal::Skip);
            }
        }
        *self = next;
        Ok(())
    }

    /// What a gate tells of itself.
    pub(crate) fn told(version: u64, flags: BTreeMap<String, FlagState>) -> State {
        State { version, flags, document: BTreeMap::new() }
    }

    /// "Any number down, or one up", or anywhere with a reason that is not blank.
    pub(crate) fn set_stage(
        &mut self,
        key: &str,
        stage: &str,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let flag = self.flags.get_mut(key).ok_or(Refusal::NotFound)?;
        let found = (0..=flag.stages.len()).find(|position| flag.name(*position) == stage);
        let to = found.ok_or(Refusal::NotFound)?;
        let allowed = match reason {
            Some(reason) => !reason.trim().is_empty(),
            None => to <= flag.position + 1,
        };
        if !allowed {
            return Err(Refusal::Skip);
        }
        flag.position = to;
        self.version += 1;
        Ok(())
    }
}
