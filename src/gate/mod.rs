//! The gate: a thread-safe, hot-swappable set of feature flags.

mod by_name;
mod calls;
mod change;
mod checks;
mod current;
mod edit;
mod error;
mod fast_path;
#[cfg(feature = "rollout")]
mod for_rollout;
mod handle;
#[cfg(all(test, stagegate_loom))]
mod model;
mod observer;
mod pinned;
mod replaced;
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
    AudienceComparison, Edit, Objection, PER_UPDATE, emptied_users_files, new_reason,
    too_many_removed,
};
pub use error::UpdateError;
pub use handle::FlagHandle;
pub use observer::{Change, Observer, Update};
pub use pinned::Pinned;
pub use status::{FlagStatus, Status};

use crate::eval::Snapshot;
use crate::plan::{Document, Plan, PlanError};
use calls::Calls;
use current::Current;
use observer::Observers;

/// A thread-safe, hot-swappable set of feature flags.
///
/// Clone a gate to share it. A clone is the same gate: it costs one reference count and sees every update.
///
/// # Concurrency
///
/// A check takes no lock, waits for no other thread, and sees one version. An update is validated as a whole, then put
/// in force in one atomic step. If two updates run at the same time, the second one is checked again on top of the
/// first. A thread that has seen an update never sees an older version again.
///
/// # Memory
///
/// A snapshot holds all flags of one version. Versions of one document share the definitions of flags, so another
/// version takes 32 bytes a flag. A thread keeps the last snapshot that it read until it reads a newer one or ends. It
/// keeps snapshots of at most four gates. Updates free the snapshots that no thread keeps. Checks never free a
/// snapshot.
///
/// Checks by name use a table with 64 bytes a flag. The table keeps room for the largest document that the gate ever
/// had. The table and each handle also copy the filter of a flag whose groups list users: 2 to 4 bytes for each listed
/// user.
///
/// # Complexity
///
/// [`is_enabled`](Gate::is_enabled) takes a hash of the flag's name, a hash of the user's key and a comparison. If
/// groups list users, it also looks into a filter. [`evaluate`](Gate::evaluate) always reads the thread's snapshot, and
/// finds the flag there.
///
/// The cost depends only on the document in force, not on earlier updates. `is_enabled` reads the snapshot in these
/// cases:
///
/// - The first check of a flag after an update. It also renews the table's copy of the flag, so later checks do not
///   read the snapshot.
/// - The flag is unknown.
/// - A group of the flag has attribute rules.
/// - A group of the flag lists the user. The same goes for up to 1% of the other users, whom the filter cannot tell
///   from listed users.
/// - The flag has no filter, because all flags together list more than 4 million users. The flags whose keys come first
///   have filters.
///
/// A [`FlagHandle`] saves the hash of the name.
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
    current: Current,
    observers: Observers,
    /// Whether a rollout drives the gate. Then only the rollout moves flags up.
    is_driven: bool,
    /// Empty unless a rollout drives the gate.
    calls: Calls,
}

impl Shared {
    fn new(current: Current, is_driven: bool) -> Shared {
        Shared { current, observers: Observers::default(), is_driven, calls: Calls::default() }
    }
}

/// Constructors.
impl Gate {
    /// Creates a gate from the plan document in a file, TOML or JSON.
    ///
    /// # Errors
    ///
    /// [`PlanError`] if the file cannot be read or is not a valid plan.
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

    /// Creates a gate from a plan document, such as its text.
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

    /// Creates a gate from a parsed plan. Each flag is at its `stage` in the document.
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
        let current = Current::new(plan.compile());
        Gate { shared: Arc::new(Shared::new(current, false)) }
    }

    /// Returns whether a rollout drives the gate. Then only the rollout may move flags up or put documents in force.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn is_driven(&self) -> bool {
        self.shared.is_driven
    }

    /// Creates a gate that waits for its first document. It has no flags, and its version is 0.
    #[cfg_attr(not(feature = "follow"), expect(dead_code))]
    pub(crate) fn empty() -> Gate {
        let current = Current::new(Snapshot::new(0, Vec::new(), None));
        Gate { shared: Arc::new(Shared::new(current, false)) }
    }
}

/// Status and observers.
impl Gate {
    /// Returns the version in force. The first document has version 1, and each update adds 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.shared.current.get().version()
    }

    /// Returns the state of each flag, and the error of the last refused update.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::new(&self.shared.current.load(), self.shared.observers.last_refused())
    }

    /// Calls `observer` for each later update, applied or refused, as long as the gate lives.
    ///
    /// The thread that updates the gate calls the observer, after the update is in force. The observer may see updates
    /// of several threads out of order. Compare their versions to find the order.
    ///
    /// # Panics
    ///
    /// Never. If an observer panics, the panic is caught, and the other observers are still called.
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
        self.shared.observers.add(Arc::new(observer));
    }
}

/// Prints the version and the number of flags, but no user and no part of the document.
impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.shared.current.get();
        f.debug_struct("Gate")
            .field("version", &snapshot.version())
            .field("flags", &snapshot.flags().len())
            .field("driven", &self.shared.is_driven)
            .finish_non_exhaustive()
    }
}
