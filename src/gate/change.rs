//! Updates of a gate: another document, or another stage for one flag.

use super::error::Kind;
use super::observer::Change;
use super::{Gate, Shared, UpdateError, transition};
use crate::eval::{Snapshot, StageName};
use crate::plan::{Document, Plan};

/// Updates. [Observers](Gate::observe) are called for each one.
impl Gate {
    /// Puts another document in force and returns the new version. Each flag moves to its `stage` in the document.
    ///
    /// Without a new `skip_reason` beside `stage`, a flag may only let in users whom the plan in force admits: at the
    /// flag's current stage or, if the document moves the flag, at the next stage. At most `limits.per_update` of a
    /// flag's users may lose it at once, unless the flag moves to a lower stage.
    ///
    /// A flag that a call moved stays where it is until a document gives it another `stage`. So an edit of something
    /// else does not bring back a flag that was rolled back. A new flag starts at its `stage`. A flag that was removed
    /// and comes back counts as being where it was. The chapter on [plans](crate::_docs::plans) has the exact rules.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if the document is not a valid plan, lacks a reason that it needs, or a rollout drives the gate.
    /// Then nothing has changed.
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
        if self.shared.is_driven {
            return Err(self.shared.observers.notify_refused(Kind::DrivenGate.into()));
        }
        let plan = match Plan::parse(document) {
            Ok(plan) => plan,
            Err(error) => return Err(self.shared.observers.notify_refused(error.into())),
        };
        self.update_by(|snapshot| transition::to_plan(snapshot, &plan))
    }

    /// Moves a flag to a stage of its plan: any number of stages down, or one up.
    ///
    /// Returns the new version, also if the flag is already at the stage.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if there is no such flag or stage, or the flag would skip a stage. If a rollout drives the gate,
    /// also if the flag would move up.
    ///
    /// # Complexity
    ///
    /// Copies the list of flags. Checks do not wait for it.
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
        self.move_by_call(flag, stage, None)
    }

    /// Moves a flag to any stage of its plan, even if it skips stages. Observers receive the reason.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if there is no such flag or stage, or the reason is blank. If a rollout drives the gate, also if
    /// the flag would move up.
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
        self.move_by_call(flag, stage, Some(reason))
    }

    /// Turns a flag off for every user at once. Returns the new version.
    ///
    /// Every check that begins after this call has returned answers `false`.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] if there is no such flag. An unknown flag is off anyway.
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

    fn move_by_call(
        &self,
        flag: &str,
        stage: &str,
        reason: Option<&str>,
    ) -> Result<u64, UpdateError> {
        let Shared { current, is_driven, calls, .. } = &*self.shared;
        let next = |now: &Snapshot| transition::to_stage(now, flag, stage, reason, *is_driven);
        if !is_driven {
            return self.update_by(next);
        }
        let moved = {
            let mut pending = calls.lock();
            let moved = current.update(next);
            // Also if the flag is already at the stage: the rollout may be writing a promotion to the journal.
            let snapshot = current.get();
            if let (Ok(_), Some(flag)) = (&moved, snapshot.flag(flag))
                && let Some(stage) = flag.definition().stage_name(flag.position())
            {
                pending.push((flag.key().as_str().into(), stage));
            }
            moved
        };
        let moved = self.notify(moved);
        calls.wake_rollout();
        moved
    }

    /// Returns the stage by which checks of a flag are answered; `None` for an unknown key.
    #[cfg_attr(not(feature = "rollout"), expect(dead_code))]
    pub(crate) fn serving(&self, key: &str) -> Option<StageName> {
        let snapshot = self.shared.current.get();
        let (_, flag) = snapshot.find_key(key)?;
        flag.definition().stage_name(flag.position())
    }

    fn update_by(
        &self,
        next: impl FnMut(&Snapshot) -> Result<(Snapshot, Vec<Change>), UpdateError>,
    ) -> Result<u64, UpdateError> {
        self.notify(self.shared.current.update(next))
    }

    fn notify(&self, moved: Result<(u64, Vec<Change>), UpdateError>) -> Result<u64, UpdateError> {
        match moved {
            Ok((version, changes)) => {
                self.shared.observers.notify_applied(version, &changes);
                Ok(version)
            }
            Err(error) => Err(self.shared.observers.notify_refused(error)),
        }
    }
}
