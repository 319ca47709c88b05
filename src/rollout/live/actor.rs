//! Actions on flags, in the name of a person or program.

use std::time::SystemTime;

use super::{Outcome, RollbackReport, Rollout};
use crate::eval::StageName;
use crate::plan::Document;
use crate::plan::model::Quantity;
use crate::rollout::{Event, FlagChange, Reading, Record, RolloutError};

/// A rollout and the name of the person or program that acts. The name goes into the records.
///
/// Every method returns when its action is durable. The exception is a rollback: it is in force when the method
/// returns. If it could not be recorded yet, [`Outcome::unrecorded`] says why.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::{Rollout, Progress};
/// use stagegate::store::Memory;
///
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
/// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
/// let ana = rollout.by("ana");
///
/// assert_eq!(ana.hold("a", "wait for legal")?.state.progress(), Progress::Held);
/// assert!(ana.promote("a").unwrap_err().refusals()[0].has("held"));
/// ana.resume("a", None)?;
/// ana.promote("a")?;
///
/// assert_eq!(ana.roll_back("a", "slow")?.state.progress(), Progress::RolledBack);
/// ana.step("a", Some("nobody has it"))?;
/// ana.step("a", Some("told support"))?;
/// assert_eq!(ana.close("a", "an index was missing")?.state.progress(), Progress::Off);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Actor<'r> {
    pub(super) rollout: &'r Rollout,
    pub(super) who: &'r str,
}

