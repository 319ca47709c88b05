//! A gate that a rollout drives: it alone moves flags up.

use std::sync::Arc;

use super::cell::Cell;
use super::observer::{Change, Ledger};
use super::{Gate, Shared, transition};
use crate::eval::{Flag, Snapshot, StageName};
use crate::plan::Plan;

impl Gate {
    /// A gate on a plan, each flag at the stage that `stage` says; off where the plan has no such.
    pub(crate) fn driven(plan: &Plan, stage: impl Fn(&str) -> StageName) -> Gate {
        let current = Cell::new(Snapshot::new(1, placed(plan, stage), None));
        Gate { shared: Arc::new(Shared { current, ledger: Ledger::default(), driven: true }) }
    }

    /// Takes a flag from one stage to another, whatever is between. Returns the version since; `None`
    /// where the flag is not there any more: somebody has taken it down, and there it stays.
    pub(crate) fn drive(&self, flag: &str, from: StageName, to: StageName) -> Option<u64> {
        self.told(self.shared.current.update(|now| transition::placed(now, flag, from, to)))
    }

    /// Takes a flag down to a stage, from wherever it is above. Returns the version since; `None`
    /// where it is there or below already.
    pub(crate) fn drive_down(&self, flag: &str, to: StageName) -> Option<u64> {
        self.told(self.shared.current.update(|now| transition::lowered(now, flag, to)))
    }

    /// Puts a plan in force, each flag at the stage that `stage` says. Returns the version since;
    /// `None` where the version is not `expected`: somebody has moved a flag.
    pub(crate) fn drive_all(
        &self,
        plan: &Plan,
        expected: u64,
        stage: impl Fn(&str) -> StageName,
    ) -> Option<u64> {
        let moved = self.shared.current.update(|before| {
            if before.version() != expected {
                return Err(());
            }
            Ok(transition::to_flags(before, placed(plan, &stage)))
        });
        self.told(moved)
    }

    /// The stage by which questions about a flag are answered.
    pub(crate) fn serving(&self, flag: &str) -> Option<StageName> {
        self.shared.current.read(|snapshot| {
            let flag = snapshot.flag(flag)?;
            flag.definition().stage_name(flag.position())
        })
    }

    fn told(&self, moved: Result<(u64, Vec<Change>), ()>) -> Option<u64> {
        let (version, changes) = moved.ok()?;
        self.shared.ledger.applied(version, &changes);
        Some(version)
    }
}

fn placed(plan: &Plan, stage: impl Fn(&str) -> StageName) -> Vec<Flag> {
    let flags = plan.planned().map(|planned| {
        let flag = Flag::new(Arc::clone(&planned.definition), planned.declared);
        let position = planned.definition.position_of(&stage(planned.definition.key.as_str()));
        flag.at(position.unwrap_or(0))
    });
    flags.collect()
}
