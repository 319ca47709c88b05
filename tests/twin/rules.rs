//! The twin of `Gate::update`, `set_stage` and `force_stage`, written from the documented rules. It evaluates every
//! user of a small world before and after each step.

use std::collections::BTreeMap;

use super::model::{Doc, Flag};
use super::oracle::Person;

/// The version, the document and the position of every flag of a gate.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) flags: BTreeMap<String, FlagState>,
    document: Doc,
    /// Removed flags, each with the last document that contained it.
    removed: BTreeMap<String, (FlagState, Doc)>,
}

/// Compares what `Gate::status` shows, which is everything except the document.
impl PartialEq for State {
    fn eq(&self, other: &State) -> bool {
        (self.version, &self.flags) == (other.version, &other.flags)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FlagState {
    /// Name and percentage, in parts per million.
    pub(crate) stages: Vec<(String, u32)>,
    /// 0 is off.
    pub(crate) position: usize,
    /// The position that the document declares.
    pub(crate) declared: usize,
}

/// The reason of a refusal.
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

    fn position_of(&self, name: &str) -> Option<usize> {
        (0..=self.stages.len()).find(|position| self.name(*position) == name)
    }
}

/// A flag of a document.
#[derive(Clone, Copy)]
struct Placed<'d> {
    doc: &'d Doc,
    flag: &'d Flag,
}

impl<'d> Placed<'d> {
    fn of(doc: &'d Doc, key: &str) -> Placed<'d> {
        Placed { doc, flag: doc.flag(key).unwrap() }
    }

    fn admits(self, position: usize, person: &Person) -> bool {
        self.doc.answer_at(self.flag, position, person).enabled
    }

    /// Returns the groups that list the person, in the stages from one position to another.
    fn listing(self, from: usize, to: usize, person: &Person) -> Vec<String> {
        let stages = self.flag.stages();
        let named = stages.into_iter().skip(from - 1).take(to + 1 - from).flat_map(|s| s.groups);
        let lists = |name: &String| {
            let group = self.doc.groups.iter().find(|group| group.name == *name).unwrap();
            group.users.iter().any(|user| user.as_bytes() == person.key)
        };
        named.filter(lists).collect()
    }

    fn has_group(self, to: usize, name: &str) -> bool {
        self.flag.stages().iter().take(to).any(|stage| stage.groups.iter().any(|g| g == name))
    }

    fn last(self) -> usize {
        self.flag.stages().len()
    }

    /// Returns whether this plan, with the flag at `to`, only lets in users whom `old` admits at `allowed`.
    ///
    /// The rule: "An update may only let in users whom the plan in force admits at its current stage or, if it moves
    /// the flag, its next stage." Its exception: "Users who join a list pass, unless the group is new to the flag's
    /// audience and the plan in force lists them for a later stage."
    fn keeps_to(self, to: usize, old: Placed<'_>, allowed: usize, world: &[Person]) -> bool {
        let joins = |group: &String, person: &Person| {
            let later = old.listing(allowed + 1, old.last().max(allowed), person);
            old.has_group(allowed, group) || later.is_empty()
        };
        self.lets_in_only(to, old, allowed, world, joins)
    }

    /// Returns whether this plan, with the flag at `to`, lets in no users who do not have the flag now. Users who join
    /// an existing list are an exception.
    fn keeps(self, to: usize, old: Placed<'_>, now: usize, world: &[Person]) -> bool {
        self.lets_in_only(to, old, now, world, |group, _| old.has_group(now, group))
    }

    fn lets_in_only(
        self,
        to: usize,
        old: Placed<'_>,
        allowed: usize,
        world: &[Person],
        joins: impl Fn(&String, &Person) -> bool,
    ) -> bool {
        let is_exempt = |person: &Person| {
            let waits = old.doc.held_until(old.flag, person) > allowed;
            !waits && self.listing(1, to, person).iter().any(|group| joins(group, person))
        };
        let is_kept = |person: &Person| {
            !self.admits(to, person) || old.admits(allowed, person) || is_exempt(person)
        };
        to == 0 || world.iter().all(is_kept)
    }
}

impl State {
    pub(crate) fn new(doc: &Doc) -> State {
        let flags = doc.flags.iter().map(|flag| (flag.key.clone(), FlagState::new(flag)));
        let (flags, document) = (flags.collect(), doc.clone());
        State { version: 1, flags, document, removed: BTreeMap::new() }
    }