impl Actor<'_> {
    /// Applies an event to a flag. Every other method is a shorthand for one event.
    ///
    /// `flag` is the flag's key, or a further name that checks ask by (`asked_as`). Records and outcomes have the key.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag does not exist, a condition is not met, or the store fails. Then nothing has
    /// changed.
    pub fn act(&self, flag: &str, event: &Event) -> Result<Outcome, RolloutError> {
        let key = self.rollout.shared.key_of(flag);
        self.rollout.shared.act(self.who, &key, event)
    }

    /// Moves the flag one stage up if every condition holds. From the last stage, completes the rollout.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] with every unmet condition; otherwise as [`act`](Actor::act).
    pub fn promote(&self, flag: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Promote)
    }

    /// Moves the flag to a stage if it is the next one and every condition holds. Does nothing if the flag is already
    /// there, so a call can be repeated safely.
    ///
    /// # Errors
    ///
    /// As [`promote`](Actor::promote). Of kind `moved` if the stage is not the next one.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"few\", percent = 1 }, { name = \"all\", percent = 100 }]";
    /// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
    /// let ana = rollout.by("ana");
    /// assert_eq!(ana.promote_to("a", "few")?.records.len(), 1);
    /// assert_eq!(ana.promote_to("a", "few")?.records.len(), 0);
    /// ana.promote_to("a", "all")?;
    /// assert!(ana.promote_to("a", "few").unwrap_err().refusals()[0].has("moved"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn promote_to(&self, flag: &str, to: &str) -> Result<Outcome, RolloutError> {
        let to = self.stage(flag, to)?;
        self.act(flag, &Event::PromoteTo { to })
    }

    /// Moves the flag one stage up and overrides the plan's unmet conditions.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the reason is blank, or if the flag is held, complete, or has an open incident; otherwise as
    /// [`act`](Actor::act).
    pub fn force(&self, flag: &str, reason: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Force { to: None, reason: reason.to_owned() })
    }

    /// Moves the flag up to a stage, and skips the stages in between.
    ///
    /// # Errors
    ///
    /// As [`force`](Actor::force), and if the flag has no such stage above its current one.
    pub fn force_to(&self, flag: &str, to: &str, reason: &str) -> Result<Outcome, RolloutError> {
        let to = Some(self.stage(flag, to)?);
        self.act(flag, &Event::Force { to, reason: reason.to_owned() })
    }

    /// Blocks promotion of the flag until it is resumed.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag is already held, complete or rolled back; otherwise as [`act`](Actor::act).
    pub fn hold(&self, flag: &str, why: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Hold { why: why.to_owned() })
    }

    /// Ends a hold.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag is not held; otherwise as [`act`](Actor::act).
    pub fn resume(&self, flag: &str, why: Option<&str>) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Resume { why: why.map(str::to_owned) })
    }

    /// Rolls the flag back to its plan's rollback target.
    ///
    /// The rollback is in force when this returns, recorded or not, and wins against every write in progress. If the
    /// flag is off in this process, the store is read first: the flag may be on in another process.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag does not exist.
    pub fn roll_back(&self, flag: &str, reason: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::RollBack { to: None, reason: reason.to_owned() })
    }

    /// Rolls the flag back to a lower stage.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the flag does not exist, or has no such stage below its current one.
    pub fn roll_back_to(
        &self,
        flag: &str,
        to: &str,
        reason: &str,
    ) -> Result<Outcome, RolloutError> {
        let to = Some(self.stage(flag, to)?);
        self.act(flag, &Event::RollBack { to, reason: reason.to_owned() })
    }

    /// Rolls every flag that is in a stage back to its plan's rollback target, as [`roll_back`](Actor::roll_back) does.
    ///
    /// Readers of the gate see all flags before the rollback, or all after it. The journal gets one record, and each
    /// flag an incident of its own. The rollback is in force when this returns, recorded or not, and wins against every
    /// write in progress. Flags that are off in this process may be on in another one. They go off.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let document = "schema = 1\n[flags.a]\nstage = \"ga\"\n[flags.b]\nstage = \"pilot\"\n[flags.c]";
    /// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
    /// let report = rollout.by("ana").roll_back_all("the database is down");
    /// assert_eq!(
    ///     report.records[0].to_string(),
    ///     "#2 1970-01-01T00:00:00Z ana: rolled back 2 flags (the database is down): a ga -> off; b pilot -> off",
    /// );
    /// assert!(!rollout.gate().is_enabled("user-42", "a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(
        clippy::must_use_candidate,
        reason = "it rolls back even if the caller ignores the report"
    )]
    pub fn roll_back_all(&self, reason: &str) -> RollbackReport {
        self.rollout.shared.roll_back_all(self.who, reason)
    }

    /// Holds all flags: none is promoted until the end, or until all are [resumed](Actor::resume_all). This includes the
    /// flags that an update adds meanwhile. Rollbacks work as ever. Returns the record.
    ///
    /// The end goes by the wall clock, as the freezes of a plan's calendar do. A freeze with an end ends by itself. To
    /// extend it, hold all flags again until a later end.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the reason is blank, the end is in the past, all flags are already held and not until an
    /// earlier end, or the store fails.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
    /// let rollout = Rollout::start(Memory::new(), clock.clone(), document, "ana")?;
    /// let end = SystemTime::UNIX_EPOCH + 3 * day;
    /// rollout.by("ana").hold_all("holidays", Some(end))?;
    /// assert!(rollout.by("ben").promote("a").unwrap_err().refusals()[0].has("frozen"));
    /// assert_eq!(rollout.status().freeze.unwrap().until, Some(end));
    /// clock.advance(3 * day);
    /// rollout.by("ben").promote("a")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_all(&self, why: &str, until: Option<SystemTime>) -> Result<Record, RolloutError> {
        self.rollout.shared.hold_all(self.who, why, until)
    }

    /// Ends the hold of all flags before its time. The holds of single flags stay. Returns the record.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if there is no hold of all flags, or the store fails.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
    /// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
    /// rollout.by("ana").hold_all("audit", None)?;
    /// rollout.by("ana").resume_all(Some("audit passed"))?;
    /// rollout.by("ben").promote("a")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn resume_all(&self, why: Option<&str>) -> Result<Record, RolloutError> {
        self.rollout.shared.resume_all(self.who, why)
    }

    /// Signs a criterion or a checklist item of the current stage, or an approval of the next promotion.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the stage has no such item, or the person has given another approval of the same promotion;
    /// otherwise as [`act`](Actor::act).
    pub fn sign(
        &self,
        flag: &str,
        item: &str,
        evidence: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        let evidence = evidence.map(str::to_owned);
        self.act(flag, &Event::Sign { item: item.to_owned(), evidence })
    }

    /// Withdraws a sign-off.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the item is not signed; otherwise as [`act`](Actor::act).
    pub fn unsign(
        &self,
        flag: &str,
        item: &str,
        why: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Unsign { item: item.to_owned(), why: why.map(str::to_owned) })
    }

    /// Reports an incident. Rolls the flag back if a trigger of the plan with `action = "rollback"` names the kind.
    ///
    /// `kind` is `security`, `data_integrity`, `critical_bug`, or a kind that a trigger of the flag names.
    ///
    /// # Errors
    ///
    /// As [`act`](Actor::act). Any other kind is refused, and the error lists the known ones.
    pub fn report(
        &self,
        flag: &str,
        kind: &str,
        note: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Report { kind: kind.to_owned(), note: note.map(str::to_owned) })
    }

    /// Marks the current phase of the incident as done. The phase `verify` is checked first.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if no incident is open, or the check fails; otherwise as [`act`](Actor::act).
    pub fn step(&self, flag: &str, note: Option<&str>) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Step { note: note.map(str::to_owned), overriding: None })
    }

    /// Closes the incident.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if no incident is open, its phases are not done, or the note is blank; otherwise as
    /// [`act`](Actor::act).
    pub fn close(&self, flag: &str, note: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Close { note: note.to_owned() })
    }

    /// Reports a reading of a metric, and fires the triggers whose limits it exceeds. `None` means that there is no
    /// data.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if neither the stage nor a trigger names the metric, or the value has another unit; otherwise
    /// as [`act`](Actor::act).
    pub fn measure(
        &self,
        flag: &str,
        metric: &str,
        value: Option<Quantity>,
        samples: Option<u64>,
    ) -> Result<Outcome, RolloutError> {
        let reading = value.map_or(Reading::NoData, Reading::Value);
        let metric = metric.to_owned();
        self.act(flag, &Event::Measure { metric, reading, control: None, samples })
    }

    /// Puts another version of the document in force. Every flag stays in its stage. Returns the changes, flag by flag.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the document is invalid, or would change a flag's users in a way that updates may not.
    pub fn update(&self, document: impl Into<Document>) -> Result<Vec<FlagChange>, RolloutError> {
        self.rollout.update(self.who, document.into())
    }

    /// Begins another segment of the journal, so that the records so far can be moved to an archive. Returns its first
    /// record, which holds the state. A rollout also does this by itself when a segment is
    /// [long enough](super::RolloutOptions::segment_bytes).
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store fails.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::{Rollout, Store};
    /// use stagegate::store::Memory;
    ///
    /// let (mut store, clock) = (Memory::new(), ManualClock::at(SystemTime::UNIX_EPOCH));
    /// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
    /// let rollout = Rollout::start(store.clone(), clock.clone(), document, "ana")?;
    /// rollout.by("ana").roll_back("a", "slow")?;
    ///
    /// let first = rollout.by("ana").begin_segment()?.seq;
    /// store.remove_segments_before(first)?;
    /// let again = Rollout::open(store, clock)?;
    /// assert_eq!(again.status().flags[0].state.stage, "off");
    /// assert_eq!(again.first_record()?, first);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_segment(&self) -> Result<Record, RolloutError> {
        self.rollout.shared.begin_segment(self.who)
    }

    /// Begins a segment in the newest version of the journal's [format](super::Rollout::format), unless the last segment
    /// has that version. Returns the record. From then on, programs that do not know the version refuse the store.
    ///
    /// Every program writes in the version of the last segment. So programs of several versions work on one store, until
    /// this call.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store fails.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::clock::SystemClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::Memory;
    ///
    /// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
    /// let rollout = Rollout::start(Memory::new(), SystemClock::new(), document, "ana")?;
    /// // A new store has the newest version.
    /// assert_eq!(rollout.format(), 2);
    /// assert_eq!(rollout.by("ana").upgrade()?, None);
    /// # Ok::<(), stagegate::rollout::RolloutError>(())
    /// ```
    pub fn upgrade(&self) -> Result<Option<Record>, RolloutError> {
        self.rollout.shared.upgrade(self.who)
    }

    /// Records that this store was restored from another one, which had so many records.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] if the store fails.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use stagegate::clock::ManualClock;
    /// use stagegate::rollout::Rollout;
    /// use stagegate::store::{self, Memory};
    ///
    /// let (mut shop, mut restored) = (Memory::new(), Memory::new());
    /// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
    /// let document = "schema = 1\n[flags.a]\nstage = \"pilot\"";
    /// let rollout = Rollout::start(shop.clone(), clock.clone(), document, "ana")?;
    /// let (_, records) = store::copy(&mut shop, &mut restored, None)?;
    /// let again = Rollout::open(restored, clock)?;
    /// let record = again.by("ana").note_restored("the backup of Monday", records)?;
    /// assert_eq!(record.fact.to_string(), "restored from the backup of Monday, which had 1 record");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn note_restored(&self, from: &str, records: u64) -> Result<Record, RolloutError> {
        self.rollout.shared.note_restored(self.who, from, records)
    }

    fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.rollout.stage(flag, name)
    }
}
