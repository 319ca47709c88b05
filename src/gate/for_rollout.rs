//! The gate of a rollout. Only the rollout moves its flags up.

use std::sync::Arc;

use super::calls::Call;
use super::current::Current;
use super::observer::Change;
use super::{Gate, Shared, transition};
use crate::eval::{Flag, Snapshot, StageName};
use crate::plan::Plan;

impl Gate {
    /// Creates a gate that a rollout drives. `stage` returns the stage of a flag; a stage that the plan lacks means
    /// off.
    pub(crate) fn for_rollout(plan: &Plan, stage: impl Fn(&str) -> StageName) -> Gate {
        let current = Current::new(Snapshot::new(1, flags_at(plan, stage), None));
        Gate { shared: Arc::new(Shared::new(current, true)) }
    }

    /// Moves a flag from one stage to another, also across stages. Does nothing if the flag is no longer at `from`, or
    /// if a call has moved it down and the rollout has yet to take that call.
    pub(crate) fn move_flag(&self, flag: &str, from: StageName, to: StageName) {
        let moved = {
            let calls = self.shared.calls.lock();
            if calls.iter().any(|(called, _)| **called == *flag) {
                return;
            }
            self.shared.current.update(|now| transition::between(now, flag, from, to))
        };
        self.notify_applied(moved);
    }

    /// Moves a flag down to a stage. Does nothing if the flag is already at this stage or below.
    pub(crate) fn lower_flag(&self, flag: &str, to: StageName) {
        self.notify_applied(self.shared.current.update(|now| transition::down_to(now, flag, to)));
    }

    /// Moves flags down to their stages, in one step. Does nothing with a flag that is already at its stage or below.
    pub(crate) fn lower_flags(&self, flags: &[(&str, StageName)]) {
        let lowered = self.shared.current.update(|now| transition::all_down_to(now, flags));
        self.notify_applied(lowered);
    }

    /// Puts a plan in force, with each flag at the stage that `stage` returns. Does nothing and returns `false` while
    /// the rollout has yet to take calls.
    pub(crate) fn set_plan(&self, plan: &Plan, stage: impl Fn(&str) -> StageName) -> bool {
        let moved = {
            let calls = self.shared.calls.lock();
            if !calls.is_empty() {
                return false;
            }
            self.shared
                .current
                .update(|before| Ok::<_, ()>(transition::to_flags(before, flags_at(plan, &stage))))
        };
        self.notify_applied(moved);
        true
    }

    /// Removes and returns the application's calls since the last `take_calls`.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.shared.calls.lock())
    }

    /// Sets the function that is called when there are calls to take.
    pub(crate) fn wake_on_calls(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.shared.calls.wake_with(wake);
    }

    fn notify_applied(&self, moved: Result<(u64, Vec<Change>), ()>) {
        if let Ok((version, changes)) = moved {
            self.shared.observers.notify_applied(version, &changes);
        }
    }
}

/// Returns the flags of a plan, each at the stage that `stage` returns.
fn flags_at(plan: &Plan, stage: impl Fn(&str) -> StageName) -> Vec<Flag> {
    let flags = plan.planned().map(|planned| {
        let flag = Flag::new(Arc::clone(&planned.definition), planned.declared);
        let position = planned.definition.position_of(&stage(planned.definition.key.as_str()));
        flag.at(position.unwrap_or(0))
    });
    flags.collect()
}
