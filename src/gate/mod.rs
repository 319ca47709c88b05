//! What an application holds: the flags of one plan, asked from any thread, swapped in one step.

mod cell;
mod error;
mod handle;
mod observer;
mod pinned;
mod retired;
mod status;
mod transition;

use std::path::Path;
use std::sync::Arc;

pub use error::UpdateError;
pub use handle::FlagHandle;
pub use observer::{Change, Observer, Update};
pub use pinned::Pinned;
pub use status::{FlagStatus, Status};

use crate::eval::{AsUser, Evaluation, StageName};
use crate::plan::{Document, Plan, PlanError};
use cell::Cell;
use observer::Ledger;

/// Every flag of one plan, for asking.
///
/// A clone is the same gate: it costs one reference count, and sees every update.
///
/// # Concurrency
///
/// Questions take no lock, wait for nobody and see one version each. Updates are validated whole,
/// then put in force in one atomic step; of two at the same time the second is checked again on
/// top of the first.
///
/// # Memory
///
/// A thread that has asked keeps the snapshot it saw last until it asks again or ends, and a gate
/// the one that its last update replaced. Snapshots share what they have in common: what one has
/// of its own is 48 bytes a flag.
///
/// # Example
///
/// ```
/// use stagegate::{Gate, User};
///
/// let gate = Gate::from_document(r#"
///     schema = 1
///     [groups.eu]
///     where = { region = ["eu-west", "eu-north"] }
///     [flags.new-checkout]
///     stage = "early"
///     [[flags.new-checkout.stages]]
///     name = "early"
///     groups = ["eu"]
///     [[flags.new-checkout.stages]]
///     name = "everybody"
///     percent = 100
/// "#)?;
///
/// let user = User::new("user-42").attribute("region", "eu-west");
/// assert!(gate.is_enabled(&user, "new-checkout"));
/// assert!(!gate.is_enabled("user-43", "new-checkout"));
///
/// gate.set_stage("new-checkout", "everybody")?;
/// assert!(gate.is_enabled("user-43", "new-checkout"));
///
/// gate.roll_back("new-checkout")?;
/// assert!(!gate.is_enabled(&user, "new-checkout"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    current: Cell,
    ledger: Ledger,
}

/// Making a gate.
impl Gate {
    /// A gate on the plan document in this file, TOML or JSON.
    ///
    /// # Errors
    ///
    /// [`PlanError`] when the file cannot be read or is no plan.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let error = Gate::from_path("no-such-plan.toml").unwrap_err();
    /// assert!(error.is_unreadable());
    /// ```
    pub fn from_path(path: impl AsRef<Path>) -> Result<Gate, PlanError> {
        Gate::from_document(Document::read(path)?)
    }

    /// A gate on this document: its text will do.
    ///
    /// # Errors
    ///
    /// [`PlanError`] with every problem of the document.
    pub fn from_document(document: impl Into<Document>) -> Result<Gate, PlanError> {
        Ok(Gate::from_plan(&Plan::parse(document)?))
    }

    /// A gate on a plan read before, each flag where the document puts it.
    #[must_use]
    pub fn from_plan(plan: &Plan) -> Gate {
        let current = Cell::new(plan.compile());
        Gate { shared: Arc::new(Shared { current, ledger: Ledger::default() }) }
    }
}

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
    /// group. Never allocates. Figures in `benches/README.md`.
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
    #[inline]
    pub fn is_enabled(&self, user: impl AsUser, flag: &str) -> bool {
        self.shared
            .current
            .read(|snapshot| snapshot.flag(flag).is_some_and(|flag| flag.is_enabled(&user)))
    }

    /// The same decision with its reason, the flag's stage, the user's cohort and bucket.
    ///
    /// # Complexity
    ///
    /// As [`is_enabled`](Gate::is_enabled), and the groups of later stages too. Never allocates.
    #[inline]
    pub fn evaluate(&self, user: impl AsUser, flag: &str) -> Evaluation {
        self.shared.current.read(|snapshot| snapshot.evaluate(snapshot.flag(flag), &user))
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
        let answer = |flag: &crate::eval::Flag| {
            (flag.key().shared(), flag.evaluate(&user, snapshot.version()))
        };
        snapshot.flags().iter().map(answer).collect()
    }

    /// A handle to one flag, resolved once: the fastest way to ask about it often.
    ///
    /// It keeps working across updates, also those that take the flag away or bring it.
    #[must_use]
    pub fn flag(&self, key: &str) -> FlagHandle {
        FlagHandle::new(self.clone(), key)
    }

    /// The present version, for several questions that must not straddle an update.
    #[must_use]
    pub fn pin(&self) -> Pinned {
        Pinned::new(self.shared.current.load())
    }
}

