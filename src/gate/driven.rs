//! A gate that a rollout drives: it alone moves flags up.

use std::sync::Arc;

use super::calls::Call;
use super::cell::Cell;
use super::observer::Change;
use super::{Gate, Shared, transition};
use crate::eval::{Flag, Snapshot, StageName};
use crate::plan::Plan;

impl Gate {
    /// A gate on a plan, each flag at the stage that `stage` says; off where the plan has no such.
    pub(crate) fn driven(plan: &Plan, stage: impl Fn(&str) -> StageName) -> Gate {
        let current = Cell::new(Snapshot::new(1, placed(plan, stage), None));
        Gate { shared: Arc::new(Shared::new(current, true)) }
    }

    /// Takes a flag from one stage to another, whatever is between. Does nothing where the flag is not there any more,
    /// or a call has taken it down that the rollout has not seen: there it stays.
    pub(crate) fn drive(&self, flag: &str, from: StageName, to: StageName) {
        let moved = {
            let calls = self.shared.calls.lock();
            if calls.iter().any(|(called, _)| **called == *flag) {
                return;
            }
            self.shared.current.update(|now| transition::placed(now, flag, from, to))
        };
        self.told(moved);
    }

    /// Takes a flag down to a stage, from wherever it is above.
    pub(crate) fn drive_down(&self, flag: &str, to: StageName) {
        self.told(self.shared.current.update(|now| transition::lowered(now, flag, to)));
    }

    /// Puts a plan in force, each flag at the stage that `stage` says. Returns `false`, and does nothing, while there are
    /// calls that the rollout has not seen.
    pub(crate) fn drive_all(&self, plan: &Plan, stage: impl Fn(&str) -> StageName) -> bool {
        let moved = {
            let calls = self.shared.calls.lock();
            if !calls.is_empty() {
                return false;
            }
            self.shared
                .current
                .update(|before| Ok::<_, ()>(transition::to_flags(before, placed(plan, &stage))))
        };
        self.told(moved);
        true
    }

    /// The application's calls since the rollout looked last.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.shared.calls.lock())
    }

    /// Has the rollout told when there is a call to take.
    pub(crate) fn on_call(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.shared.calls.on_call(tell);
    }

    fn told(&self, moved: Result<(u64, Vec<Change>), ()>) {
        if let Ok((version, changes)) = moved {
            self.shared.ledger.applied(version, &changes);
        }
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
