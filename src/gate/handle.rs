//! A flag resolved once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::shortcuts::Resolved;
use super::{Gate, Pinned};
use crate::eval::{AsUser, Evaluation, Flag, Placement, Position, Slot, Snapshot, StageName};

/// One flag of a gate, found by name once: the quickest way to ask.
///
/// A handle outlives updates: when an update adds or takes away flags, the next question finds the
/// flag's new place by itself. A handle to a flag that does not exist says off until it does.
///
/// # Concurrency
///
/// Shared and cloned freely; questions are lock-free.
///
/// # Complexity
///
/// [`is_enabled`](FlagHandle::is_enabled) is two loads and one hash of the user's key; a look into a filter where groups
/// list users. [`evaluate`](FlagHandle::evaluate) is that, and what is looked at of the answer. Who is listed, and all where an
/// attribute has a say, ask the snapshot in force, and hash once more a group; so it is for a flag whose salt was changed, or that got
/// groups, after the handle was made. The filter has 24 to 48 bits a listed user, 16 at least after lists have grown, and is the gate's own, but where that has none.
///
/// # Example
///
/// ```
/// use stagegate::Gate;
///
/// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"ga\"")?;
/// let new_checkout = gate.flag("new-checkout");
/// assert!(new_checkout.is_enabled("user-42"));
/// gate.roll_back("new-checkout")?;
/// assert!(!new_checkout.is_enabled("user-42"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FlagHandle {
    gate: Gate,
    key: Arc<str>,
    /// A [`Slot`] as a word. Relaxed throughout: a slot says itself whether it fits a snapshot, so
    /// one that another thread wrote, or has not written yet, costs at most a look-up by name.
    slot: AtomicU64,
    resolved: Arc<Resolved>,
}

impl FlagHandle {
    pub(super) fn new(gate: Gate, key: &str) -> FlagHandle {
        let key = key.into();
        let resolved = gate.shared.current.shortcut(&key);
        let slot = gate.shared.current.read(|snapshot| snapshot.slot(&key));
        FlagHandle { gate, key, slot: AtomicU64::new(slot.to_word()), resolved }
    }

    /// The flag's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the user has the flag: as [`Gate::is_enabled`].
    #[inline(always)]
    pub fn is_enabled(&self, user: impl AsUser) -> bool {
        self.resolved.shortcut.is_enabled(&user).unwrap_or_else(|| self.is_enabled_now(&user))
    }

    /// By the snapshot in force.
    #[inline(never)]
    fn is_enabled_now(&self, user: &impl AsUser) -> bool {
        self.gate
            .shared
            .current
            .read(|snapshot| self.find(snapshot).is_some_and(|flag| flag.is_enabled(user)))
    }

    /// The same in a pinned version, of this gate or of any other.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"ga\"")?;
    /// let new_checkout = gate.flag("new-checkout");
    /// let request = gate.pin();
    /// gate.roll_back("new-checkout")?;
    /// assert!(new_checkout.is_enabled_in(&request, "user-42"));
    /// assert!(!new_checkout.is_enabled("user-42"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn is_enabled_in(&self, pinned: &Pinned, user: impl AsUser) -> bool {
        self.find(pinned.snapshot()).is_some_and(|flag| flag.is_enabled(&user))
    }

    /// The decision with its reason: as [`Gate::evaluate`].
    #[inline(always)]
    pub fn evaluate(&self, user: impl AsUser) -> Evaluation {
        match self.resolved.shortcut.unlisted(&user, &self.gate.shared.current.in_force) {
            Some(unlisted) => unlisted.evaluate(&self.resolved.stages),
            None => self.evaluate_now(&user),
        }
    }

    /// By the snapshot in force.
    #[inline(never)]
    fn evaluate_now(&self, user: &impl AsUser) -> Evaluation {
        self.gate.shared.current.read(|snapshot| snapshot.evaluate(self.find(snapshot), user))
    }

    /// The same in a pinned version, of this gate or of any other.
    #[inline]
    pub fn evaluate_in(&self, pinned: &Pinned, user: impl AsUser) -> Evaluation {
        let snapshot = pinned.snapshot();
        snapshot.evaluate(self.find(snapshot), &user)
    }

    /// The user's cohort: as [`Gate::cohort`].
    pub fn cohort(&self, user: impl AsUser) -> Option<StageName> {
        self.evaluate(user).cohort
    }

    /// The same decision, and by what; `None` for an unknown flag.
    #[inline]
    #[cfg_attr(not(feature = "guard"), expect(dead_code))]
    pub(crate) fn place(&self, user: &impl AsUser) -> Option<Placement> {
        match self.resolved.shortcut.unlisted(user, &self.gate.shared.current.in_force) {
            Some(unlisted) => Some(unlisted.place(&self.resolved.stages)),
            None => self.place_now(user),
        }
    }

    /// By the snapshot in force.
    #[inline(never)]
    fn place_now(&self, user: &impl AsUser) -> Option<Placement> {
        self.gate.shared.current.read(|snapshot| self.find(snapshot).map(|flag| flag.place(user)))
    }

    /// Where the flag is: its position, and the stage's name; `None` for an unknown flag.
    #[cfg_attr(not(feature = "guard"), expect(dead_code))]
    pub(crate) fn stage(&self) -> Option<(Position, StageName)> {
        self.gate.shared.current.read(|snapshot| {
            let flag = self.find(snapshot)?;
            Some((flag.position(), flag.definition().stage_name(flag.position())?))
        })
    }

    #[inline(always)]
    fn find<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Flag> {
        match snapshot.at(Slot::from_word(self.slot.load(Ordering::Relaxed))) {
            Ok(flag) => flag,
            Err(_) => self.find_by_name(snapshot),
        }
    }

    #[cold]
    fn find_by_name<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Flag> {
        let slot = snapshot.slot(&self.key);
        self.slot.store(slot.to_word(), Ordering::Relaxed);
        snapshot.at(slot).ok().flatten()
    }
}

impl Clone for FlagHandle {
    fn clone(&self) -> FlagHandle {
        let slot = AtomicU64::new(self.slot.load(Ordering::Relaxed));
        let (key, resolved) = (Arc::clone(&self.key), Arc::clone(&self.resolved));
        FlagHandle { gate: self.gate.clone(), key, slot, resolved }
    }
}

impl fmt::Debug for FlagHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagHandle").field("key", &self.key).finish_non_exhaustive()
    }
}
