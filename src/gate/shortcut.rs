//! What a question is answered by without looking at a snapshot.

use std::sync::Arc;

use super::filter::Filter;
use super::sync::{AtomicU16, AtomicU64, Ordering};
use crate::eval::{AsUser, Flag, Position, Quick, Salt, Stage, Unlisted};

/// One flag of a gate, for a handle and its clones, or for those who ask by name: the salt, and what the snapshot in force has
/// for it, next to each other. Most flags most of the time need no more.
///
/// # How it stays in step with the snapshots
///
/// An update first sets all shortcuts that it changes to [`Quick::ASK`], then swaps the snapshot, then gives each its new
/// threshold. Whoever asks in between asks the snapshots, of which there is one in force at any moment. So the swap is when
/// an update happens, for shortcuts too: a thread that was answered by the new version, in whatever way, has what was done
/// before the swap behind it, and finds no threshold of the old version any more.
///
/// Who is told the version, too, has it from [`InForce`], which is closed from before the swap until all positions are those of
/// the new version: a position that was read while the version stayed the same is of that version.
#[derive(Debug)]
pub(super) struct Shortcut {
    /// Never another: a flag whose salt is changed later is looked up in the snapshot.
    salt: Salt,
    quick: AtomicU64,
    /// Of whom the snapshot is asked although `quick` has a threshold. Flags whose groups are lists have one: most who ask are
    /// on none.
    listed: Option<Arc<Filter>>,
    /// Among the stages that whoever has the shortcut keeps for it.
    position: AtomicU16,
    /// Which of those of whoever has it: never others, either.
    pub(super) plan: u32,
}

/// What a shortcut answers by.
#[derive(Clone, Copy)]
pub(super) struct State {
    quick: Quick,
    position: Position,
}

impl State {
    pub(super) const ASK: State = State { quick: Quick::ASK, position: ASK };
    pub(super) const NOBODY: State = State { quick: Quick::NOBODY, position: ASK };
}

/// A position that no flag has.
const ASK: Position = Position::MAX;

/// The version in force, while no update is under way.
#[derive(Debug)]
pub(super) struct InForce(AtomicU64);

impl InForce {
    /// A version that no gate comes to.
    const CLOSED: u64 = u64::MAX;

    pub(super) fn new(version: u64) -> InForce {
        InForce(AtomicU64::new(version))
    }

    /// Before a swap.
    pub(super) fn close(&self) {
        // Release: whoever has been told of the swap finds it closed, or what comes after.
        self.0.store(InForce::CLOSED, Ordering::Release);
    }

    /// After it, when every position is of this version.
    pub(super) fn open(&self, version: u64) {
        self.0.store(version, Ordering::Release);
    }
}

impl Shortcut {
    /// The answer, if the snapshot is not to be asked.
    ///
    /// Inlined always, as what leads here: left to itself, the compiler makes a call of it in a crate that asks often, which takes a
    /// third longer.
    #[inline(always)]
    pub(super) fn is_enabled(&self, user: &impl AsUser) -> Option<bool> {
        // Acquire: pairs with the release in `set`. What was done before this was set, a swap too, is done for this thread.
        let quick = Quick::from_word(self.quick.load(Ordering::Acquire));
        if quick.is_for_all() && (quick.is_ask() || self.listed.is_none()) {
            return (!quick.is_ask()).then_some(true);
        }
        let bucket = self.salt.bucket_of(user.key().as_bytes());
        match &self.listed {
            Some(listed) if listed.may_have(bucket) => None,
            _ => Some(quick.admits(bucket)),
        }
    }

    /// The user, the flag's position and the version that says so, if the snapshot is not to be asked.
    #[inline(always)]
    pub(super) fn unlisted(&self, user: &impl AsUser, in_force: &InForce) -> Option<Unlisted> {
        // Acquire: pairs with the release in `close` and `open`. If the version is still the same after the position was read,
        // no later one has set it: its being set comes after `close`, which the second load would have to see.
        let version = in_force.0.load(Ordering::Acquire);
        let position = self.position.load(Ordering::Acquire);
        let same = version == in_force.0.load(Ordering::Relaxed);
        if !same || version == InForce::CLOSED || position == ASK {
            return None;
        }
        let bucket = self.salt.bucket_of(user.key().as_bytes());
        let listed = self.listed.as_ref().is_some_and(|listed| listed.may_have(bucket));
        (!listed).then_some(Unlisted { bucket, position, version })
    }

    pub(super) fn new(
        flag: Option<&Flag>,
        key: &str,
        plan: u32,
        listed: Option<Arc<Filter>>,
    ) -> Shortcut {
        // A flag that comes later has the salt that its key makes, unless its document says otherwise.
        let salt = flag.map_or_else(|| Salt::new(key), Flag::salt);
        let (quick, position) = (AtomicU64::new(Quick::ASK.to_word()), AtomicU16::new(ASK));
        let shortcut = Shortcut { salt, quick, listed, position, plan };
        shortcut.set(shortcut.of(flag, flag.map_or(&[], |flag| flag.stages())));
        shortcut
    }

    /// What it is to be where this is the flag, and these are the stages that are kept for it.
    pub(super) fn of(&self, flag: Option<&Flag>, stages: &[Stage]) -> State {
        let Some(flag) = flag else { return State::NOBODY };
        if flag.salt() != self.salt {
            return State::ASK;
        }
        let knows_lists = self.knows_lists_of(flag);
        let quick = if knows_lists { flag.quick_unless_listed() } else { flag.quick() };
        let is_placed = knows_lists && flag.is_placed_by(stages);
        State { quick, position: if is_placed { flag.position() } else { ASK } }
    }

    fn knows_lists_of(&self, flag: &Flag) -> bool {
        let room =
            self.listed.as_ref().map_or(0, |listed| listed.words.len() * Filter::USERS_A_WORD);
        flag.most_listed().is_some_and(|users| users <= room)
    }

    /// The filter, for another shortcut to this flag.
    pub(super) fn listed_of(&self, flag: &Flag) -> Option<&Arc<Filter>> {
        self.listed.as_ref().filter(|_| flag.salt() == self.salt && self.knows_lists_of(flag))
    }

    /// To be done before the swap to a snapshot with this flag.
    pub(super) fn add_listed(&self, flag: &Flag) {
        if let Some(listed) = self.listed.as_ref().filter(|_| self.knows_lists_of(flag)) {
            flag.listed().for_each(|bucket| listed.add(bucket));
        }
    }

    pub(super) fn is(&self, state: State) -> bool {
        // Relaxed: whoever sets it holds the lock.
        self.quick.load(Ordering::Relaxed) == state.quick.to_word()
            && self.position.load(Ordering::Relaxed) == state.position
    }

    pub(super) fn set(&self, state: State) {
        // Release: pairs with the acquire in `is_enabled` and `unlisted`.
        self.quick.store(state.quick.to_word(), Ordering::Release);
        self.position.store(state.position, Ordering::Release);
    }
}
