//! Changes to what a gate has in force.

use super::error::Kind;
use super::observer::Change;
use super::{Gate, Shared, UpdateError, transition};
use crate::eval::{Snapshot, StageName};
use crate::plan::{Document, Plan};

/// Changing what is in force. Each of these is told to the [observers](Gate::observe).
impl Gate {
    /// Puts another document in force: each flag goes where the document has it.
    ///
    /// Without a new `skip_reason` beside its `stage`, a flag lets in only users whom the plan in force admits at the flag's
    /// current stage or, if the document moves it, its next stage, whatever the document edits. At most `limits.per_update` of its users may lose it at
    /// once, unless the flag moves to a lower stage. A flag that a call moved stays where it is until a document has another
    /// `stage` for it, so a rolled-back flag is not brought back by an edit of something else. A new flag starts where its
    /// document says; one that was removed goes on from where it was. The chapter on [plans](crate::_docs::plans) has the
    /// exact rules.
    ///
    /// Returns the new version.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when the document is no plan, needs a reason and has none, or a rollout drives the gate;
    /// nothing has changed then.
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
        if self.shared.driven {
            return Err(self.shared.ledger.refuse(Kind::DrivenGate.into()));
        }
        let plan = match Plan::parse(document) {
            Ok(plan) => plan,
            Err(error) => return Err(self.shared.ledger.refuse(error.into())),
        };
        self.apply(|snapshot| transition::to_plan(snapshot, &plan))
    }

    /// Moves a flag to a stage of its plan: any number down, or one up. Returns the new version,
    /// also when the flag is there already.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when there is no such flag or stage, a stage would be skipped, or a rollout
    /// drives the gate and the stage is above the flag's.
    ///
    /// # Complexity
    ///
    /// Copies the list of flags; questions are not held up.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::Gate;
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"expanded\"")?;
    /// assert_eq!(gate.set_stage("a", "ga")?, 2);
    /// assert!(gate.set_stage("a", "glad").unwrap_err().is_not_found());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_stage(&self, flag: &str, stage: &str) -> Result<u64, UpdateError> {
        self.call(flag, stage, None)
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
        self.call(flag, stage, Some(reason))
    }

    /// Takes a flag off for everybody, at once. Returns the new version.
    ///
    /// In force when this returns: every question that begins later gets `false`.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] when there is no such flag, which is off as it is.
    ///
    /// # Example
    ///
    /// ```
    /// use stagegate::{Gate, Reason};
    ///
    /// let gate = Gate::from_document("schema = 1\n[flags.a]\nstage = \"ga\"")?;
    /// gate.roll_back("a")?;
    /// assert_eq!(gate.evaluate("user-42", "a").reason, Reason::Off);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn roll_back(&self, flag: &str) -> Result<u64, UpdateError> {
        self.set_stage(flag, &StageName::OFF)
    }

    fn call(&self, flag: &str, stage: &str, reason: Option<&str>) -> Result<u64, UpdateError> {
        let Shared { current, driven, calls, .. } = &*self.shared;
        let next = |now: &Snapshot| transition::to_stage(now, flag, stage, reason, *driven);
        if !driven {
            return self.apply(next);
        }
        let moved = {
            let mut unseen = calls.lock();
            let moved = current.update(next);
            // Also where the flag is there already: a promotion may be on its way to the journal.
            if let (Ok(_), Some(stage)) = (&moved, self.serving(flag)) {
                unseen.push((flag.into(), stage));
            }
            moved
        };
        let moved = self.told_of(moved);
        calls.tell();
        moved
    }

    /// The stage by which questions about a flag are answered.
    pub(crate) fn serving(&self, flag: &str) -> Option<StageName> {
        self.shared.current.read(|snapshot| {
            let flag = snapshot.flag(flag)?;
            flag.definition().stage_name(flag.position())
        })
    }

    fn apply(
        &self,
        next: impl FnMut(&Snapshot) -> Result<(Snapshot, Vec<Change>), UpdateError>,
    ) -> Result<u64, UpdateError> {
        self.told_of(self.shared.current.update(next))
    }

    fn told_of(&self, moved: Result<(u64, Vec<Change>), UpdateError>) -> Result<u64, UpdateError> {
        match moved {
            Ok((version, changes)) => {
                self.shared.ledger.applied(version, &changes);
                Ok(version)
            }
            Err(error) => Err(self.shared.ledger.refuse(error)),
        }
    }
}
