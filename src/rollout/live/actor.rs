//! Who acts.

use super::{Outcome, Rollout};
use crate::eval::StageName;
use crate::plan::Document;
use crate::plan::model::Quantity;
use crate::rollout::{Changed, Event, Reading, RolloutError};

/// A rollout in the hands of somebody, whose name the records carry.
///
/// Every method returns once what it did is durable, but for what takes a flag back: that is in force
/// when it returns, and [`Outcome::unrecorded`] says why if it could not be recorded yet.
///
/// # Example
///
/// ```
/// use std::time::SystemTime;
/// use stagegate::clock::ManualClock;
/// use stagegate::rollout::{Rollout, Standing};
/// use stagegate::store::Memory;
///
/// let clock = ManualClock::at(SystemTime::UNIX_EPOCH);
/// let document = "schema = 1\n[flags.a]\nstages = [{ name = \"all\", percent = 100 }]";
/// let rollout = Rollout::start(Memory::new(), clock, document, "ana")?;
/// let ana = rollout.by("ana");
///
/// assert_eq!(ana.hold("a", "wait for legal")?.state.standing(), Standing::Held);
/// assert!(ana.promote("a").unwrap_err().refusals()[0].has("held"));
/// ana.resume("a", None)?;
/// ana.promote("a")?;
///
/// assert_eq!(ana.roll_back("a", "slow")?.state.standing(), Standing::RolledBack);
/// ana.step("a", Some("nobody has it"))?;
/// ana.step("a", Some("told support"))?;
/// assert_eq!(ana.close("a", "an index was missing")?.state.standing(), Standing::Off);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Actor<'r> {
    pub(super) rollout: &'r Rollout,
    pub(super) who: &'r str,
}

impl Actor<'_> {
    /// Whatever the event is: every other method is short for one.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is no such flag, a condition is not met, or it cannot be
    /// recorded. Then nothing has changed.
    pub fn act(&self, flag: &str, event: &Event) -> Result<Outcome, RolloutError> {
        self.rollout.shared.act(self.who, flag, event)
    }

    /// Moves the flag one stage up, or from the last one completes it, if every condition holds.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] with every condition that does not hold; as [`act`](Actor::act).
    pub fn promote(&self, flag: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Promote)
    }

    /// Moves the flag to a stage if that is the next one and every condition holds. Where the flag is there already, nothing
    /// happens, so a call may be repeated: it never goes one stage further.
    ///
    /// # Errors
    ///
    /// As [`promote`](Actor::promote); of kind `moved` where the stage is not the next one.
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

    /// Moves the flag one stage up, whatever is unmet of what the plan asks.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the reason is blank, the flag is held, complete, or has an open
    /// incident; as [`act`](Actor::act).
    pub fn force(&self, flag: &str, reason: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Force { to: None, reason: reason.to_owned() })
    }

    /// Moves the flag up to a stage, past others.
    ///
    /// # Errors
    ///
    /// As [`force`](Actor::force), and when there is no such stage above.
    pub fn force_to(&self, flag: &str, to: &str, reason: &str) -> Result<Outcome, RolloutError> {
        let to = Some(self.stage(flag, to)?);
        self.act(flag, &Event::Force { to, reason: reason.to_owned() })
    }

    /// Bars promotion until the flag is resumed.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when it is held already, complete or rolled back; as [`act`](Actor::act).
    pub fn hold(&self, flag: &str, why: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Hold { why: why.to_owned() })
    }

    /// Ends a hold.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when it is not held; as [`act`](Actor::act).
    pub fn resume(&self, flag: &str, why: Option<&str>) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Resume { why: why.map(str::to_owned) })
    }

    /// Takes the flag back to where its plan says. In force when this returns, recorded or not; it wins against every write
    /// in progress. Where the flag is off, the store is read before there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is no such flag.
    pub fn roll_back(&self, flag: &str, reason: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::RollBack { to: None, reason: reason.to_owned() })
    }

    /// The same to a certain stage below.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when there is no such flag, or no such stage below.
    pub fn roll_back_to(
        &self,
        flag: &str,
        to: &str,
        reason: &str,
    ) -> Result<Outcome, RolloutError> {
        let to = Some(self.stage(flag, to)?);
        self.act(flag, &Event::RollBack { to, reason: reason.to_owned() })
    }

    /// Signs a criterion or an item of the checklist of the present stage.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the stage has no such item; as [`act`](Actor::act).
    pub fn sign(
        &self,
        flag: &str,
        item: &str,
        evidence: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        let evidence = evidence.map(str::to_owned);
        self.act(flag, &Event::Sign { item: item.to_owned(), evidence })
    }

    /// Takes a signature back.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when the item is not signed; as [`act`](Actor::act).
    pub fn unsign(
        &self,
        flag: &str,
        item: &str,
        why: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Unsign { item: item.to_owned(), why: why.map(str::to_owned) })
    }

    /// Reports an incident. Takes the flag back where the plan has a trigger for that.
    ///
    /// `kind` is `security`, `data_integrity`, `critical_bug`, or one that a trigger of the flag names.
    ///
    /// # Errors
    ///
    /// As [`act`](Actor::act). Another kind is refused, and the error lists those that are known.
    pub fn report(
        &self,
        flag: &str,
        kind: &str,
        note: Option<&str>,
    ) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Report { kind: kind.to_owned(), note: note.map(str::to_owned) })
    }

    /// Says that the present phase of the incident is done. That of verifying is checked.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when none is open, or the check fails; as [`act`](Actor::act).
    pub fn step(&self, flag: &str, note: Option<&str>) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Step { note: note.map(str::to_owned), overriding: None })
    }

    /// Closes the incident.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when none is open, its phases are not done, or the note is blank; as
    /// [`act`](Actor::act).
    pub fn close(&self, flag: &str, note: &str) -> Result<Outcome, RolloutError> {
        self.act(flag, &Event::Close { note: note.to_owned() })
    }

    /// Says what was read of a metric; `None`: there are no data. Fires the triggers that it is
    /// beyond.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when neither the stage nor a trigger names the metric, or the value is of
    /// another unit; as [`act`](Actor::act).
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

    /// Puts another document in force; every flag stays in its stage. Returns what that changes.
    ///
    /// # Errors
    ///
    /// [`RolloutError`] when it is no plan, or a flag cannot stay where it is.
    pub fn update(&self, document: impl Into<Document>) -> Result<Vec<Changed>, RolloutError> {
        self.rollout.update(self.who, document.into())
    }

    fn stage(&self, flag: &str, name: &str) -> Result<StageName, RolloutError> {
        self.rollout.shared.stage(flag, name)
    }
}