    /// Applies an update. `world` is every user that a test can evaluate.
    pub(crate) fn update(&mut self, doc: &Doc, world: &[Person]) -> Result<(), Refusal> {
        let mut next = State::new(doc);
        next.version = self.version + 1;
        next.removed.clone_from(&self.removed);
        for flag in &doc.flags {
            let key = &flag.key;
            next.removed.remove(key);
            let in_force = self.flags.get(key).map(|state| (state, &self.document));
            let removed = self.removed.get(key).map(|(state, doc)| (state, doc));
            // A new flag starts where its document says. A removed flag that comes back counts as being where it was.
            let Some((old, old_doc)) = in_force.or(removed) else { continue };
            let (before, after) = (Placed::of(old_doc, key), Placed { doc, flag });
            let new = next.flags.get_mut(key).unwrap();
            new.position = position_after(old, before, new, after, world);
            let old_reason = &before.flag.skip_reason;
            let is_reasoned = flag.skip_reason.is_some() && flag.skip_reason != *old_reason;
            let stays = old.name(old.position) == new.name(new.position);
            let allowed = if stays { old.position } else { (old.position + 1).min(before.last()) };
            if !is_reasoned && !after.keeps_to(new.position, before, allowed, world) {
                return Err(Refusal::Skip);
            }
        }
        for (key, state) in &self.flags {
            if !next.flags.contains_key(key) {
                // The gate remembers the attributes of its groups, but neither listed users nor reasons.
                let mut doc = self.document.clone();
                doc.groups.iter_mut().for_each(|group| group.users.clear());
                doc.flags.iter_mut().for_each(|flag| flag.skip_reason = None);
                next.removed.insert(key.clone(), (state.clone(), doc));
            }
        }
        *self = next;
        Ok(())
    }

    /// Returns whether the person has the flag.
    pub(crate) fn is_enabled(&self, key: &str, person: &Person) -> bool {
        let state = self.flags.get(key);
        state.is_some_and(|state| Placed::of(&self.document, key).admits(state.position, person))
    }

    /// Returns the state that a gate's status shows.
    pub(crate) fn told(version: u64, flags: BTreeMap<String, FlagState>) -> State {
        State { version, flags, ..State::default() }
    }

    /// Moves a flag any number of stages down or one stage up, or anywhere with a reason that is not blank.
    pub(crate) fn set_stage(
        &mut self,
        key: &str,
        stage: &str,
        reason: Option<&str>,
    ) -> Result<(), Refusal> {
        let flag = self.flags.get_mut(key).ok_or(Refusal::NotFound)?;
        let to = flag.position_of(stage).ok_or(Refusal::NotFound)?;
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

/// Returns the position of a flag after an update.
///
/// The flag goes to the stage that the document declares. If a call has moved the flag and the declared stage is the
/// same as before, the flag stays at the stage with the same name. If that stage is gone, or a call has moved the flag
/// down, it goes to the highest stage that lets in no users who do not have the flag now. Users who join an existing
/// list are an exception. After a move down, the result is above neither the declared stage nor the stage of the same
/// name.
fn position_after(
    old: &FlagState,
    before: Placed<'_>,
    new: &FlagState,
    after: Placed<'_>,
    world: &[Person],
) -> usize {
    let says_the_same = old.name(old.declared) == new.name(new.declared);
    if old.position == old.declared || !says_the_same {
        return new.declared;
    }
    let same = new.position_of(old.name(old.position));
    let was_taken_down = old.position < old.declared;
    if let Some(same) = same.filter(|_| !was_taken_down) {
        return same;
    }
    let highest = match was_taken_down {
        true => same.unwrap_or(new.declared).min(new.declared),
        false => new.stages.len(),
    };
    let keeps = |position: &usize| after.keeps(*position, before, old.position, world);
    (0..=highest).rev().find(keeps).unwrap()
}
