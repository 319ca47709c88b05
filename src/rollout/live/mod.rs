//! A running rollout: its store, its state, and the gate that it drives.
//!
//! There are two locks. `live` guards the state in force. It is held for microseconds and never during input or output,
//! so a rollback and the status never wait for a disk. `backend` guards the store and is held during writes. A thread
//! that needs both takes `backend` first.

mod act;
mod actor;
mod all;
mod backend;
mod call_recorder;
mod clock_record;
mod controller;
mod drain;
mod failures;
mod following;
mod intents;
mod journal_state;
#[cfg(feature = "guard")]
mod judge;
mod leading;
mod live_state;
mod notify;
mod open;
mod options;
mod pending;
mod read;
mod save_intents;
mod status;
mod tick;
mod update;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::SystemTime;

pub use actor::Actor;
pub use controller::Controller;
#[cfg(feature = "guard")]
pub use judge::JudgeReport;
pub use options::RolloutOptions;
pub use read::{MetricRead, ReadReport};
pub use status::{FlagReport, Outcome, PastState, RollbackReport, RolloutStatus, TickReport};

use crate::clock::Clock;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::plan::{Document, Plan};
use crate::rollout::{FlagChange, Record, RolloutError, Sink, Store};
use backend::{Backend, truncate_moment};
use call_recorder::CallRecorder;
use intents::Intents;
use live_state::LiveState;

/// The rollout of all flags of one plan: who decided what, and what comes next.
///
/// A clone is a handle to the same rollout.
///
/// # Concurrency
///
/// Any thread may act. A promotion is durable in the store before any reader of the [gate](Rollout::gate) sees it. A
/// rollback takes effect first and is recorded afterwards. It never waits for the store, and wins against a concurrent
/// promotion.
///
/// # Example
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::Rollout;
/// use stagegate::store::Memory;
///
/// let document = r#"
///     schema = 1
///     [flags.search]
///     stages = [{ name = "pilot", percent = 10, min_duration = "3d" }, { name = "ga", percent = 100 }]
/// "#;
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana")?;
/// rollout.by("ana").promote("search")?;
///
/// let refused = rollout.by("ana").promote("search").unwrap_err();
/// assert!(refused.refusals()[0].has("min_duration"));
/// clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
/// rollout.by("ana").promote("search")?;
/// assert!(rollout.gate().is_enabled("user-42", "search"));
///
/// rollout.by("ben").roll_back("search", "errors on checkout")?;
/// assert!(!rollout.gate().is_enabled("user-42", "search"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Rollout {
    /// Dropped before `shared`, because it waits for a thread that uses `shared`.
    _handles: Arc<Handles>,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    clock: Box<dyn Clock>,
    label: String,
    /// Notices about the file of intents, from its opening.
    notices: Vec<String>,
    live: Mutex<LiveState>,
    backend: Mutex<Backend>,
    /// Taken after every lock except `live`.
    intents: Option<Mutex<Intents>>,
    sinks: RwLock<Vec<Arc<dyn Sink>>>,
}

/// Shared by all handles of a rollout, and dropped with the last one.
struct Handles(Arc<CallRecorder>);

/// Waits for the recording thread, so that the store is free when the last handle is gone.
impl Drop for Handles {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl Rollout {
    fn assemble(
        backend: Backend,
        clock: Box<dyn Clock>,
        mut live: LiveState,
        intents: Option<Intents>,
        notices: Vec<String>,
    ) -> Rollout {
        live.note_time(&truncate_moment(&clock.now()));
        let gate = Gate::for_rollout(&live.state.plan, |key| live.effective_stage(key));
        let (label, intents) = (backend.store.label(), intents.map(Mutex::new));
        let (live, backend, sinks) = (Mutex::new(live), Mutex::new(backend), RwLock::default());
        let shared = Shared { gate, clock, label, notices, live, backend, intents, sinks };
        let shared = Arc::new(shared);
        // Removes the rollbacks that the journal has by now from the file.
        shared.save_intents();
        // The gate may outlive the rollout, so its callback holds a weak reference. A strong one would be a cycle.
        let (weak, recorder) = (Arc::downgrade(&shared), Arc::new(CallRecorder::default()));
        let handles = Arc::new(Handles(Arc::clone(&recorder)));
        shared.gate.wake_on_calls(move || Shared::record_calls_in_background(&weak, &recorder));
        Rollout { _handles: handles, shared }
    }

    /// Starts a rollout in an empty store. Each flag starts in the stage that the document gives it.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the document is invalid, the store already has a rollout, or the store fails.
    pub fn start(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
        document: impl Into<Document>,
        by: &str,
    ) -> Result<Rollout, RolloutError> {
        Rollout::start_with(store, clock, document, by, &RolloutOptions::new())
    }

    /// Starts a rollout in an empty store, with options.
    ///
    /// # Errors
    ///
    /// As [`start`](Rollout::start).
    pub fn start_with(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
        document: impl Into<Document>,
        by: &str,
        options: &RolloutOptions,
    ) -> Result<Rollout, RolloutError> {
        open::start(Box::new(store), Box::new(clock), document.into(), by, options)
    }

    /// Opens the rollout of a store, exactly where it was left. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store has no rollout, its journal is damaged, or the store fails.
    pub fn open(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
    ) -> Result<Rollout, RolloutError> {
        Rollout::open_with(store, clock, &RolloutOptions::new())
    }

