//! Checks: whether a user has a flag, and why.

use std::sync::Arc;

use super::{FlagHandle, Gate, Pinned};
use crate::eval::{AsUser, Evaluation, Flag, StageName};

/// Checks.
impl Gate {
    /// Returns whether the user has the flag. An unknown flag is off.
    ///
    /// `flag` is the flag's key or, here as in every other check, a name of its
    /// [`asked_as`](crate::_docs::plans#names-from-another-system).
    ///
    /// # Concurrency
    ///
    /// Lock-free. The answer comes from one version.
    ///
    /// # Complexity
    ///
    /// A hash of the flag's name and a hash of the user's key. If groups may decide, one more hash of the key for each
    /// group. [`Gate`] lists which checks cost more. Allocates only to renew copies: at the first check of a thread,
    /// and of a flag, after an update. `benches/README.md` has figures.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"ga\"")?;
    /// assert!(gate.is_enabled("user-42", "new-checkout"));
    /// assert!(gate.is_enabled(42, "new-checkout"));
    /// assert!(!gate.is_enabled(42, "no-such-flag"));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[inline(always)]
    pub fn is_enabled(&self, user: impl AsUser, flag: &str) -> bool {
        let answer = self.shared.current.is_enabled(&user, flag);
        answer.unwrap_or_else(|| self.is_enabled_by_snapshot(&user, flag))
    }

    #[inline(never)]
    fn is_enabled_by_snapshot(&self, user: &impl AsUser, flag: &str) -> bool {
        self.shared.current.is_enabled_by_snapshot(user, flag)
    }

    /// Returns the decision with its reason, the flag's stage, and the user's cohort and bucket.
    ///
    /// # Complexity
    ///
    /// Reads the thread's snapshot, and finds the flag there by its name. Finding the cohort takes one comparison for
    /// each stage. If groups may name the user, it also looks into the groups of all stages. The compiler leaves out
    /// the parts of the answer that the caller ignores. Allocates only at the first check of a thread after an update,
    /// to copy a pointer to the snapshot.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Gate, Reason};
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"pilot\"")?;
    /// let answer = gate.evaluate("user-9", "new-checkout");
    /// assert_eq!((answer.enabled, answer.reason), (true, Reason::Split));
    /// assert_eq!(gate.evaluate("user-9", "new-chekout").reason, Reason::FlagNotFound);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[inline(always)]
    pub fn evaluate(&self, user: impl AsUser, flag: &str) -> Evaluation {
        let snapshot = self.shared.current.get();
        snapshot.evaluate(snapshot.flag(flag), &user)
    }

    /// Returns the user's cohort: the earliest stage whose audience holds the user. It does not depend on the flag's
    /// stage.
    ///
    /// Returns `None` if no stage holds the user, or there is no such flag.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.new-checkout]\nstage = \"off\"")?;
    /// assert!(gate.cohort("user-7", "new-checkout").is_some_and(|stage| stage == "ga"));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn cohort(&self, user: impl AsUser, flag: &str) -> Option<StageName> {
        self.evaluate(user, flag).cohort
    }

    /// Evaluates every flag for one user, in order of the keys. All answers come from one version.
    ///
    /// # Complexity
    ///
    /// Allocates the list. [`Pinned::evaluate_all`] allocates nothing.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"\n[flags.b]")?;
    /// let on = gate.evaluate_all("user-42").into_iter().filter(|(_, answer)| answer.enabled);
    /// assert_eq!(on.map(|(flag, _)| flag.to_string()).collect::<Vec<_>>(), ["a"]);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn evaluate_all(&self, user: impl AsUser) -> Vec<(Arc<str>, Evaluation)> {
        let snapshot = self.shared.current.load();
        let answer = |flag: &Flag| (flag.key().shared(), flag.evaluate(&user, &snapshot));
        snapshot.flags().iter().map(answer).collect()
    }

    /// Creates a handle to one flag, for the fastest checks. Create it once and keep it.
    ///
    /// A handle keeps working across updates, also if they remove or add the flag.
    ///
    /// # Complexity
    ///
    /// Creating a handle allocates, but takes no lock. An update does not look at handles, so its cost does not depend
    /// on their number.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"")?;
    /// let (a, b) = (gate.flag("a"), gate.flag("b"));
    /// assert!(a.is_enabled("user-42") && !b.is_enabled("user-42"));
    /// gate.update("schema = 1\n[flags.b]\nstage = \"ga\"")?;
    /// assert!(!a.is_enabled("user-42") && b.is_enabled("user-42"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn flag(&self, name: &str) -> FlagHandle {
        FlagHandle::new(self.clone(), name)
    }

    /// Pins the version in force, for several checks that must agree. Call it once per request.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"")?;
    /// let request = gate.pin();
    /// gate.roll_back("a")?;
    /// assert!(request.is_enabled("user-42", "a") && !gate.is_enabled("user-42", "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn pin(&self) -> Pinned {
        Pinned::new(self.shared.current.load())
    }
}