/// Changing what is in force. Each of these is told to the [observers](Gate::observe).
impl Gate {
    /// Puts another document in force: each flag goes where the document has it.
    ///
    /// A flag may go down any number of stages, or up one; up more than one needs a `skip_reason`
    /// beside its `stage`, and another than the document before had. A flag that a call took below its document's `stage` stays there until
    /// a document has another `stage` for it, so a rolled-back flag is not brought back by an edit
    /// of something else. A stage whose percentage was raised counts as reached only up to what
    /// the flag's users have now, so editing a percentage is no way around a stage.
    ///
    /// Returns the new version.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when the document is no plan, or skips a stage; nothing has changed then.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"internal\"")?;
    /// let error = gate.update("schema = 1\n[flags.a]\nstage = \"ga\"").unwrap_err();
    /// assert!(error.is_skip());
    /// gate.update("schema = 1\n[flags.a]\nstage = \"pilot\"")?;
    /// gate.update("schema = 1\n[flags.a]\nstage = \"ga\"\nskip_reason = \"incident 7\"")?;
    /// assert!(gate.is_enabled(1, "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update(&self, document: impl Into<Document>) -> Result<u64, UpdateError> {
        let plan = match Plan::parse(document) {
            Ok(plan) => plan,
            Err(error) => return Err(self.shared.ledger.refuse(error.into())),
        };
        self.apply(|snapshot| transition::to_plan(snapshot, &plan))
    }

    /// Moves a flag to a stage of its plan: any number down, or one up. Returns the new version.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when there is no such flag or stage, or a stage would be skipped.
    pub fn set_stage(&self, flag: &str, stage: &str) -> Result<u64, UpdateError> {
        self.apply(|snapshot| transition::to_stage(snapshot, flag, stage, None))
    }

    /// Moves a flag to any stage of its plan, skipping others. The reason is told to the observers.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when there is no such flag or stage, or the reason is blank.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"off\"")?;
    /// assert!(gate.set_stage("a", "ga").unwrap_err().is_skip());
    /// gate.force_stage("a", "ga", "the old code path is broken")?;
    /// assert!(gate.is_enabled(1, "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn force_stage(&self, flag: &str, stage: &str, reason: &str) -> Result<u64, UpdateError> {
        self.apply(|snapshot| transition::to_stage(snapshot, flag, stage, Some(reason)))
    }

    /// Takes a flag off for everybody, at once. Returns the new version.
    ///
    /// In force when this returns: every question that begins later gets `false`.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when there is no such flag, which is off as it is.
    pub fn roll_back(&self, flag: &str) -> Result<u64, UpdateError> {
        self.set_stage(flag, &StageName::OFF)
    }

    fn apply(
        &self,
        next: impl FnMut(
            &crate::eval::Snapshot,
        ) -> Result<(crate::eval::Snapshot, Vec<Change>), UpdateError>,
    ) -> Result<u64, UpdateError> {
        match self.shared.current.update(next) {
            Ok((version, changes)) => {
                self.shared.ledger.applied(version, &changes);
                Ok(version)
            }
            Err(error) => Err(self.shared.ledger.refuse(error)),
        }
    }
}

/// Watching.
impl Gate {
    /// The version in force: 1 for the first document, one more with every update.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.current.read(crate::eval::Snapshot::version)
    }

    /// What is in force, flag by flag, and what was refused last.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::new(&self.shared.current.load(), self.shared.ledger.last_refused())
    }

    /// Has every later update told to `observer`, applied or refused, until the gate is gone.
    ///
    /// Told by the thread that updates, after the update is in force. Updates by several threads
    /// may be told out of order: their versions tell the order.
    ///
    /// # Panics
    ///
    /// Never, also when an observer does: its panic is caught, and the others are told.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use stagegate::{Gate, Update};
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"off\"")?;
    /// let log = Arc::new(Mutex::new(Vec::new()));
    /// let sink = Arc::clone(&log);
    /// gate.observe(move |update: &Update<'_>| {
    ///     if let Update::Applied { version, changes, .. } = update {
    ///         let lines = changes.iter().map(|change| format!("version {version}: {change}"));
    ///         sink.lock().unwrap().extend(lines);
    ///     }
    /// });
    /// gate.set_stage("a", "internal")?;
    /// assert_eq!(*log.lock().unwrap(), ["version 2: a: off -> internal"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn observe(&self, observer: impl Observer + 'static) {
        self.shared.ledger.observe(Arc::new(observer));
    }
}
