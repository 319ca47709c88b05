//! The rollout of a process: its store, its state, the gate it drives.
//!
//! Two locks. `front` is what is in force: held for microseconds, never while something is written,
//! so that a roll-back and the status wait for no disk. `back` is the store, held while it writes.
//! Who needs both takes `back` first.

mod act;
mod actor;
mod back;
mod controller;
mod drain;
mod failure;
mod following;
mod front;
#[cfg(feature = "guard")]
mod guarded;
mod intents;
mod keeping;
mod leading;
mod open;
mod options;
mod pending;
mod read;
mod soon;
mod state;
mod status;
mod telling;
mod tick;
mod update;
mod witness;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::SystemTime;

pub use actor::Actor;
pub use controller::Controller;
#[cfg(feature = "guard")]
pub use guarded::Judged;
pub use options::RolloutOptions;
pub use read::{MetricRead, ReadReport};
pub use status::{FlagReport, Outcome, PastState, RolloutStatus, TickReport};

use crate::clock::Clock;
use crate::eval::StageName;
use crate::gate::Gate;
use crate::plan::{Document, Plan};
use crate::rollout::{Changed, Record, RolloutError, Sink, Store};
use back::{Back, to_millis};
use front::Front;
use intents::Intents;
use soon::Soon;

/// The rollout of every flag of one plan: what was decided, by whom, and what is next.
///
/// A clone is the same rollout.
///
/// # Concurrency
///
/// Any thread may act. What goes up is durable in the store before any reader of the
/// [gate](Rollout::gate) sees it; what goes back is seen first and recorded after, and never waits
/// for the store before it takes effect. Of a promotion and a rollback at the same time the rollback wins.
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
    /// Before what it waits for is let go of.
    _handles: Arc<Handles>,
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    clock: Box<dyn Clock>,
    label: String,
    notices: Vec<String>,
    front: Mutex<Front>,
    back: Mutex<Back>,
    /// Taken last of all locks but `front`.
    intents: Option<Mutex<Intents>>,
    sinks: RwLock<Vec<Arc<dyn Sink>>>,
}

/// What all handles of a rollout have in common: with the last one it goes.
struct Handles(Arc<Soon>);

/// So that the store is free again when the last handle is gone.
impl Drop for Handles {
    fn drop(&mut self) {
        self.0.linger();
    }
}

impl Rollout {
    fn assemble(
        back: Back,
        clock: Box<dyn Clock>,
        mut front: Front,
        intents: Option<Intents>,
        notices: Vec<String>,
    ) -> Rollout {
        front.note_time(&to_millis(&clock.now()));
        let gate = Gate::driven(&front.state.plan, |key| front.served(key));
        let (label, intents) = (back.store.label(), intents.map(Mutex::new));
        let (front, back, sinks) = (Mutex::new(front), Mutex::new(back), RwLock::default());
        let shared = Shared { gate, clock, label, notices, front, back, intents, sinks };
        let shared = Arc::new(shared);
        // What the journal has by now is taken out of the file.
        shared.keep_intents();
        // The gate may outlive the rollout, which has it: no circle.
        let (weak, soon) = (Arc::downgrade(&shared), Arc::new(Soon::default()));
        let handles = Arc::new(Handles(Arc::clone(&soon)));
        shared.gate.on_call(move || Shared::record_soon(&weak, &soon));
        Rollout { _handles: handles, shared }
    }

    /// Begins a rollout in an empty store: each flag is where the document puts it.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the document is no plan, there is a rollout already, or the store
    /// fails.
    pub fn start(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
        document: impl Into<Document>,
        by: &str,
    ) -> Result<Rollout, RolloutError> {
        Rollout::start_with(store, clock, document, by, &RolloutOptions::new())
    }

    /// Begins a rollout in an empty store, with options.
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

    /// Goes on with the rollout of a store, exactly where it was left. Writes nothing.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is none, its journal is damaged, or the store fails.
    pub fn open(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
    ) -> Result<Rollout, RolloutError> {
        Rollout::open_with(store, clock, &RolloutOptions::new())
    }

    /// Goes on with the rollout of a store, with options: say where rollbacks are
    /// [kept](RolloutOptions::keep_intents_in) that the store does not take.
    ///
    /// # Errors
    ///
    /// As [`open`](Rollout::open). A file of intents that cannot be used is no error: a
    /// [notice](RolloutStatus::notices) says so.
    pub fn open_with(
        store: impl Store + 'static,
        clock: impl Clock + 'static,
        options: &RolloutOptions,
    ) -> Result<Rollout, RolloutError> {
        open::open(Box::new(store), Box::new(clock), options)
    }

    /// The gate that the rollout drives: give it to whoever asks.
    ///
    /// Only the rollout takes its flags up and gives it documents. Down, the gate's own calls take a
    /// flag as ever, and wait for no disk: a thread records what they took down, at once. Dropping the last handle of
    /// the rollout waits for that thread, for two seconds at most.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.shared.front().state.plan)
    }

    /// Acts as somebody, whose name the records carry: `rollout.by("ana").promote("search")`.
    #[must_use]
    pub fn by<'r>(&'r self, who: &'r str) -> Actor<'r> {
        Actor { rollout: self, who }
    }

    /// What stands where, what is next and what is in the way. Never waits for the store.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        self.shared.status()
    }

    /// One flag as it stands.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is no such flag.
    pub fn report(&self, flag: &str) -> Result<FlagReport, RolloutError> {
        self.shared.report(flag)
    }

    /// The stage of a flag's plan that is called so, or `off`.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is no such flag or stage.
    pub fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.shared.stage(flag, name)
    }

    /// What another document would change, without putting it in force.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when it is no plan, or a flag cannot stay where it is.
    pub fn preview(&self, document: impl Into<Document>) -> Result<Vec<Changed>, RolloutError> {
        self.shared.preview(document.into())
    }

    /// Does what is due, for every flag: at most one stage up each, and nothing that waits for a
    /// person. Records roll-backs that could not be recorded before.
    #[expect(clippy::must_use_candidate, reason = "what it does is done, looked at or not")]
    pub fn tick(&self) -> TickReport {
        self.shared.tick(&|| true)
    }

    /// Whether the journal was begun in that boot: of a clock that names its boots, such as one for
    /// rehearsals.
    #[must_use]
    pub fn is_of_boot(&self, name: &str) -> bool {
        self.shared.front().state.began.as_ref().is_some_and(|boot| boot.as_str() == name)
    }

    /// The records of the journal from this number on.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the store cannot be read, or the journal is damaged.
    pub fn records(&self, from: u64) -> Result<Vec<Record>, RolloutError> {
        self.shared.records(from)
    }

    /// What is in force, as [`at`](Rollout::at) says it of the past.
    ///
    /// # Errors
    ///
    /// As [`at`](Rollout::at).
    pub fn now(&self) -> Result<PastState, RolloutError> {
        self.shared.last()
    }

    /// What was in force at a moment: after the last record of that time or before.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the store cannot be read, or the rollout had not begun.
    pub fn at(&self, moment: SystemTime) -> Result<PastState, RolloutError> {
        self.shared.at(moment)
    }
}

impl Shared {
    /// Nothing panics while the lock is held, so a poisoned one has sound content.
    fn front(&self) -> MutexGuard<'_, Front> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store may panic: what it has done is then read back with the next conflict, or not at all.
    fn back(&self) -> MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_back(&self) -> Option<MutexGuard<'_, Back>> {
        match self.back.try_lock() {
            Ok(back) => Some(back),
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
