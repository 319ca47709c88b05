//! What an application holds: the flags of one plan, asked from any thread, swapped in one step.

mod ask;
mod by_name;
mod calls;
mod cell;
mod change;
#[cfg(feature = "rollout")]
mod driven;
mod edit;
mod error;
mod filter;
mod handle;
#[cfg(all(test, stagegate_loom))]
mod model;
mod observer;
mod pinned;
mod retired;
mod shortcut;
mod shortcuts;
mod status;
#[cfg(not(stagegate_loom))]
mod swap;
#[cfg(stagegate_loom)]
#[path = "model/swap.rs"]
mod swap;
mod sync;
mod transition;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use edit::AudienceChange;
#[cfg_attr(not(feature = "rollout"), expect(unused_imports))]
pub(crate) use edit::{
    Comparison, Edit, Objection, PER_UPDATE, emptied, new_reason, too_many_gone,
};
pub use error::UpdateError;
pub use handle::FlagHandle;
pub use observer::{Change, Observer, Update};
pub use pinned::Pinned;
pub use status::{FlagStatus, Status};

use crate::eval::Snapshot;
use crate::plan::{Document, Plan, PlanError};
use calls::Calls;
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
/// A flag of a document that says its stage and owner takes 190 bytes beyond its text, 71 of them for as long as the gate lives, for
/// questions by name. A thread that asks where groups have a say, or for what [`version`](Gate::version) there is, keeps the snapshot
/// it saw last until it asks so again or ends; a gate keeps the one that its last update replaced. Snapshots share what they have in
/// common: what one has of its own is 32 bytes a flag.
///
/// # Complexity
///
/// [`is_enabled`](Gate::is_enabled) is a hash of the flag's name, one of the user's key, and a comparison; a look into a filter
/// where groups list users. [`evaluate`](Gate::evaluate) is that, and what is looked at of the answer. Some 150 instructions more
/// are taken by: who is listed; flags in which an attribute has a say; where all flags together list more than 4 million users,
/// those with later keys; flags that a later document brings, or gives another salt, or for `evaluate` other stages. A
/// [`FlagHandle`] is made for what is there then, and for lists of any length.
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
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    current: Cell,
    ledger: Ledger,
    /// Whether a rollout drives it: then no call moves a flag up.
    driven: bool,
    /// Of a driven gate alone.
    calls: Calls,
}

impl Shared {
    fn new(current: Cell, driven: bool) -> Shared {
        Shared { current, ledger: Ledger::default(), driven, calls: Calls::default() }
    }
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
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document(r#"{"schema": 1, "flags": {"a": {"stage": "ga"}}}"#)?;
    /// assert!(gate.is_enabled("user-42", "a"));
    /// assert_eq!(Gate::from_document("schema = 2").unwrap_err().problems().len(), 2);
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    pub fn from_document(document: impl Into<Document>) -> Result<Gate, PlanError> {
        Ok(Gate::from_plan(&Plan::parse(document)?))
    }

    /// A gate on a plan read before, each flag where the document puts it.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Gate, Plan};
    ///
    /// let plan = Plan::parse("schema = 1\n[flags.a]\nstage = \"ga\"")?;
    /// assert!(plan.flags().all(|flag| Gate::from_plan(&plan).is_enabled("user-42", flag)));
    /// # Ok::<(), stagegate::PlanError>(())
    /// ```
    #[must_use]
    pub fn from_plan(plan: &Plan) -> Gate {
        let current = Cell::new(plan.compile());
        Gate { shared: Arc::new(Shared::new(current, false)) }
    }

    /// Whether a rollout drives it, and refuses every other update that moves a flag up.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn is_driven(&self) -> bool {
        self.shared.driven
    }

    /// A gate before its first document: it has no flag, and its version is 0.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn empty() -> Gate {
        let current = Cell::new(Snapshot::new(0, Vec::new(), None));
        Gate { shared: Arc::new(Shared::new(current, false)) }
    }
}

/// Watching.
impl Gate {
    /// The version in force: 1 for the first document, one more with every update.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.current.read(Snapshot::version)
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

/// The version and the number of flags: no user and no document.
impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (version, flags) =
            self.shared.current.read(|snapshot| (snapshot.version(), snapshot.flags().len()));
        f.debug_struct("Gate")
            .field("version", &version)
            .field("flags", &flags)
            .field("driven", &self.shared.driven)
            .finish_non_exhaustive()
    }
}
