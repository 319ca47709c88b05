//! Questions to a gate.

use std::sync::Arc;

use super::{FlagHandle, Gate, Pinned};
use crate::eval::{AsUser, Evaluation, Flag, StageName};

/// Asking.
impl Gate {
    /// Whether the user has the flag. An unknown flag is off.
    ///
    /// # Concurrency
    ///
    /// Lock-free; the answer is that of one version.
    ///
    /// # Complexity
    ///
    /// A hash of the flag's name and one of the user's key; where groups have a say, one more a
    /// group. Never allocates, but for a few words at a thread's first question to any gate. Figures
    /// in `benches/README.md`.
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
        answer.unwrap_or_else(|| self.is_enabled_now(&user, flag))
    }

    /// By the snapshot in force.
    #[inline(never)]
    fn is_enabled_now(&self, user: &impl AsUser, flag: &str) -> bool {
        self.shared
            .current
            .read(|snapshot| snapshot.flag(flag).is_some_and(|flag| flag.is_enabled(user)))
    }

    /// The same decision with its reason, the flag's stage, the user's cohort and bucket.
    ///
    /// # Complexity
    ///
    /// As [`is_enabled`](Gate::is_enabled), and for the cohort one comparison a stage and the groups of later ones; what nobody looks at
    /// of the answer is not made. Never allocates.
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
        match self.shared.current.unlisted(&user, flag) {
            Some((unlisted, stages)) => unlisted.evaluate(stages),
            None => self.evaluate_now(&user, flag),
        }
    }

    /// By the snapshot in force.
    #[inline(never)]
    fn evaluate_now(&self, user: &impl AsUser, flag: &str) -> Evaluation {
        self.shared.current.read(|snapshot| snapshot.evaluate(snapshot.flag(flag), user))
    }

    /// The earliest stage whose audience holds the user, whatever stage the flag is at; `None`
    /// when no stage does, or there is no such flag.
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

    /// The answers for one user of every flag, in order of their keys, from one version.
    ///
    /// # Complexity
    ///
    /// One allocation for the list. [`Pinned::evaluate_all`] has none.
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
        let answer = |flag: &Flag| (flag.key().shared(), flag.evaluate(&user, snapshot.version()));
        snapshot.flags().iter().map(answer).collect()
    }

    /// A handle to one flag, resolved once: the fastest way to ask about it often.
    ///
    /// It keeps working across updates, also those that take the flag away or bring it.
    ///
    /// # Complexity
    ///
    /// To be made once and kept, not with each question: making one allocates, and takes the lock that updates take to swap. Each
    /// update looks at every handle that was made and not cloned, some nanoseconds each.
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
    pub fn flag(&self, key: &str) -> FlagHandle {
        FlagHandle::new(self.clone(), key)
    }

    /// The present version, for several questions that must not straddle an update.
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