    /// Opens the rollout of a store, with options, such as a file that [keeps](RolloutOptions::keep_intents_in)
    /// unrecorded rollbacks.
    ///
    /// # Errors
    ///
    /// As [`open`](Rollout::open). A file of intents that cannot be used is not an error. A
    /// [notice](RolloutStatus::notices) says so.
    pub fn open_with(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
        options: &RolloutOptions,
    ) -> Result<Rollout, RolloutError> {
        open::open(Box::new(store), Box::new(clock), options)
    }

    /// Returns the gate that the rollout drives. Pass it to the code that checks flags.
    ///
    /// Only the rollout moves its flags up and gives the gate documents. The gate's own calls can still move a flag
    /// down at once, without waiting for a disk. A thread records these calls. Dropping the last handle of the rollout
    /// waits for that thread, for two seconds at most.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Returns the plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.shared.lock_live().state.plan)
    }

    /// Returns an actor, whose name goes into the records: `rollout.by("ana").promote("search")`.
    #[must_use]
    pub fn by<'r>(&'r self, who: &'r str) -> Actor<'r> {
        Actor { rollout: self, who }
    }

    /// Returns the state of every flag, its next stage and the unmet conditions. Never waits for the store.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        self.shared.status()
    }

    /// Returns the status of one flag.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag does not exist.
    pub fn report(&self, flag: &str) -> Result<FlagReport, RolloutError> {
        self.shared.report(&self.shared.key_of(flag))
    }

    /// Returns the stage with this name from the flag's plan, or `off`.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag or the stage does not exist.
    pub fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.shared.stage(&self.shared.key_of(flag), name)
    }

    /// Returns what another version of the document would change, without putting it in force.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the document is invalid, or would change a flag's users in a way that updates may not.
    pub fn preview(&self, document: impl Into<Document>) -> Result<Vec<FlagChange>, RolloutError> {
        self.shared.preview(document.into())
    }

    /// Does all due work once: automatic promotions, rollbacks for missing data, expiries, escalations and messages.
    /// Moves each flag one stage up at most, and records rollbacks that could not be recorded before.
    #[expect(
        clippy::must_use_candidate,
        reason = "a tick acts even if the caller ignores the report"
    )]
    pub fn tick(&self) -> TickReport {
        self.shared.tick(&|| true)
    }

    /// Returns whether the journal began in the boot with this name. Some clocks name their boots, such as the one for
    /// rehearsals.
    #[must_use]
    pub fn started_in_boot(&self, name: &str) -> bool {
        self.shared.lock_live().state.first.1.as_str() == name
    }

    /// Returns the version of the journal's format in which records are written: the version of the last segment. See
    /// `docs/journal.md`.
    #[must_use]
    pub fn format(&self) -> u32 {
        self.shared.lock_live().state.format
    }

    /// Returns the number of the first record that the store has: 1, unless earlier segments were moved to an archive.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store cannot be read.
    pub fn first_record(&self) -> Result<u64, RolloutError> {
        self.shared.first_record()
    }

    /// Returns the journal's records, from this number on. A journal of years has millions of them: see
    /// [`for_each_record`](Rollout::for_each_record).
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store cannot be read, the journal is damaged, or the record was moved to an archive.
    pub fn records(&self, from: u64) -> Result<Vec<Record>, RolloutError> {
        self.shared.records(from)
    }

    /// Calls a function for each of the journal's records, from this number on, until it returns
    /// [`ControlFlow::Break`]. Holds a few megabytes of the journal in memory at a time.
    ///
    /// # Errors
    ///
    /// As [`records`](Rollout::records). The function was then called for the records before.
    ///
    /// # Concurrency
    ///
    /// Other threads can act meanwhile, and the function may act, too. It then also gets the new records.
    ///
    /// # Example
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use stagegate::clock::SystemClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
    /// let rollout = Rollout::start(Memory::new(), SystemClock::new(), document, "ana")?;
    /// rollout.by("ben").hold("a", "wait for legal")?;
    ///
    /// let mut by_ben = 0;
    /// rollout.for_each_record(1, |record| {
    ///     by_ben += u32::from(&*record.by == "ben");
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(by_ben, 1);
    /// # Ok::<(), stagegate::rollout::RolloutError>(())
    /// ```
    pub fn for_each_record(
        &self,
        from: u64,
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), RolloutError> {
        self.shared.for_each_record(from, &mut each)
    }

    /// Returns the state in force now, in the form of [`at`](Rollout::at).
    ///
    /// # Errors
    ///
    /// As [`at`](Rollout::at).
    pub fn now(&self) -> Result<PastState, RolloutError> {
        self.shared.last()
    }

    /// Returns the state in force at a moment of the past, after the last record up to then.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store cannot be read, or the rollout had not started by then.
    pub fn at(&self, moment: SystemTime) -> Result<PastState, RolloutError> {
        self.shared.at(moment)
    }
}

impl Shared {
    /// Returns the key of the flag that checks find by this name. For an unknown name, the name.
    fn key_of(&self, name: &str) -> Box<str> {
        self.lock_live().key_of(name).into()
    }

    /// No code panics while it holds the lock, so the content is valid even if the lock is poisoned.
    fn lock_live(&self) -> MutexGuard<'_, LiveState> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store may panic during a write. If the record was written nevertheless, the next conflict reads it.
    fn lock_backend(&self) -> MutexGuard<'_, Backend> {
        self.backend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_lock_backend(&self) -> Option<MutexGuard<'_, Backend>> {
        match self.backend.try_lock() {
            Ok(backend) => Some(backend),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl fmt::Debug for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rollout").field("store", &self.shared.label).finish_non_exhaustive()
    }
}
