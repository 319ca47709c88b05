//! A handle to one flag.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fast_path::FastPath;
use super::{Gate, Pinned};
use crate::eval::{AsUser, Evaluation, Flag, Placement, Position, Slot, Snapshot, StageName};

/// A handle to one flag of a gate, for the fastest checks.
///
/// Create it once, with [`Gate::flag`], and keep it. It keeps working across updates, also if they remove or add the
/// flag. While the plan does not have the flag, the handle answers that it is off.
///
/// # Concurrency
///
/// Threads may share a handle, or clone it. Checks are lock-free.
///
/// # Complexity
///
/// A handle keeps a copy of the flag's salt and threshold, which it shares with its clones. So
/// [`is_enabled`](FlagHandle::is_enabled) takes a hash of the user's key and a comparison. If groups list users, it
/// also looks into a copy of the flag's filter. The first check after an update reads the snapshot and renews the copy.
/// Listed users, and flags with attribute rules, always take the snapshot, as for [`Gate::is_enabled`].
///
/// [`evaluate`](FlagHandle::evaluate) always reads the thread's snapshot.
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
    name: Arc<str>,
    /// A [`Slot`] as a word. Relaxed: a slot says which index it belongs to, so an outdated one only costs a lookup by
    /// name.
    slot: AtomicU64,
    fast_path: Arc<FastPath>,
}

impl FlagHandle {
    pub(super) fn new(gate: Gate, name: &str) -> FlagHandle {
        let snapshot = gate.shared.current.load();
        let slot = snapshot.slot(name);
        let fast_path = FastPath::empty();
        fast_path.renew(&snapshot, snapshot.at(slot).ok().flatten(), || ());
        drop(snapshot);
        let (name, slot) = (name.into(), AtomicU64::new(slot.to_word()));
        FlagHandle { gate, name, slot, fast_path: Arc::new(fast_path) }
    }

    /// Returns the name that was passed to [`Gate::flag`]: the flag's key, or a name of its `asked_as`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.name
    }

    /// Returns whether the user has the flag, as [`Gate::is_enabled`] does.
    #[inline(always)]
    pub fn is_enabled(&self, user: impl AsUser) -> bool {
        let newest = self.gate.shared.current.newest();
        let answer = self.fast_path.is_enabled(newest, &user, || true);
        answer.unwrap_or_else(|| self.is_enabled_by_snapshot(&user))
    }

    #[inline(never)]
    fn is_enabled_by_snapshot(&self, user: &impl AsUser) -> bool {
        let snapshot = self.gate.shared.current.get();
        let flag = self.find(&snapshot);
        self.fast_path.renew(&snapshot, flag, || ());
        flag.is_some_and(|flag| flag.is_enabled(user, &snapshot))
    }

    /// Returns whether the user has the flag in a pinned version, of this gate or of another one.
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
        let snapshot = pinned.snapshot();
        self.find(snapshot).is_some_and(|flag| flag.is_enabled(&user, snapshot))
    }

    /// Returns the decision with its reason, as [`Gate::evaluate`] does.
    #[inline(always)]
    pub fn evaluate(&self, user: impl AsUser) -> Evaluation {
        let snapshot = self.gate.shared.current.get();
        snapshot.evaluate(self.find(&snapshot), &user)
    }

    /// Returns the decision with its reason in a pinned version, of this gate or of another one.
    #[inline]
    pub fn evaluate_in(&self, pinned: &Pinned, user: impl AsUser) -> Evaluation {
        let snapshot = pinned.snapshot();
        snapshot.evaluate(self.find(snapshot), &user)
    }

    /// Returns the user's cohort, as [`Gate::cohort`] does.
    pub fn cohort(&self, user: impl AsUser) -> Option<StageName> {
        self.evaluate(user).cohort
    }

    /// Returns the decision and whether the bucket alone decided; `None` for an unknown flag.
    #[inline]
    #[cfg_attr(not(feature = "guard"), expect(dead_code))]
    pub(crate) fn place(&self, user: &impl AsUser) -> Option<Placement> {
        let snapshot = self.gate.shared.current.get();
        self.find(&snapshot).map(|flag| flag.place(user, &snapshot))
    }

    /// Returns the flag's position and the name of its stage; `None` for an unknown flag.
    #[cfg_attr(not(feature = "guard"), expect(dead_code))]
    pub(crate) fn stage(&self) -> Option<(Position, StageName)> {
        let snapshot = self.gate.shared.current.get();
        let flag = self.find(&snapshot)?;
        Some((flag.position(), flag.definition().stage_name(flag.position())?))
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
        let slot = snapshot.slot(&self.name);
        self.slot.store(slot.to_word(), Ordering::Relaxed);
        snapshot.at(slot).ok().flatten()
    }
}

impl Clone for FlagHandle {
    fn clone(&self) -> FlagHandle {
        let slot = AtomicU64::new(self.slot.load(Ordering::Relaxed));
        let (name, fast_path) = (Arc::clone(&self.name), Arc::clone(&self.fast_path));
        FlagHandle { gate: self.gate.clone(), name, slot, fast_path }
    }
}

impl fmt::Debug for FlagHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagHandle").field("name", &self.name).finish_non_exhaustive()
    }
}
