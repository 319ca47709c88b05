//! The users of a file, evaluated in both documents.

use std::rc::Rc;

use stagegate::{FlagHandle, Gate, Pinned, Plan};

use crate::users::UserLine;

/// The users who enter and leave, by flag.
pub(super) struct Tally<'p> {
    pub(super) users: u64,
    pub(super) flags: Vec<FlagTally<'p>>,
    old: Pinned,
    new: Pinned,
}

/// The users who enter and leave one flag, in the order of the file.
pub(super) struct FlagTally<'p> {
    pub(super) key: &'p str,
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) enter: Vec<Rc<str>>,
    pub(super) leave: Vec<Rc<str>>,
    old: FlagHandle,
    new: FlagHandle,
}

impl<'p> Tally<'p> {
    pub(super) fn new(old: &Plan, new: &Plan, flags: impl Iterator<Item = &'p str>) -> Tally<'p> {
        let (old, new) = (Gate::from_plan(old), Gate::from_plan(new));
        // A flag that a document does not have is off there.
        let flags = flags.map(|key| FlagTally {
            key,
            before: 0,
            after: 0,
            enter: Vec::new(),
            leave: Vec::new(),
            old: old.flag(key),
            new: new.flag(key),
        });
        Tally { users: 0, flags: flags.collect(), old: old.pin(), new: new.pin() }
    }

    pub(super) fn count(&mut self, line: &UserLine<'_>) {
        self.users += 1;
        // All flags share one copy of the key.
        let mut shared: Option<Rc<str>> = None;
        for flag in &mut self.flags {
            let was = flag.old.is_enabled_in(&self.old, &line.user);
            let is = flag.new.is_enabled_in(&self.new, &line.user);
            flag.before += u64::from(was);
            flag.after += u64::from(is);
            if was != is {
                let key = shared.get_or_insert_with(|| line.key.into());
                let list = if is { &mut flag.enter } else { &mut flag.leave };
                list.push(Rc::clone(key));
            }
        }
    }
}
